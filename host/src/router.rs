//! The start of everything: a router, and the contexts that it makes.

use std::sync::Arc;

use offshoot_node::{context, logs};
use offshoot_proto::control::Traces;
use offshoot_proto::{ContextId, Node};

use crate::blocking::{self, Broker};
use crate::embedded;
use crate::error::Error;
use crate::plugin::{Plugin, PluginError, Registry};
use crate::tree::Tree;

/// The controller's place in the tree: makes contexts, knows plugins, and moves messages between
/// contexts and programs.
///
/// Cheap to clone; all clones are one router. When the last clone, and the last [`Context`](crate::Context) made
/// by it, is dropped, every context ends; [`shutdown`](Self::shutdown) also waits for that.
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

/// A router that is about to be made, and what is special about it.
///
/// ```no_run
/// # async fn example() -> Result<(), offshoot::Error> {
/// let router = offshoot::Router::builder()
///     .max_message_size(1 << 20)
///     .unidirectional(false)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct RouterBuilder {
    broker: Option<Broker>,
    unidirectional: Option<bool>,
    max_message_size: Option<u32>,
    profiling: bool,
}

impl RouterBuilder {
    /// Runs the router's tasks in that broker's thread instead of in the current tokio runtime.
    pub fn broker(mut self, broker: &Broker) -> Self {
        self.broker = Some(broker.clone());
        self
    }

    /// Whether contexts can reach only those above and below them, and not their siblings
    ///. They cannot unless this says `false`: one that is taken over then reaches its
    /// parents only. Calls can be made from above only, whatever this says.
    pub fn unidirectional(mut self, unidirectional: bool) -> Self {
        self.unidirectional = Some(unidirectional);
        self
    }

    /// Bytes that a message of this tree may have, 128 MiB unless changed. Larger ones
    /// are an error for whoever sends them.
    pub fn max_message_size(mut self, bytes: u32) -> Self {
        self.max_message_size = Some(bytes);
        self
    }

    /// Whether this context and all others write a profile when they end in order:
    /// `offshoot.stats.<pid>.<thread>.log` in the directory for temporary files, readable by
    /// their user only. So does the environment variable `OFFSHOOT_PROFILING`.
    pub fn profiling(mut self, profiling: bool) -> Self {
        self.profiling = profiling;
        self
    }

    /// Makes the router.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when it needs a thread of its own and the system gives none.
    pub fn build(self) -> Result<Router, Error> {
        let (runtime, broker) = match (self.broker, tokio::runtime::Handle::try_current()) {
            (Some(broker), _) => (broker.runtime(), Some(broker)),
            (None, Ok(runtime)) => (runtime, None),
            (None, Err(_)) => {
                let broker = Broker::new()?;
                (broker.runtime(), Some(broker))
            }
        };
        let mut seed = [0; 8];
        // Without randomness handles are easier to guess, and still bound to who may use them.
        let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::NONBLOCK);
        let mut node = Node::controller(u64::from_le_bytes(seed));
        if let Some(unidirectional) = self.unidirectional {
            node.set_unidirectional(unidirectional);
        }
        if let Some(bytes) = self.max_message_size {
            node.set_message_max(bytes);
        }
        embedded::provide();
        let driver = context::start(node, logs::level_wanted(), Some(runtime));
        let asked = |variable| std::env::var_os(variable).is_some_and(|value| value != "0");
        driver.start_traces(Traces {
            debug: asked("OFFSHOOT_DEBUG"),
            profiling: self.profiling || asked("OFFSHOOT_PROFILING"),
        });
        if let Some(broker) = &broker {
            broker.look_after(&driver);
        }
        Ok(Router {
            tree: Arc::new(Tree {
                driver,
                plugins: Registry::default(),
                _broker: broker,
            }),
        })
    }
}

