//! A context, as its users hold it.
//!
//! What can be done with one is in the modules below: calls, messages, and its end.

mod call_target;
mod calls;
mod chain;
mod lifetime;
mod messages;
mod router;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use offshoot_abi::{ContextAddress, Portable};
use offshoot_proto::ContextId;

use crate::error::Error;
use crate::tree::Tree;

pub(crate) use call_target::CallTarget;
pub use chain::CallChain;

/// A handle to one process in the tree.
///
/// Cheap to clone; two handles are equal when they mean the same context.
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

    /// Its id, where the context is to be one of that tree: another tree has others of the same ids.
    pub(crate) fn id_in(&self, tree: &Arc<Tree>) -> Result<ContextId, Error> {
        if Arc::ptr_eq(&self.inner.tree, tree) {
            return Ok(self.inner.id);
        }
        Err(Error::ForeignContext {
            context: self.name().to_owned(),
        })
    }

    /// The context as the type that a plugin's functions take, to be an argument of one.
    ///
    /// With a plugin `tour` it is `context.call::<tour::visit>((other.to_portable(),))`.
    pub fn to_portable<C: Portable<Address = ContextAddress>>(&self) -> C {
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
