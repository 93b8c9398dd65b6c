//! A context, as its users hold it, and the calls of functions in it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::Function;
use offshoot_proto::control::{CallFailure, CallOutcome};
use offshoot_proto::{Body, CallRequest, ContextId, SendError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{CallError, CallErrorKind, ChannelError, Error};
use crate::mailbox::Mail;
use crate::plugin::{Plugin, PluginError};
use crate::reply::Reply;
use crate::router::Tree;

/// A handle to one process in the tree (`S100`).
///
/// Cheap to clone; two handles are equal when they mean the same context (`B023`).
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    timeout: Option<Duration>,
}

struct Inner {
    tree: Arc<Tree>,
    id: ContextId,
    name: Arc<str>,
    /// What images it runs.
    target: Arc<str>,
}

impl Context {
    pub(crate) fn new(tree: Arc<Tree>, id: ContextId, name: Arc<str>, target: Arc<str>) -> Self {
        Self {
            inner: Arc::new(Inner {
                tree,
                id,
                name,
                target,
            }),
            timeout: None,
        }
    }

    /// Its number in the tree, never used twice.
    pub fn id(&self) -> u32 {
        self.inner.id.0
    }

    /// Its name, such as `local.4711`.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(crate) fn context_id(&self) -> ContextId {
        self.inner.id
    }

    /// The same context, with a deadline for each call made through this handle.
    ///
    /// The callee stops a function whose time is up, even one that loops; the caller's wait ends
    /// half a second later at most, even if nothing is heard from the callee.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            inner: self.inner.clone(),
            timeout: Some(timeout),
        }
    }

    /// Calls a function and waits for its value (`S109`).
    ///
    /// The plugin is the one of that name that the router knows or finds. Calls of one context
    /// run one at a time in the order in which they were made, except those of functions marked
    /// concurrent.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] when the function failed, [`Error::Channel`] when there will be no answer,
    /// which also says whether the function may have run, [`Error::Timeout`] after the deadline
    /// of [`with_timeout`](Self::with_timeout), [`Error::Plugin`] when it did not get that far.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the call is cancelled where it runs; it may have run by then.
    pub async fn call<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, Error> {
        self.call_async::<F>(arguments).await?.get().await
    }

    /// Starts a call and gives a receiver of its value (`S105`). The call is on its way when the
    /// first future is done, which waits for nothing once the plugin was used in this context.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), for what can be known before the call leaves.
    ///
    /// # Cancel safety
    ///
    /// Dropping the first future makes no call. Dropping the receiver cancels the call.
    pub async fn call_async<F: Function>(
        &self,
        arguments: F::Arguments,
    ) -> Result<Receiver<F::Output>, Error> {
        let plugin = self.inner.tree.plugins.get(F::PLUGIN)?;
        let function = plugin.function(F::NAME)?;
        if function.signature != F::SIGNATURE {
            return Err(PluginError::Signature {
                plugin: plugin.name().to_owned(),
                function: function.name.clone(),
                found: function.to_string(),
            }
            .into());
        }
        self.start(&plugin, F::NAME, &arguments).await
    }

    /// Calls a function by its name, with arguments and a result of any types that fit it.
    ///
    /// `arguments` is a tuple, or a struct whose fields are the arguments in order. Nothing checks
    /// the types against the function's: what does not fit is [`Error::Call`] when the function
    /// notices, and a wrong value when it cannot.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_named<R: DeserializeOwned>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
    ) -> Result<R, Error> {
        let receiver = self.start(plugin, function, arguments).await?;
        receiver.get().await
    }

    /// Calls a function by its name, with arguments and a value in postcard's encoding. For
    /// programs that know a function only by its manifest.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_raw(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &[u8],
    ) -> Result<Bytes, Error> {
        let mut pending = self.send_call(plugin, function, arguments).await?;
        pending.value().await
    }

    /// Asks the context to end (`B022`). Its descendants end with it.
    pub fn shutdown(&self) {
        let id = self.inner.id;
        self.inner
            .tree
            .hub
            .drive(|state, _| state.node.shut_down(id));
    }

    async fn start<R>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
    ) -> Result<Receiver<R>, Error> {
        let arguments = postcard::to_allocvec(arguments).map_err(|error| PluginError::Encode {
            function: format!("{}::{function}", plugin.name()),
            reason: error.to_string(),
        })?;
        Ok(Receiver {
            pending: self.send_call(plugin, function, &arguments).await?,
            value: PhantomData,
        })
    }

    async fn send_call(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &[u8],
    ) -> Result<Pending, Error> {
        let index = plugin.function_index(function)?;
        let info = &plugin.manifest().functions[index];
        let target = &self.inner.target;
        let ready = match plugin.if_ready(target) {
            Some(ready) => ready,
            None => plugin.prepare(target).await?,
        };
        let request = CallRequest {
            dst: self.inner.id,
            bind: &ready.bind,
            function: &info.name,
            signature: info.signature,
            concurrent: info.concurrent,
            arguments,
            timeout: self.timeout,
        };
        let hub = &self.inner.tree.hub;
        let reply = hub.drive_lazily(|state, now| {
            if !state.node.is_bound(request.dst, &ready.bind.key) {
                state.node.provide_image(ready.bind.image, &ready.image)?;
            }
            let handle = state.node.call(&request, now)?;
            Ok(Reply::new(hub, state, request.dst, handle))
        });
        let reply = reply.map_err(|error: SendError| Error::unsent(self.name(), &error))?;
        Ok(Pending {
            reply,
            callee: Callee {
                context: self.clone(),
                plugin: plugin.clone(),
                function: index,
            },
        })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({}, {:?})", self.inner.id, self.inner.name)
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.inner.id == other.inner.id && Arc::ptr_eq(&self.inner.tree, &other.inner.tree)
    }
}

