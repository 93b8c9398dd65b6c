//! Bodies of the messages that contexts exchange about themselves.
//!
//! All but the call's, which is on the path of every call and so is laid out by hand, are
//! postcard.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use offshoot_abi::{CallFailure, Grant};
use serde::{Deserialize, Serialize};

use crate::id::ContextId;

pub use crate::connect::{
    CONNECT_EVENTS_MAX, Connect, ConnectEvent, ConnectFailure, ConnectOptions, ConnectStage,
    Connected,
};
pub use crate::method::{
    CheckHostKeys, Doas, KeepAlive, Method, Password, Ssh, Start, Su, Sudo, user_or_root,
};

/// Content hash of a plugin image: BLAKE3 of its bytes.
pub type ImageHash = [u8; 32];

/// Names a [`Bind`]: the first half of a BLAKE3 of what it says.
pub type BindingKey = [u8; 16];

/// What a child says of itself once it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// What images it runs, in the words of the wasm engine.
    pub target: String,
    /// Its process id.
    pub pid: u32,
}

/// What a parent answers to a [`Hello`]: who the child is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The child's id.
    pub id: ContextId,
    /// Ids from its parent to the controller.
    pub parents: Vec<ContextId>,
    /// Its name.
    pub name: String,
    /// Bytes of a message at most, the same in the whole tree.
    pub message_max: u32,
    /// The most verbose level that its logs are wanted at: 1 error to 5 trace; 0 is none.
    pub log_level: u8,
    /// Whether messages between two children of one context are refused, the same in the whole
    /// tree.
    pub unidirectional: bool,
    /// What it writes about itself.
    pub traces: Traces,
    /// How long, in milliseconds, either end of the link may give no sign of life until the other
    /// one takes it for lost; 0 for a link that ends by itself.
    pub lost_after_ms: u32,
}

/// Asks the controller for a block of context ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateId {}

/// The answer to an [`AllocateId`]: ids that the asker may give to contexts below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdBlock {
    /// The first one.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// Tells the contexts on the way to `owner` that it may give these ids away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantIds {
    /// Who may.
    pub owner: ContextId,
    /// The first id.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

/// What a context writes about itself into files on its own machine. Its children inherit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    /// All that it does, as it happens.
    pub debug: bool,
    /// What took how long, when it ends.
    pub profiling: bool,
}

/// Announces that context `id` will be below `toward`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRoute {
    /// The new context.
    pub id: ContextId,
    /// The context that will be its parent.
    pub toward: ContextId,
}

/// Announces that contexts are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelRoute {
    /// Which ones.
    pub ids: Vec<ContextId>,
    /// What happened, for people.
    pub reason: String,
}

/// Pauses large messages for a context, or resumes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The context, which is beyond the neighbour that wants it.
    pub dst: ContextId,
    /// Whether they are paused from now on.
    pub paused: bool,
}

/// One log record of a context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// 1 error to 5 trace.
    pub level: u8,
    /// Which part of the context speaks, such as a plugin's module path or `stdout`.
    pub target: String,
    /// The text.
    pub text: String,
}

/// Says which image runs with which grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The name that calls use for it.
    pub key: BindingKey,
    /// The plugin's name, by which plugins of the same context find it.
    pub plugin: String,
    /// The image.
    pub image: ImageHash,
    /// What the plugin may touch.
    pub grants: Vec<Grant>,
    /// What it may use up.
    pub limits: PluginLimits,
}

/// What one instance of a plugin may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginLimits {
    /// Bytes of linear memory.
    pub memory: u64,
}

impl Default for PluginLimits {
    /// 256 MiB of memory.
    fn default() -> Self {
        Self { memory: 256 << 20 }
    }
}

/// A call, without the message around it.
///
/// It keeps the bytes as they came: this is on the path of every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallBody {
    /// The plugin, with its grants.
    pub binding: BindingKey,
    /// Digest of the function's types as the caller knows them; 0 leaves it unchecked.
    pub signature: u64,
    /// Microseconds the call may take; 0 is no limit.
    pub timeout: u64,
    /// The chain that it belongs to, or 0.
    pub chain: u64,
    /// Whether it may run beside other calls, on an instance of its own.
    pub concurrent: bool,
    bytes: Bytes,
    arguments_at: usize,
}

