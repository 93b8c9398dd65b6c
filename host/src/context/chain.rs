//! Calls that depend on each other, without a round trip between them.

use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_abi::Function;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Context;
use crate::error::Error;
use crate::messages::Receiver;
use crate::plugin::Plugin;

/// Calls of one context of which none runs after one has failed: the later ones fail with the
/// error of that one. So steps that depend on each other cost one round trip.
///
/// Calls through a chain are those of its [`Context`], and have the deadline of the handle that
/// made the chain. [`reset`](Self::reset), and dropping the chain, clear the failure.
///
/// ```no_run
/// # mod disk { macro_rules! f { ($($n:ident)*) => { $(pub enum $n {} impl offshoot::Function for $n {
/// #     const PLUGIN: &'static str = "disk"; const NAME: &'static str = stringify!($n);
/// #     const SIGNATURE: u64 = 0; const CONCURRENT: bool = false; type Arguments = (); type Output = (); })* } }
/// #     f!(mount fill); }
/// # async fn example(context: offshoot::Context) -> Result<(), offshoot::Error> {
/// let chain = context.chain();
/// let mounted = chain.call_async::<disk::mount>(()).await?;
/// let filled = chain.call_async::<disk::fill>(()).await?; // does not run if that one fails
/// filled.get().await
/// # }
/// ```
#[derive(Debug)]
pub struct CallChain {
    context: Context,
    id: u64,
}

/// Chains of this process are numbered through; their makers tell them apart elsewhere.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl CallChain {
    pub(crate) fn new(context: &Context) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            context: context.with_chain(id),
            id,
        }
    }

    /// The context that the calls go to. Calls through it are not part of the chain.
    pub fn context(&self) -> Context {
        self.context.with_chain(0)
    }

    /// As [`Context::call`].
    ///
    /// # Errors
    ///
    /// As that, or with the error of the call that failed first.
    ///
    /// # Cancel safety
    ///
    /// As that.
    pub async fn call<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, Error> {
        self.context.call::<F>(arguments).await
    }

    /// As [`Context::call_blocking`].
    ///
    /// # Errors
    ///
    /// As that, or with the error of the call that failed first.
    pub fn call_blocking<F: Function>(&self, arguments: F::Arguments) -> Result<F::Output, Error> {
        self.context.call_blocking::<F>(arguments)
    }

    /// As [`Context::call_async`].
    ///
    /// # Errors
    ///
    /// As that; the receiver gets the error of the call that failed first.
    ///
    /// # Cancel safety
    ///
    /// As that.
    pub async fn call_async<F: Function>(
        &self,
        arguments: F::Arguments,
    ) -> Result<Receiver<F::Output>, Error> {
        self.context.call_async::<F>(arguments).await
    }

    /// As [`Context::call_no_reply`]; if it fails, the calls after it do not run.
    ///
    /// # Errors
    ///
    /// As that.
    ///
    /// # Cancel safety
    ///
    /// As that.
    pub async fn call_no_reply<F: Function>(&self, arguments: F::Arguments) -> Result<(), Error> {
        self.context.call_no_reply::<F>(arguments).await
    }

    /// As [`Context::call_named`].
    ///
    /// # Errors
    ///
    /// As that, or with the error of the call that failed first.
    ///
    /// # Cancel safety
    ///
    /// As that.
    pub async fn call_named<R: DeserializeOwned>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
    ) -> Result<R, Error> {
        self.context.call_named(plugin, function, arguments).await
    }

    /// As [`Context::call_named_async`].
    ///
    /// # Errors
    ///
    /// As that; the receiver gets the error of the call that failed first.
    ///
    /// # Cancel safety
    ///
    /// As that.
    pub async fn call_named_async<R: DeserializeOwned>(
        &self,
        plugin: &Plugin,
        function: &str,
        arguments: &impl Serialize,
    ) -> Result<Receiver<R>, Error> {
        self.context
            .call_named_async(plugin, function, arguments)
            .await
    }

    /// Clears the failure: the next call runs.
    pub fn reset(&self) {
        let driver = &self.context.tree().driver;
        let (dst, id) = (self.context.context_id(), self.id);
        driver.drive_lazily(|state, _| state.node.forget_chain(dst, id));
    }
}

impl Drop for CallChain {
    fn drop(&mut self) {
        self.reset();
    }
}

impl Context {
    /// A chain of calls to this context, of which none runs after one has failed.
    pub fn chain(&self) -> CallChain {
        CallChain::new(self)
    }
}
