//! A context, as its users hold it, and how calls of functions in it are made.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offshoot_abi::{ContextAddress, Function, Travels};
use offshoot_proto::control::Arguments;
use offshoot_proto::{Body, CallRequest, ContextId, Dead, DeadKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking;
use crate::call::{Callee, Pending};
use crate::chain::CallChain;
use crate::error::{ChannelError, Error};
use crate::hub::{Hub, State};
use crate::messages::{Content, Listen, Listening, Message, Receiver, Taken};
use crate::plugin::{Plugin, PluginError};
use crate::router::{Router, Tree};

/// A handle to one process in the tree (`S100`).
///
/// Cheap to clone; two handles are equal when they mean the same context (`B023`).
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    timeout: Option<Duration>,
    /// The chain that calls through this handle belong to, or 0.
    chain: u64,
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
            chain: 0,
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

    /// The context as a plugin's type, to be an argument of its functions.
    ///
    /// With a plugin `tour` it is `context.call::<tour::visit>((other.pass(),))`.
    pub fn pass<C: Travels<Address = ContextAddress>>(&self) -> C {
        C::from_address(ContextAddress {
            id: self.inner.id.0,
            name: self.inner.name.to_string(),
            target: self.inner.target.to_string(),
        })
    }

    /// The same context, with a deadline for each call made through this handle.
    ///
    /// The callee stops a function whose time is up, even one that loops; the caller's wait ends
    /// half a second later at most, even if nothing is heard from the callee.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self.clone()
        }
    }

    /// The same context, with calls that belong to that chain.
    pub(crate) fn with_chain(&self, chain: u64) -> Self {
        Self {
            chain,
            ..self.clone()
        }
    }

    pub(crate) fn tree(&self) -> &Arc<Tree> {
        &self.inner.tree
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
        let pending = self.start_typed::<F>(arguments, Pace::Now).await?;
        pending.callee.decode(&pending.value().await?)
    }

    /// The same, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`Error::Usage`] in a thread that must not wait: it drives the
    /// router itself.
    pub fn call_blocking<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, Error> {
        blocking::wait(Some(&self.inner.tree.hub), self.call::<F>(arguments))?
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
        let pending = self.start_typed::<F>(arguments, Pace::Gather).await?;
        Ok(Receiver::of_call(pending.reply, pending.callee))
    }

    /// Starts a call whose outcome nobody waits for (`B021`). If the function fails, the context
    /// logs that.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), for what can be known before the call leaves.
    ///
    /// # Cancel safety
    ///
    /// When dropped, no call was made.
    pub async fn call_no_reply<F: Function>(&self, arguments: F::Arguments) -> Result<(), Error> {
        let (plugin, arguments) = self.prepare::<F>(&arguments)?;
        let call = (F::NAME, arguments);
        self.send_request(&plugin, call, Pace::Gather, false)
            .await?;
        Ok(())
    }

    /// Starts a call of a function by its name; see [`call_named`](Self::call_named).
    ///
    /// # Errors
    ///
    /// As [`call_async`](Self::call_async).
    ///
    /// # Cancel safety
    ///
    /// As [`call_async`](Self::call_async).
    pub async fn call_named_async<R: DeserializeOwned>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
    ) -> Result<Receiver<R>, Error> {
        let pending = self
            .start(plugin, function, arguments, Pace::Gather)
            .await?;
        Ok(Receiver::of_call(pending.reply, pending.callee))
    }

    /// A chain of calls, which stops at the first that fails (`B020`).
    pub fn chain(&self) -> CallChain {
        CallChain::new(self)
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
        let pending = self.start(plugin, function, arguments, Pace::Now).await?;
        pending.callee.decode(&pending.value().await?)
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
        let pending = self
            .send_call(plugin, function, Arguments::Copied(arguments), Pace::Now)
            .await?;
        pending.value().await
    }

    /// Sends a message to a handle in the context (`S101`). Nobody says whether it has arrived.
    ///
    /// # Errors
    ///
    /// Fails when it cannot leave.
    pub fn send(&self, message: Message) -> Result<(), Error> {
        let (handle, reply_to, body) = message.into_parts();
        let hub = &self.inner.tree.hub;
        let sent = hub.drive(|state, _| state.node.post(self.inner.id, handle, reply_to, body));
        sent.map_err(|error| Error::unsent(self.name(), &error))
    }

    /// Sends a message and gives a receiver of the answer (`S102`), or, if `persist`, of all that
    /// is sent to where the answer goes. Only this context can answer.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when it cannot leave; [`Error::Usage`] in a handler, which must not wait.
    pub fn send_async<T: DeserializeOwned>(
        &self,
        message: Message,
        persist: bool,
    ) -> Result<Receiver<T>, Error> {
        if Hub::is_any_settling() {
            return Err(Error::Usage(
                "cannot wait for an answer in a handler: let `Message::with_reply_to` name the \
                 handle of another one"
                    .to_owned(),
            ));
        }
        let listen = Listen::new().persist(persist).respondent(self);
        let router = Router {
            tree: self.inner.tree.clone(),
        };
        let receiver = Receiver::new(&router, listen)?;
        self.send(message.with_reply_to(receiver.handle()))?;
        Ok(receiver)
    }

    /// Sends a message and waits for the one answer, so long at most if `deadline` says so
    /// (`S103`). An answer that comes later is nobody's.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::Channel`] when there will be no answer, [`Error::Malformed`]
    /// when it is something else than `T`.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the message was sent, and the answer is nobody's.
    pub async fn send_await<T: DeserializeOwned>(
        &self,
        message: Message,
        deadline: Option<Duration>,
    ) -> Result<T, Error> {
        let receiver = self.send_async(message, false)?;
        match deadline {
            Some(deadline) => receiver.get_timeout(deadline).await,
            None => receiver.get().await,
        }
    }

    /// Lets the context outlive its parent and this program (`B045`): the calls that run in it go
    /// on, and so do those behind them, and it ends when the last of them has. Nothing more is heard
    /// of it then. Calls whose plugin has not arrived yet do not count.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), when it cannot be asked.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the context may be detached or not.
    pub async fn detach(&self) -> Result<(), Error> {
        let (hub, id) = (&self.inner.tree.hub, self.inner.id);
        let reply = hub.drive(|state, _| {
            let handle = state.node.detach(id)?;
            Ok(Listening::new(hub, state, Some(id), handle))
        });
        let reply = reply.map_err(|error| Error::unsent(self.name(), &error))?;
        match reply.take().await {
            Taken::Mail(mail) => match mail.content {
                Content::Body(Body::Dead(dead)) => {
                    Err(Error::Channel(ChannelError::new(self.name(), &dead)))
                }
                _ => Ok(()),
            },
            Taken::Over(reason) => {
                let dead = Dead::new(DeadKind::Closed, &*reason);
                Err(Error::Channel(ChannelError::new(self.name(), &dead)))
            }
        }
    }

    /// Asks the context to end (`B022`). Its descendants end with it.
    pub fn shutdown(&self) {
        let id = self.inner.id;
        self.inner
            .tree
            .hub
            .drive(|state, _| state.node.shut_down(id));
    }

    /// The same, and waits until it is gone (`B022`), with the process or the session that led to
    /// it.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the context ends all the same.
    pub async fn shutdown_wait(&self) {
        self.shutdown();
        self.lost().await;
        self.inner.tree.hub.until_put_down(self.inner.id).await;
    }

    /// Waits until the context is gone, for whatever reason, and gives that (`S104`, `B050`).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing.
    pub async fn lost(&self) -> String {
        let router = Router {
            tree: self.inner.tree.clone(),
        };
        let watch = Receiver::<()>::new(&router, Listen::new().respondent(self));
        let watch = match watch {
            Ok(watch) => watch,
            Err(error) => return error.to_string(),
        };
        loop {
            match watch.get().await {
                Err(Error::Channel(error)) if watch.is_over() => return error.reason,
                // The context can send what it likes; only its loss ends the watch.
                _ => {}
            }
        }
    }

    async fn start_typed<F: Function>(
        &self,
        arguments: F::Arguments,
        pace: Pace,
    ) -> Result<Pending, Error> {
        let (plugin, arguments) = self.prepare::<F>(&arguments)?;
        self.send_call(&plugin, F::NAME, arguments, pace).await
    }

    /// Finds the function, and checks that it is the one that the caller was compiled with.
    fn prepare<F: Function>(
        &self,
        arguments: &F::Arguments,
    ) -> Result<(Plugin, Arguments<'static>), Error> {
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
        let arguments = encode(&plugin, F::NAME, arguments)?;
        Ok((plugin, arguments))
    }

    async fn start(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
        pace: Pace,
    ) -> Result<Pending, Error> {
        let arguments = encode(plugin, function, arguments)?;
        self.send_call(plugin, function, arguments, pace).await
    }

    async fn send_call(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: Arguments<'_>,
        pace: Pace,
    ) -> Result<Pending, Error> {
        let call = (function, arguments);
        let (reply, function) = self.send_request(plugin, call, pace, true).await?;
        let Some(reply) = reply else {
            return Err(Error::Usage(
                "a call without an answer was awaited".to_owned(),
            ));
        };
        Ok(Pending {
            reply,
            callee: Callee {
                context: self.clone(),
                plugin: plugin.clone(),
                function,
                timeout: self.timeout,
            },
        })
    }

    /// Sends a call; gives the wait for its answer, if one is wanted, and the function's place in
    /// the manifest.
    async fn send_request(
        &self,
        plugin: &Plugin,
        (function, arguments): (&str, Arguments<'_>),
        pace: Pace,
        wait: bool,
    ) -> Result<(Option<Listening>, usize), Error> {
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
            chain: self.chain,
            is_awaited: wait,
            arguments,
            timeout: self.timeout,
        };
        let hub = &self.inner.tree.hub;
        let send = |state: &mut State, now| {
            if !state.node.is_bound(request.dst, &ready.bind.key) {
                state.node.provide_image(ready.bind.image, &ready.image)?;
            }
            let handle = state.node.call(request, now)?;
            let from = Some(self.inner.id);
            Ok(wait.then(|| Listening::new(hub, state, from, handle)))
        };
        let sent = match pace {
            Pace::Now => hub.drive(send),
            Pace::Gather => hub.drive_lazily(send),
        };
        match sent {
            Ok(reply) => Ok((reply, index)),
            Err(error) => Err(Error::unsent(self.name(), &error)),
        }
    }
}

fn encode(
    plugin: &Plugin,
    function: &str,
    arguments: &impl Serialize,
) -> Result<Arguments<'static>, PluginError> {
    Arguments::encode(function, arguments).map_err(|error| PluginError::Encode {
        function: format!("{}::{function}", plugin.name()),
        reason: error.to_string(),
    })
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

impl Hash for Context {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.id.hash(state);
    }
}
