//! Calls of functions in a context.

use bytes::Bytes;
use offshoot_abi::Function;
use offshoot_node::driver::{Listening, State};
use offshoot_proto::CallRequest;
use offshoot_proto::control::Arguments;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use super::call_target::{Callee, Pending};
use crate::blocking;
use crate::error::Error;
use crate::messages::Receiver;
use crate::plugin::{Plugin, PluginError};

impl Context {
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