impl Eq for Context {}

/// Receives the value of one call.
///
/// Dropping it before the value has come cancels the call.
pub struct Receiver<T> {
    pending: Pending,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    /// The call's value.
    ///
    /// # Errors
    ///
    /// As [`Context::call`].
    ///
    /// # Cancel safety
    ///
    /// When dropped, the call is cancelled.
    pub async fn get(mut self) -> Result<T, Error> {
        let value = self.pending.value().await?;
        let failed = |reason: String| PluginError::Decode {
            function: self.pending.callee.function_name(),
            reason,
        };
        match postcard::take_from_bytes(&value) {
            Ok((value, [])) => Ok(value),
            Ok((_, rest)) => Err(failed(format!("{} bytes are left over", rest.len())).into()),
            Err(error) => Err(failed(error.to_string()).into()),
        }
    }

    /// The context that runs the call.
    pub fn context(&self) -> &Context {
        &self.pending.callee.context
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("context", &self.pending.callee.context)
            .field("function", &self.pending.callee.function_name())
            .finish_non_exhaustive()
    }
}

/// A call that was made, and what is needed to say how it ended.
struct Pending {
    reply: Reply,
    callee: Callee,
}

struct Callee {
    context: Context,
    plugin: Plugin,
    /// Its place in the manifest.
    function: usize,
}

impl Callee {
    fn function_name(&self) -> String {
        let manifest = self.plugin.manifest();
        let function = manifest.functions.get(self.function);
        let function = function.map_or("?", |function| &function.name);
        format!("{}::{function}", manifest.plugin)
    }
}

impl Pending {
    async fn value(&mut self) -> Result<Bytes, Error> {
        let body = match self.reply.mail().await {
            Mail::Message(body) => body,
            Mail::Expired => return Err(self.timed_out()),
        };
        let context = &self.callee.context;
        let channel = |reason: String, may_have_run| {
            Error::Channel(ChannelError {
                context: context.name().to_owned(),
                reason,
                may_have_run,
            })
        };
        match body {
            Body::Dead(dead) => Err(channel(dead.reason.clone(), dead.may_have_run())),
            Body::Data(body) => match CallOutcome::parse(body) {
                Some(CallOutcome::Value(value)) => Ok(value),
                Some(CallOutcome::Failed(failure)) => Err(self.failed(failure)),
                None => Err(channel("its answer makes no sense".to_owned(), true)),
            },
        }
    }

    fn timed_out(&self) -> Error {
        Error::Timeout {
            what: format!(
                "{} in {}",
                self.callee.function_name(),
                self.callee.context.name()
            ),
            after: self.callee.context.timeout.unwrap_or_default(),
        }
    }

    fn failed(&self, failure: CallFailure) -> Error {
        let mut error = CallError {
            context: self.callee.context.name().to_owned(),
            function: self.callee.function_name(),
            kind: CallErrorKind::Function,
            type_name: String::new(),
            message: String::new(),
            causes: Vec::new(),
            location: None,
            backtrace: Vec::new(),
        };
        (error.kind, error.message) = match failure {
            CallFailure::Function(guest) => {
                error.type_name = guest.type_name;
                error.causes = guest.causes;
                error.location = guest.location;
                error.backtrace = guest.backtrace;
                (CallErrorKind::Function, guest.message)
            }
            CallFailure::Trapped { message, backtrace } => {
                error.backtrace = backtrace;
                (CallErrorKind::Trapped, message)
            }
            CallFailure::BadArguments(reason) => (CallErrorKind::BadArguments, reason),
            CallFailure::UnknownFunction(known) => (
                CallErrorKind::UnknownFunction,
                format!("the plugin has {}", known.join(", ")),
            ),
            CallFailure::SignatureMismatch => (
                CallErrorKind::SignatureMismatch,
                "the function's types are not those that the caller knows".to_owned(),
            ),
            CallFailure::DeadlineExceeded => return self.timed_out(),
            CallFailure::Cancelled => (
                CallErrorKind::Cancelled,
                "the call was taken back".to_owned(),
            ),
            CallFailure::LimitExceeded(what) => (CallErrorKind::LimitExceeded, what),
            CallFailure::Misbehaved(what) => (
                CallErrorKind::Misbehaved,
                format!("the plugin broke its contract: {what}"),
            ),
            CallFailure::CannotLoad(reason) => (CallErrorKind::CannotLoad, reason),
        };
        error.into()
    }
}
