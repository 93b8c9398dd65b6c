//! The start of everything: a router, and the contexts that it makes.

use std::sync::Arc;

use offshoot_proto::Node;

use crate::error::Error;
use crate::hub::Hub;
use crate::local::Local;
use crate::plugin::{Plugin, PluginError, Registry};

/// The controller's place in the tree: makes contexts and knows plugins.
///
/// Cheap to clone; all clones are one router. When the last clone, and the last [`Context`] made
/// by it, is dropped, every context ends; [`shutdown`](Self::shutdown) also waits for that.
///
/// [`Context`]: crate::Context
///
/// ```no_run
/// # async fn example() -> Result<(), offshoot::Error> {
/// let router = offshoot::Router::new()?;
/// let context = router.local().await?;
/// println!("{} is up", context.name());
/// router.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Router {
    pub(crate) tree: Arc<Tree>,
}

/// What a router and its contexts share.
pub(crate) struct Tree {
    pub(crate) hub: Arc<Hub>,
    pub(crate) plugins: Registry,
}

impl Router {
    /// A router of its own tree. Its tasks run in the current tokio runtime, whose timers and
    /// I/O must be enabled; either flavour of runtime will do.
    ///
    /// # Errors
    ///
    /// Fails outside of a tokio runtime.
    pub fn new() -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::Usage(
                "a router needs a tokio runtime: make it inside `#[tokio::main]` or \
                 `Runtime::block_on`"
                    .to_owned(),
            )
        })?;
        let mut seed = [0; 8];
        // Without randomness handles are easier to guess, and still bound to who may use them.
        let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::NONBLOCK);
        let node = Node::controller(u64::from_le_bytes(seed));
        Ok(Self {
            tree: Arc::new(Tree {
                hub: Hub::new(node, crate::logs::level_wanted(), Some(runtime)),
                plugins: Registry::default(),
            }),
        })
    }

    /// A new context in a process of the same user on this machine, or on that of another
    /// context (`S080`). Await the builder to make it.
    pub fn local(&self) -> Local {
        Local::new(self.tree.clone())
    }

    /// Makes a plugin known, so that typed calls find it by its name.
    pub fn add_plugin(&self, plugin: Plugin) {
        self.tree.plugins.add(plugin);
    }

    /// The plugin of that name: one that was added, else one from the [search
    /// path](crate::search_path).
    ///
    /// # Errors
    ///
    /// Fails when there is none, or it is not usable.
    pub fn plugin(&self, name: &str) -> Result<Plugin, PluginError> {
        self.tree.plugins.get(name)
    }

    /// Ends every context and waits until the processes are gone.
    ///
    /// # Cancel safety
    ///
    /// When dropped, contexts are still ended, and nobody waits for them.
    pub async fn shutdown(&self) {
        self.tree.hub.close().await;
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}