const FIXED_LEN: usize = 16 + 8 + 8 + 8 + 1 + 1;

/// All of a call's body but the arguments, as its caller has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallHead<'a> {
    /// The plugin, with its grants.
    pub binding: BindingKey,
    /// Digest of the function's types as the caller knows them; 0 leaves it unchecked.
    pub signature: u64,
    /// Microseconds the call may take; 0 is no limit.
    pub timeout: u64,
    /// The chain that it belongs to, or 0.
    pub chain: u64,
    /// Whether it may run beside other calls, on an instance of its own.
    pub concurrent: bool,
    /// The function's name.
    pub function: &'a str,
}

impl CallHead<'_> {
    /// Starts a body with room for `arguments` bytes, which are to be appended behind it.
    ///
    /// # Panics
    ///
    /// Panics if the function's name is longer than 255 bytes; names come from checked manifests.
    pub fn start(&self, arguments: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_LEN + self.function.len() + arguments);
        self.put(&mut out);
        out
    }

    fn put(&self, out: &mut impl BufMut) {
        let length = u8::try_from(self.function.len()).expect("a checked function name");
        out.put_slice(&self.binding);
        out.put_u64_le(self.signature);
        out.put_u64_le(self.timeout);
        out.put_u64_le(self.chain);
        out.put_u8(self.concurrent.into());
        out.put_u8(length);
        out.put_slice(self.function.as_bytes());
    }
}

/// The arguments of a call, in postcard.
#[derive(Clone, Debug)]
pub enum Arguments<'a> {
    /// They are somewhere else, and are copied.
    Copied(&'a [u8]),
    /// They are where they will be in the body, so that large ones need not be copied.
    Placed(Placed),
}

/// Arguments with room in front of them for all else that a body has.
#[derive(Clone, Debug)]
pub struct Placed {
    bytes: Vec<u8>,
    room: usize,
}

impl Arguments<'_> {
    /// Encodes the arguments of a function.
    ///
    /// # Errors
    ///
    /// Fails when they refuse to be serialised.
    pub fn encode<T: Serialize>(function: &str, arguments: &T) -> Result<Self, postcard::Error> {
        /// Bytes that most calls need for theirs.
        const FEW: usize = 64;
        let room = FIXED_LEN + function.len();
        let mut bytes = Vec::with_capacity(room + FEW);
        bytes.resize(room, 0);
        let bytes = postcard::to_extend(arguments, bytes)?;
        Ok(Self::Placed(Placed { bytes, room }))
    }
}

impl CallHead<'_> {
    /// The whole body.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn body(&self, arguments: Arguments<'_>) -> Vec<u8> {
        let arguments = match arguments {
            Arguments::Placed(mut placed) if placed.room == FIXED_LEN + self.function.len() => {
                self.put(&mut &mut placed.bytes[..placed.room]);
                return placed.bytes;
            }
            // They were encoded for another function.
            Arguments::Placed(placed) => Cow::Owned(placed.bytes[placed.room..].to_vec()),
            Arguments::Copied(arguments) => Cow::Borrowed(arguments),
        };
        let mut body = self.start(arguments.len());
        body.extend_from_slice(&arguments);
        body
    }
}

impl CallBody {
    /// Reads a body; `None` when it is too short for what it says, or the name is no text.
    pub fn parse(bytes: Bytes) -> Option<Self> {
        let (binding, rest) = bytes.split_first_chunk::<16>()?;
        let (signature, rest) = rest.split_first_chunk::<8>()?;
        let (timeout, rest) = rest.split_first_chunk::<8>()?;
        let (chain, rest) = rest.split_first_chunk::<8>()?;
        let (&[concurrent, length], rest) = rest.split_first_chunk::<2>()?;
        let function = rest.get(..usize::from(length))?;
        if concurrent > 1 || core::str::from_utf8(function).is_err() {
            return None;
        }
        Some(Self {
            binding: *binding,
            signature: u64::from_le_bytes(*signature),
            timeout: u64::from_le_bytes(*timeout),
            chain: u64::from_le_bytes(*chain),
            concurrent: concurrent == 1,
            arguments_at: FIXED_LEN + function.len(),
            bytes,
        })
    }

