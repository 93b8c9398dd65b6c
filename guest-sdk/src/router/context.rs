//! Another context, and calls of functions in it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use offshoot_abi::router::{Call, Request, Response};
use offshoot_abi::{Blob, ContextAddress, Function, Portable, Schema, Shape};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{CallChain, ListenOptions, Receiver, RouterError, done, encode, exchange, unexpected};

/// Bytes of a context's name at most, as hosts have it.
const NAME_MAX: usize = 100;

/// A handle to one process in the tree.
///
/// Two are equal when they mean the same context. It can be passed as an argument, returned, and
/// be part of a type marked `#[data]`; using it needs the grant `router` wherever it goes.
#[derive(Clone)]
pub struct Context {
    address: ContextAddress,
    timeout: Option<Duration>,
}

impl Context {
    pub(super) fn new(address: ContextAddress) -> Self {
        Self {
            address,
            timeout: None,
        }
    }

    /// Its number in the tree, never used twice; 0 is the controller.
    pub fn id(&self) -> u32 {
        self.address.id
    }

    /// Its name, such as `local.4711`; empty when only its id is known.
    pub fn name(&self) -> &str {
        &self.address.name
    }

    /// The same context, with a deadline for each call made through this handle.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            address: self.address.clone(),
            timeout: Some(timeout),
        }
    }

    /// Calls a function there and waits for its value.
    ///
    /// Calls of one context run one at a time in the order in which they were made, except those
    /// of functions marked concurrent.
    ///
    /// # Errors
    ///
    /// [`RouterError::Call`] when the function failed, [`RouterError::Channel`] when there will be
    /// no answer, [`RouterError::Timeout`] after the deadline of
    /// [`with_timeout`](Self::with_timeout).
    pub fn call<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, RouterError> {
        self.call_async::<F>(arguments)?.get()
    }

    /// Starts a call and gives a receiver of its value. Dropping that cancels the call.
    ///
    /// # Errors
    ///
    /// Fails for what is known before the call leaves: [`RouterError::Plugin`],
    /// [`RouterError::NotGranted`].
    pub fn call_async<F: Function>(
        &self,
        arguments: F::Arguments,
    ) -> Result<Receiver<F::Output>, RouterError> {
        self.start::<F>(&arguments, 0)
    }

    /// Calls a function that nobody waits for. If it fails, its own context logs that.
    ///
    /// # Errors
    ///
    /// Fails as [`call_async`](Self::call_async) does.
    pub fn call_no_reply<F: Function>(&self, arguments: F::Arguments) -> Result<(), RouterError> {
        self.start_no_reply::<F>(&arguments, 0)
    }

    /// Calls that belong together: after the first that fails, the others fail by its error and do
    /// not run.
    pub fn chain(&self) -> CallChain {
        CallChain::new(self.clone())
    }

    /// Sends a message to the receiver `handle` there. Nobody tells whether it arrived.
    ///
    /// # Errors
    ///
    /// Fails without the grant, and when the message cannot leave.
    pub fn send<T: Serialize>(&self, handle: u64, value: &T) -> Result<(), RouterError> {
        self.post(handle, 0, value)
    }

    /// Sends a message to the receiver `handle` there and gives a receiver of the reply.
    ///
    /// # Errors
    ///
    /// Fails without the grant, and when the message cannot leave.
    pub fn send_async<T: Serialize, U>(
        &self,
        handle: u64,
        value: &T,
    ) -> Result<Receiver<U>, RouterError> {
        let listen = ListenOptions::new().persist(false).respondent(self);
        let receiver = listen.make()?;
        self.post(handle, receiver.handle(), value)?;
        Ok(receiver)
    }

    /// Sends a message to the receiver `handle` there and waits for the reply.
    ///
    /// # Errors
    ///
    /// [`RouterError::Timeout`] after the deadline of [`with_timeout`](Self::with_timeout),
    /// [`RouterError::Channel`] when there will be no reply.
    pub fn send_await<T: Serialize, U: DeserializeOwned>(
        &self,
        handle: u64,
        value: &T,
    ) -> Result<U, RouterError> {
        let receiver = self.send_async(handle, value)?;
        match self.timeout {
            Some(timeout) => receiver.get_timeout(timeout),
            None => receiver.get(),
        }
    }

    /// Asks the context to end. Its descendants end with it.
    ///
    /// # Errors
    ///
    /// Fails without the grant.
    pub fn shutdown(&self) -> Result<(), RouterError> {
        self.end(false)
    }

    /// Asks the context to end and waits until it is gone.
    ///
    /// # Errors
    ///
    /// Fails without the grant.
    pub fn shutdown_wait(&self) -> Result<(), RouterError> {
        self.end(true)
    }

    pub(super) fn start<F: Function>(
        &self,
        arguments: &F::Arguments,
        chain: u64,
    ) -> Result<Receiver<F::Output>, RouterError> {
        match exchange(self.request::<F>(arguments, chain, false)?)? {
            Response::Receiver { handle } => Ok(Receiver::one_shot(handle)),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn start_no_reply<F: Function>(
        &self,
        arguments: &F::Arguments,
        chain: u64,
    ) -> Result<(), RouterError> {
        done(self.request::<F>(arguments, chain, true)?)
    }

    fn request<F: Function>(
        &self,
        arguments: &F::Arguments,
        chain: u64,
        no_reply: bool,
    ) -> Result<Request, RouterError> {
        let what = format_args!("the arguments of {}::{}", F::PLUGIN, F::NAME);
        let micros = |timeout: Duration| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        Ok(Request::Call(Call {
            context: self.id(),
            plugin: F::PLUGIN.to_owned(),
            function: F::NAME.to_owned(),
            signature: F::SIGNATURE,
            concurrent: F::CONCURRENT,
            timeout_us: self.timeout.map(micros),
            chain,
            no_reply,
            arguments: Blob(encode(what, arguments)?),
        }))
    }

    fn post<T: Serialize>(&self, handle: u64, reply_to: u64, value: &T) -> Result<(), RouterError> {
        done(Request::Post {
            context: self.id(),
            handle,
            reply_to,
            data: Blob(encode("the message", value)?),
        })
    }

    fn end(&self, wait: bool) -> Result<(), RouterError> {
        done(Request::Shutdown {
            context: self.id(),
            wait,
        })
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Context {}

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({}, {:?})", self.id(), self.name())
    }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.address.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Context {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let address = ContextAddress::deserialize(deserializer)?;
        match address.name.len() {
            0..=NAME_MAX => Ok(Self::new(address)),
            length => Err(D::Error::custom(format_args!(
                "a context's name of {length} bytes is too long"
            ))),
        }
    }
}

impl Portable for Context {
    type Address = ContextAddress;

    fn from_address(address: ContextAddress) -> Self {
        Self::new(address)
    }

    fn to_address(&self) -> ContextAddress {
        self.address.clone()
    }
}

impl Schema for Context {
    const SHAPE: Shape = ContextAddress::SHAPE;
}
