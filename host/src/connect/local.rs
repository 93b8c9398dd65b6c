//! The builder of a local context.

use std::sync::Arc;

use super::{ConnectBuilder, common};
use crate::tree::Tree;
use offshoot_node::launch::LocalSpec;

/// A local context that is about to be made. Await it.
///
/// ```no_run
/// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// let first = router.local().remote_name("build-7").await?;
/// let second = router.local().via(&first).await?;
/// assert!(second.name().starts_with(first.name()));
/// # Ok(())
/// # }
/// ```
#[must_use = "a context is made when the builder is awaited"]
pub struct Local {
    making: ConnectBuilder,
    spec: LocalSpec,
}

impl Local {
    pub(crate) fn new(tree: Arc<Tree>) -> Self {
        Self {
            making: ConnectBuilder::new(tree),
            spec: LocalSpec::default(),
        }
    }
}

common!(Local, "local.<pid>", |this| this.spec, |spec| spec.into());
