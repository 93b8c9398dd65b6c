//! What a plugin asks of the router, and what it is answered.
//!
//! A guest is single-threaded and waits inside its host: it hands over a [`Request`], and is
//! resumed when there is a [`Response`] or a [`RequestError`]. The answer to every request is the
//! postcard encoding of `Result<Response, RequestError>`. Receivers live at the host and are named by
//! their handle; the host closes them with the instance that made them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use offshoot_text::Shown;
use serde::{Deserialize, Serialize};

use crate::{Blob, CallError, ContextAddress};

/// Receivers that one [`Request::Receive`] may name.
pub const RECEIVERS_MAX: usize = 1 << 16;

/// What a plugin asks. Variants are appended, never moved: a host refuses those it does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Makes a context. Answered by [`Response::Context`].
    Connect(Connect),
    /// Starts a call. Answered by [`Response::Receiver`], or by [`Response::Done`] when no reply
    /// is wanted.
    Call(Call),
    /// Makes a receiver. Answered by [`Response::Receiver`].
    Listen(Listen),
    /// Waits for a message. Answered by [`Response::Received`] or [`Response::TimedOut`].
    Receive(Receive),
    /// Asks how many messages wait. Answered by [`Response::Count`].
    Waiting {
        /// The receiver.
        receiver: u64,
    },
    /// Sends a message that may ask for a reply. Answered by [`Response::Done`] once it left.
    Post {
        /// The context that receives.
        context: u32,
        /// The handle in it.
        handle: u64,
        /// The handle of a receiver of the plugin's own that takes the reply; 0 for none.
        reply_to: u64,
        /// The message.
        data: Blob,
    },
    /// Tells a receiver that no more will come. Answered by [`Response::Done`].
    SendDead {
        /// The context that receives.
        context: u32,
        /// The handle in it.
        handle: u64,
    },
    /// Closes a receiver; one that is closed already does not mind. A call whose receiver this is
    /// is cancelled. Answered by [`Response::Done`].
    Close {
        /// The receiver.
        receiver: u64,
    },
    /// Asks a context to end. Answered by [`Response::Done`].
    Shutdown {
        /// The context.
        context: u32,
        /// Whether to answer only when it is gone.
        wait: bool,
    },
    /// Forgets the failure of a chain of calls. Answered by [`Response::Done`].
    ResetChain {
        /// The context that the chain's calls went to.
        context: u32,
        /// The chain.
        chain: u64,
    },
}

/// How a context is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// The context that starts it; the plugin's own when there is none.
    pub via: Option<u32>,
    /// Its name, when the usual one will not do.
    pub name: Option<String>,
    /// What kind of context it is.
    pub method: Method,
    /// Milliseconds that it may take; the host's default when there are none.
    pub timeout_ms: Option<u32>,
    /// Whether it and its descendants write their logs to files of their own.
    pub debug: bool,
}

/// The kinds of context that a plugin can make. Variants are appended, never moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// A process on the same machine.
    Local(Local),
}

impl Default for Method {
    fn default() -> Self {
        Self::Local(Local::default())
    }
}

/// What a process on the same machine can be given. It runs the host's own child program: no
/// request names a program, or a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// How it shows in a list of processes.
    pub remote_name: Option<String>,
}

/// A call of a function in another context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The context that runs it.
    pub context: u32,
    /// The plugin's name.
    pub plugin: String,
    /// The function's name in it.
    pub function: String,
    /// The signature that the caller was compiled with; 0 is not compared.
    pub signature: u64,
    /// Whether the function may run beside others.
    pub concurrent: bool,
    /// Microseconds that it may take.
    pub timeout_us: Option<u64>,
    /// The chain that the call belongs to; 0 for none.
    pub chain: u64,
    /// Whether nobody waits for its end.
    pub no_reply: bool,
    /// The arguments, in postcard.
    pub arguments: Blob,
}

/// What kind of receiver is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listen {
    /// Its handle; the host chooses when there is none.
    pub handle: Option<u64>,
    /// Whether it takes more than one message.
    pub persist: bool,
    /// The only context whose messages it takes, and whose end ends it.
    pub respondent: Option<u32>,
}

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// The receivers, at most [`RECEIVERS_MAX`]. The answer is the message that arrived first at
    /// any of them, not at the first of them that has one.
    pub receivers: Vec<u64>,
    /// Microseconds to wait; 0 only looks, and nothing waits without end.
    pub timeout_us: Option<u64>,
}

/// What a plugin is answered. Variants are appended, never moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// It is done, and there is nothing to say.
    Done,
    /// The context that was made.
    Context(ContextAddress),
    /// The receiver that was made: of messages, or of a call's end.
    Receiver {
        /// Its handle in the plugin's own context.
        handle: u64,
    },
    /// A message.
    Received(Received),
    /// There was no message in time.
    TimedOut,
    /// How many there are.
    Count(u64),
}

/// A message that a receiver took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The receiver.
    pub receiver: u64,
    /// The context that it is from.
    pub src: u32,
    /// The handle in that context that takes a reply; 0 for none.
    pub reply_to: u64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A call's value, or what was sent, in postcard.
    Value(Blob),
    /// The call has no value, or nothing more will come.
    Failed(RequestError),
}

