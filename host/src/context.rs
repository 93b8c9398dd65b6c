//! A context, as its users hold it, and how calls of functions in it are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::Function;
use offshoot_proto::{CallRequest, ContextId, SendError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::{Callee, Pending, Receiver};
use crate::error::Error;
use crate::hub::State;
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
        let receiver = self.start_typed::<F>(arguments, Pace::Now).await?;
        receiver.get().await
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
        self.start_typed::<F>(arguments, Pace::Gather).await
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
        let receiver = self.start(plugin, function, arguments, Pace::Now).await?;
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
        let mut pending = self
            .send_call(plugin, function, arguments, Pace::Now)
            .await?;
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

    async fn start_typed<F: Function>(
        &self,
        arguments: F::Arguments,
        pace: Pace,
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
        self.start(&plugin, F::NAME, &arguments, pace).await
    }

    async fn start<R>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
        pace: Pace,
    ) -> Result<Receiver<R>, Error> {
        let arguments = postcard::to_allocvec(arguments).map_err(|error| PluginError::Encode {
            function: format!("{}::{function}", plugin.name()),
            reason: error.to_string(),
        })?;
        let pending = self.send_call(plugin, function, &arguments, pace).await?;
        Ok(Receiver::new(pending))
    }

    async fn send_call(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &[u8],
        pace: Pace,
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
        let send = |state: &mut State, now| {
            if !state.node.is_bound(request.dst, &ready.bind.key) {
                state.node.provide_image(ready.bind.image, &ready.image)?;
            }
            let handle = state.node.call(&request, now)?;
            Ok(Reply::new(hub, state, request.dst, handle))
        };
        let reply = match pace {
            Pace::Now => hub.drive(send),
            Pace::Gather => hub.drive_lazily(send),
        };
        let reply = reply.map_err(|error: SendError| Error::unsent(self.name(), &error))?;
        Ok(Pending {
            reply,
            callee: Callee {
                context: self.clone(),
                plugin: plugin.clone(),
                function: index,
                timeout: self.timeout,
            },
        })
    }
}

/// When the bytes of a call leave.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// At once: the caller waits for the answer.
    Now,
    /// Together with those of the calls that come next.
    Gather,
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