    /// The function's name.
    pub fn function(&self) -> &str {
        core::str::from_utf8(&self.bytes[FIXED_LEN..self.arguments_at]).unwrap_or_default()
    }

    /// The arguments, in postcard.
    pub fn arguments(&self) -> &[u8] {
        &self.bytes[self.arguments_at..]
    }

    /// The arguments, in postcard, for as long as they are needed.
    pub fn into_arguments(mut self) -> Bytes {
        self.bytes.advance(self.arguments_at);
        self.bytes
    }
}

/// How a call ended in the context that ran it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The function's value, in postcard.
    Value(Bytes),
    /// There is no value, and why.
    Failed(CallFailure),
}

const VALUE: u8 = 0;
const FAILED: u8 = 1;

impl CallOutcome {
    /// The body of the answer. What it is stands last, so that a large value whose buffer has room
    /// for that need not be copied.
    pub fn encode(self) -> Bytes {
        let (content, tag) = match self {
            Self::Value(value) => (value, VALUE),
            Self::Failed(reason) => (encode(&reason).into(), FAILED),
        };
        let mut body = match content.try_into_mut() {
            Ok(owned) => owned,
            Err(shared) => {
                let mut copy = BytesMut::with_capacity(shared.len() + 1);
                copy.extend_from_slice(&shared);
                copy
            }
        };
        body.put_u8(tag);
        body.freeze()
    }

    /// Reads the body of an answer; `None` when it is none.
    pub fn parse(mut bytes: Bytes) -> Option<Self> {
        let tag = *bytes.last()?;
        bytes.truncate(bytes.len() - 1);
        match tag {
            VALUE => Some(Self::Value(bytes)),
            FAILED => postcard::from_bytes(&bytes).ok().map(Self::Failed),
            _ => None,
        }
    }
}

/// The postcard form of a control body.
///
/// # Panics
///
/// Never for the types of this module: postcard into memory fails only on types that refuse to
/// be serialised.
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_allocvec(body).expect("control bodies serialise")
}

/// Reads a control body; `None` when the bytes are not exactly one.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let (body, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_the_same_wherever_they_are_put() {
        let head = CallHead {
            function: "walk",
            ..CallHead::default()
        };
        let arguments = ("args", 7_u32);
        let copied = head.body(Arguments::Copied(&encode(&arguments)));
        for function in ["walk", "run", "wander"] {
            let placed = Arguments::encode(function, &arguments).unwrap();
            assert_eq!(head.body(placed), copied, "encoded for {function}");
        }
    }

    #[test]
    fn an_outcome_is_read_back_whoever_has_its_bytes() {
        let mut with_room = Vec::with_capacity(100);
        with_room.extend_from_slice(b"value");
        let shared = Bytes::from_static(b"value");
        for value in [Bytes::from(with_room), shared.clone(), shared] {
            let outcome = CallOutcome::Value(value);
            let body = outcome.clone().encode();
            assert_eq!(&body[..], b"value\0");
            assert_eq!(CallOutcome::parse(body), Some(outcome));
        }
    }

    #[test]
    fn a_call_body_is_read_back_and_no_truncation_of_it_is() {
        let head = CallHead {
            binding: [7; 16],
            signature: 8,
            timeout: 9,
            chain: 10,
            concurrent: true,
            function: "walk",
        };
        let without_arguments = head.start(0).len();
        let bytes = Bytes::from(head.body(Arguments::Copied(b"args")));
        let body = CallBody::parse(bytes.clone()).unwrap();
        assert_eq!(
            (body.signature, body.timeout, body.chain, body.concurrent),
            (8, 9, 10, true)
        );
        assert_eq!((body.function(), body.arguments()), ("walk", &b"args"[..]));
        for length in 0..without_arguments {
            assert_eq!(
                CallBody::parse(bytes.slice(..length)),
                None,
                "{length} bytes"
            );
        }
    }
}