/// Why a request, a call or a receiver came to nothing. Variants are appended, never moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestError {
    /// The call was answered without a value.
    Call(Box<CallError>),
    /// There will be no answer, or no further message.
    Channel(ChannelError),
    /// Time was up. The text says what was waited for.
    Timeout(String),
    /// A context could not be made.
    Connect(String),
    /// The plugin that was to be called cannot be used as it is.
    Plugin(String),
    /// The plugin was not granted the router. The text says what it tried.
    NotGranted(String),
    /// The request cannot work.
    Usage(String),
}

/// Why there will be no answer, or no further message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelError {
    /// Name of the context that was to answer; empty when it was anyone, or the plugin's own.
    pub context: String,
    /// What happened.
    pub reason: String,
    /// Whether the context was lost after the message left, so that a call may have run.
    pub may_have_run: bool,
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.context.is_empty() {
            write!(f, "no answer from {}: ", Shown(&self.context))?;
        }
        Shown(&self.reason).fmt(f)?;
        if self.may_have_run {
            f.write_str("; the function may have run")?;
        }
        Ok(())
    }
}

impl core::error::Error for ChannelError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallErrorKind, CallFailure};
    use alloc::string::ToString;
    use alloc::vec;

    /// `docs/ABI.md` gives the numbers of variants and the order of fields to plugins that are not
    /// written in Rust.
    #[track_caller]
    fn check<T: Serialize + serde::de::DeserializeOwned + PartialEq + fmt::Debug>(
        value: T,
        bytes: &[u8],
    ) {
        assert_eq!(postcard::to_allocvec(&value).unwrap(), bytes);
        assert_eq!(postcard::from_bytes::<T>(bytes).unwrap(), value);
    }

    #[test]
    fn requests_are_written_as_the_document_says() {
        let connect = Connect {
            via: Some(3),
            name: None,
            method: Method::Local(Local {
                remote_name: Some("a".to_string()),
            }),
            timeout_ms: None,
            debug: true,
        };
        check(
            Request::Connect(connect),
            &[0, 1, 3, 0, 0, 1, 1, b'a', 0, 1],
        );
        let call = Call {
            context: 1,
            plugin: "p".to_string(),
            function: "f".to_string(),
            signature: 2,
            concurrent: true,
            timeout_us: Some(3),
            chain: 4,
            no_reply: false,
            arguments: Blob(vec![9]),
        };
        check(
            Request::Call(call),
            &[1, 1, 1, b'p', 1, b'f', 2, 1, 1, 3, 4, 0, 1, 9],
        );
        let listen = Listen {
            handle: Some(5),
            persist: true,
            respondent: None,
        };
        check(Request::Listen(listen), &[2, 1, 5, 1, 0]);
        let receive = Receive {
            receivers: vec![5, 6],
            timeout_us: Some(0),
        };
        check(Request::Receive(receive), &[3, 2, 5, 6, 1, 0]);
        check(Request::Waiting { receiver: 5 }, &[4, 5]);
        let (context, handle) = (1, 2);
        let post = Request::Post {
            context,
            handle,
            reply_to: 3,
            data: Blob(vec![9]),
        };
        check(post, &[5, 1, 2, 3, 1, 9]);
        check(Request::SendDead { context, handle }, &[6, 1, 2]);
        check(Request::Close { receiver: 5 }, &[7, 5]);
        let wait = true;
        check(Request::Shutdown { context, wait }, &[8, 1, 1]);
        check(Request::ResetChain { context, chain: 4 }, &[9, 1, 4]);
    }

    #[test]
    fn answers_are_written_as_the_document_says() {
        type Answer = Result<Response, RequestError>;
        let answer = |response| -> Answer { Ok(response) };
        check(answer(Response::Done), &[0, 0]);
        let address = ContextAddress {
            id: 7,
            name: "n".to_string(),
            target: "t".to_string(),
        };
        check(
            answer(Response::Context(address)),
            &[0, 1, 7, 1, b'n', 1, b't'],
        );
        check(answer(Response::Receiver { handle: 5 }), &[0, 2, 5]);
        let received = |body| Received {
            receiver: 5,
            src: 7,
            reply_to: 0,
            body,
        };
        let value = received(Body::Value(Blob(vec![9])));
        check(answer(Response::Received(value)), &[0, 3, 5, 7, 0, 0, 1, 9]);
        let failed = received(Body::Failed(RequestError::Timeout("t".to_string())));
        check(
            answer(Response::Received(failed)),
            &[0, 3, 5, 7, 0, 1, 2, 1, b't'],
        );
        check(answer(Response::TimedOut), &[0, 4]);
        check(answer(Response::Count(5)), &[0, 5, 5]);

        let failure = |failure| -> Answer { Err(failure) };
        let call = CallError {
            context: "c".to_string(),
            function: "f".to_string(),
            failure: CallFailure::new(CallErrorKind::Cancelled, ""),
        };
        let bytes = [1, 0, 1, b'c', 1, b'f', 8, 0, 0, 0, 0, 0];
        check(failure(RequestError::Call(Box::new(call))), &bytes);
        let channel = ChannelError {
            context: "c".to_string(),
            reason: "r".to_string(),
            may_have_run: true,
        };
        check(
            failure(RequestError::Channel(channel)),
            &[1, 1, 1, b'c', 1, b'r', 1],
        );
        let text = || "t".to_string();
        check(failure(RequestError::Connect(text())), &[1, 3, 1, b't']);
        check(failure(RequestError::Plugin(text())), &[1, 4, 1, b't']);
        check(failure(RequestError::NotGranted(text())), &[1, 5, 1, b't']);
        check(failure(RequestError::Usage(text())), &[1, 6, 1, b't']);
    }
}
