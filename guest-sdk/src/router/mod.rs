//! The tree of contexts, as a plugin reaches it.
//!
//! A guest has one thread and waits inside its host, so everything here blocks; meanwhile the
//! context goes on routing, and the call's deadline and its cancel end the wait. What a plugin
//! opens is closed by `Drop`, and by the host when the instance goes.

mod chain;
mod channel;
mod context;
mod error;
mod listen;
mod local;
mod message;
mod receiver;
mod select;
mod sender;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use offshoot_abi::ContextAddress;
use offshoot_abi::router::{Request, RequestError, Response};
use serde::Serialize;

use crate::host::{self, Host};
use crate::imports;

pub use chain::CallChain;
pub use channel::Channel;
pub use context::Context;
pub use error::{RouterError, SelectError, TimeoutError};
pub use listen::ListenOptions;
pub use local::Local;
pub use message::Message;
pub use receiver::{Items, Receiver};
pub use select::{Select, SelectEvent, Selection, Source};
pub use sender::Sender;

/// The way to other contexts.
///
/// A function that takes a leading `&Router` gets it from the runtime, and its plugin then needs
/// the grant `router`.
///
/// ```
/// use offshoot_guest::{Result, Router, function};
///
/// # /// How long the machine is up.
/// # #[function]
/// # pub fn uptime() -> u64 { 1 }
/// /// Asks two processes of their own.
/// #[function]
/// pub fn ask_two(router: &Router) -> Result<Vec<u64>> {
///     let mut answers = Vec::new();
///     for _ in 0..2 {
///         let child = router.local().connect()?;
///         answers.push(child.call::<uptime>(())?);
///     }
///     Ok(answers)
/// }
/// ```
pub struct Router(Host);

impl Router {
    /// A stand-in for unit tests, which knows who it is and reaches nobody: whatever needs other
    /// contexts fails.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(host: Host) -> Self {
        Self(host)
    }

    /// The context that the function runs in, and its ancestors.
    pub fn host(&self) -> &Host {
        &self.0
    }

    /// The context that the function runs in.
    #[doc(alias = "myself")]
    pub fn own_context(&self) -> Context {
        Context::new(ContextAddress {
            id: self.0.context_id(),
            name: self.0.name().to_owned(),
            target: String::new(),
        })
    }

    /// The parent; the controller has none.
    pub fn parent(&self) -> Option<Context> {
        self.0.parent_id().map(|id| self.context_by_id(id))
    }

    /// The context of that id. Nothing is asked: whether there is one shows when it is used.
    pub fn context_by_id(&self, id: u32) -> Context {
        if id == self.0.context_id() {
            return self.own_context();
        }
        Context::new(ContextAddress {
            id,
            name: String::new(),
            target: String::new(),
        })
    }

    /// A context in a process of its own on this machine, or on that of another context.
    pub fn local(&self) -> Local {
        Local::new()
    }

    /// A receiver of `T`s from anyone.
    ///
    /// # Errors
    ///
    /// Fails without the grant, and when there are too many receivers.
    pub fn receiver<T>(&self) -> Result<Receiver<T>, RouterError> {
        self.receiver_with(ListenOptions::new())
    }

    /// A receiver as `listen` describes it.
    ///
    /// # Errors
    ///
    /// Fails without the grant, when the handle is taken or the host's own, and when the
    /// respondent is lost.
    pub fn receiver_with<T>(&self, listen: ListenOptions) -> Result<Receiver<T>, RouterError> {
        listen.make()
    }

    /// Both directions between here and `context`: what it receives at `handle`, and a receiver
    /// here of what it sends.
    ///
    /// # Errors
    ///
    /// Fails as [`receiver`](Self::receiver) does.
    pub fn channel<In, Out>(
        &self,
        context: &Context,
        handle: u64,
    ) -> Result<Channel<In, Out>, RouterError> {
        let receiver = self.receiver_with(ListenOptions::new().respondent(context))?;
        Ok(Channel::new(receiver, Sender::new(context.id(), handle)))
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router of {}", self.0.name())
    }
}

/// The router, as the runtime hands it to functions.
pub fn current() -> Router {
    Router(host::current())
}

fn exchange(request: Request) -> Result<Response, RouterError> {
    Ok(imports::exchange(&request)?)
}

/// For requests that are answered by nothing but that it is done.
fn done(request: Request) -> Result<(), RouterError> {
    match exchange(request)? {
        Response::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(response: &Response) -> RouterError {
    RequestError::Usage(format!(
        "the host gave the wrong kind of answer: {response:?}"
    ))
    .into()
}

/// Encodes what is sent. `what` says what it is.
fn encode(what: impl fmt::Display, value: &impl Serialize) -> Result<Vec<u8>, RouterError> {
    postcard::to_allocvec(value)
        .map_err(|error| RouterError::Usage(format!("{what} cannot be encoded: {error}")))
}
