//! Calls of functions in a context.

use std::sync::Arc;

use bytes::Bytes;
use offshoot_abi::{Function, FunctionInfo};
use offshoot_node::driver::{State, Subscription};
use offshoot_proto::control::Arguments;
use offshoot_proto::{CallRequest, Handle, Instant, SendError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::call_target::{CallTarget, Pending};
use crate::blocking;
use crate::error::Error;
use crate::messages::Receiver;
use crate::plugin::{Plugin, PluginError, Ready};

impl Context {
    /// Calls a function and waits for its value.
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
        let pending = self.start_typed::<F>(arguments, Flush::Immediately).await?;
        pending.target_call.decode(&pending.value().await?)
    }

    /// The same, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call), and [`Error::Usage`] in a thread that must not wait: it drives the
    /// router itself.
    pub fn call_blocking<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, Error> {
        blocking::wait(Some(&self.inner.tree.driver), self.call::<F>(arguments))?
    }

    /// Starts a call and gives a receiver of its value. The call is on its way when the
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
        let pending = self.start_typed::<F>(arguments, Flush::Batched).await?;
        Ok(Receiver::of_call(pending.reply, pending.target_call))
    }

    /// Starts a call whose outcome nobody waits for. If the function fails, the context
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
        self.send_call_no_reply(&plugin, F::NAME, arguments).await
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
            .start(plugin, function, arguments, Flush::Batched)
            .await?;
        Ok(Receiver::of_call(pending.reply, pending.target_call))
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
        let pending = self
            .start(plugin, function, arguments, Flush::Immediately)
            .await?;
        pending.target_call.decode(&pending.value().await?)
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
            .send_call(
                plugin,
                function,
                Arguments::Copied(arguments),
                Flush::Immediately,
            )
            .await?;
        pending.value().await
    }

    async fn start_typed<F: Function>(
        &self,
        arguments: F::Arguments,
        pace: Flush,
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
        pace: Flush,
    ) -> Result<Pending, Error> {
        let arguments = encode(plugin, function, arguments)?;
        self.send_call(plugin, function, arguments, pace).await
    }

    /// Sends a call whose answer is awaited.
    async fn send_call(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: Arguments<'_>,
        pace: Flush,
    ) -> Result<Pending, Error> {
        let call = self.prepare_call(plugin, function).await?;
        let driver = &self.inner.tree.driver;
        let send = |state: &mut State, now| {
            let handle = call.send(self, Answer::Awaited, arguments, state, now)?;
            Ok(Subscription::new(
                driver,
                state,
                Some(self.inner.id),
                handle,
            ))
        };
        let sent = match pace {
            Flush::Immediately => driver.drive(send),
            Flush::Batched => driver.drive_lazily(send),
        };
        let reply = sent.map_err(|error| Error::unsent(self.name(), &error))?;
        Ok(Pending {
            reply,
            target_call: CallTarget {
                context: self.clone(),
                plugin: plugin.clone(),
                function: call.index,
                timeout: self.timeout,
            },
        })
    }

    /// Sends a call that is not answered.
    async fn send_call_no_reply(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: Arguments<'_>,
    ) -> Result<(), Error> {
        let call = self.prepare_call(plugin, function).await?;
        let driver = &self.inner.tree.driver;
        let sent = driver
            .drive_lazily(|state, now| call.send(self, Answer::NotWanted, arguments, state, now));
        match sent {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::unsent(self.name(), &error)),
        }
    }

    /// Finds the function, and has its plugin compiled for the context's target.
    async fn prepare_call<'a>(
        &self,
        plugin: &'a Plugin,
        function: &str,
    ) -> Result<PreparedCall<'a>, Error> {
        let index = plugin.function_index(function)?;
        let target = &self.inner.target;
        let ready = match plugin.if_ready(target) {
            Some(ready) => ready,
            None => plugin.prepare(target).await?,
        };
        Ok(PreparedCall {
            info: &plugin.manifest().functions[index],
            index,
            ready,
        })
    }
}

/// A call that has all it needs but its arguments.
struct PreparedCall<'a> {
    info: &'a FunctionInfo,
    /// The function's place in the manifest.
    index: usize,
    ready: Arc<Ready>,
}

/// Whether the caller waits for a call's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Awaited,
    NotWanted,
}

impl PreparedCall<'_> {
    /// Queues the call, and in front of it the image if the context does not have it. Gives the
    /// handle that the answer goes to.
    fn send(
        &self,
        context: &Context,
        answer: Answer,
        arguments: Arguments<'_>,
        state: &mut State,
        now: Instant,
    ) -> Result<Handle, SendError> {
        let dst = context.inner.id;
        let Ready { bind, image, .. } = &*self.ready;
        if !state.node.is_bound(dst, &bind.key) {
            state.node.provide_image(bind.image, image)?;
        }
        let request = CallRequest {
            dst,
            bind,
            function: &self.info.name,
            signature: self.info.signature,
            concurrent: self.info.concurrent,
            chain: context.chain,
            is_awaited: answer == Answer::Awaited,
            arguments,
            timeout: context.timeout,
        };
        state.node.call(request, now)
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
enum Flush {
    /// At once: the caller waits for the answer.
    Immediately,
    /// Together with those of the calls that come next.
    Batched,
}
