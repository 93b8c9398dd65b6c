//! Calls that depend on each other, without a round trip between them.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Context;

/// Calls of one context that stop at the first that fails (`B020`).
///
/// Calls made through a chain are made like those of its [`Context`], but once one has failed, the
/// later ones do not run, and fail with the same error. So many steps that depend on each other
/// cost one round trip.
///
/// Dropping it forgets the failure in the context too; so does [`reset`](Self::reset), to start
/// anew.
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

    /// Forgets a failure: the next call runs.
    pub fn reset(&self) {
        let driver = &self.context.tree().driver;
        let (dst, id) = (self.context.context_id(), self.id);
        driver.drive_lazily(|state, _| state.node.forget_chain(dst, id));
    }
}

impl Deref for CallChain {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl Drop for CallChain {
    fn drop(&mut self) {
        self.reset();
    }
}

impl Context {
    /// A chain of calls, which stops at the first that fails (`B020`).
    pub fn chain(&self) -> CallChain {
        CallChain::new(self)
    }
}