/// How many messages a router has moved, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouterStats {
    /// Messages handed to someone in this context.
    pub delivered: u64,
    /// Frames passed on from one context to another.
    pub forwarded: u64,
    /// Messages that came too late for a handle that is gone.
    pub late: u64,
    /// Messages that a rule refused.
    pub refused: u64,
    /// Messages that no context of this build would send.
    pub violations: u64,
    /// Contexts in the tree below.
    pub contexts: usize,
    /// Handles that are listened on.
    pub handles: usize,
    /// Bytes of messages that receivers and handlers have not taken yet.
    pub held_bytes: u64,
}

impl Router {
    /// A router of its own tree. Its tasks run in the current tokio runtime, whose timers and
    /// I/O must be enabled; either flavour will do. In a plain thread it gets a [`Broker`].
    ///
    /// # Errors
    ///
    /// As [`RouterBuilder::build`].
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// A router with something special about it.
    pub fn builder() -> RouterBuilder {
        RouterBuilder::default()
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

    /// The id of the direct child through which messages to a context go; `None` without a route.
    pub fn next_hop(&self, context_id: u32) -> Option<u32> {
        let state = self.tree.driver.lock();
        let link = state.node.link_to(ContextId(context_id))?;
        Some(state.node.peer_of(link)?.0)
    }

    /// Mitogen's name of [`next_hop`](Self::next_hop). It returns a context's id, as streams are
    /// not part of this interface.
    pub fn stream_by_id(&self, context_id: u32) -> Option<u32> {
        self.next_hop(context_id)
    }

    /// Takes an id that no other context ever had. [`local`](Self::local) and its like do
    /// so themselves.
    ///
    /// # Errors
    ///
    /// [`Error::Channel`] when no ids are left, or too many have no place yet.
    pub fn allocate_id(&self) -> Result<u32, Error> {
        let id = self.tree.driver.drive(|state, _| state.node.allocate_id());
        id.map(|id| id.0)
            .map_err(|error| Error::unsent("controller", &error))
    }

    /// Says that the context of an id that was [allotted](Self::allocate_id) will be below `via`,
    /// which is this context or below it, and announces that on the way.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when `via` is not there, or the id is not one that was allotted or has its
    /// place already. Nothing has changed then.
    pub fn add_route(&self, id: u32, via: u32) -> Result<(), Error> {
        let (id, via) = (ContextId(id), ContextId(via));
        let added = self
            .tree
            .driver
            .drive(|state, _| state.node.add_route(id, via));
        added.map_err(|error| Error::Usage(format!("cannot add a route: {error}")))
    }

    /// Has this context, and all that are made from now on, write what they do into
    /// `offshoot.<pid>.log` in the directory for temporary files, readable by their user only
    ///. The environment variable `OFFSHOOT_DEBUG` says so from the start.
    pub fn enable_debug(&self) {
        self.tree.driver.start_traces(Traces {
            debug: true,
            profiling: false,
        });
    }

    /// What has happened so far, and what is held now.
    pub fn stats(&self) -> RouterStats {
        let state = self.tree.driver.lock();
        let (stats, gauges) = (state.node.stats(), state.node.gauges());
        RouterStats {
            delivered: stats.delivered,
            forwarded: stats.forwarded,
            late: stats.late,
            refused: stats.refused,
            violations: stats.violations,
            contexts: state.node.descendants(),
            handles: gauges.listeners,
            held_bytes: gauges.held_bytes,
        }
    }

    /// Ends every context and waits until the processes are gone. Every wait ends: receivers and
    /// handlers learn that the router was shut down.
    ///
    /// # Cancel safety
    ///
    /// When dropped, contexts are still ended, and nobody waits for them.
    pub async fn shutdown(&self) {
        let driver = &self.tree.driver;
        driver.inside(driver.close()).await;
        driver.write_profile("broker");
    }

    /// The same, from a thread that is not the runtime's.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] in a thread that must not wait: it drives the router itself.
    pub fn shutdown_blocking(&self) -> Result<(), Error> {
        blocking::wait(Some(&self.tree.driver), self.shutdown())
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").finish_non_exhaustive()
    }
}
