//! The builder of a local context.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::Traces;

use crate::context::Context;
use crate::error::Error;
use crate::launch::{self, CONNECT_TIMEOUT, ConnectError, LocalSpec, Wanted};
use crate::router::Tree;

/// A local context that is about to be made (`S080`). Await it.
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
    tree: Arc<Tree>,
    via: Option<Context>,
    name: Option<String>,
    spec: LocalSpec,
    traces: Traces,
    connect_timeout: Duration,
}

impl Local {
    pub(crate) fn new(tree: Arc<Tree>) -> Self {
        Self {
            tree,
            via: None,
            name: None,
            spec: LocalSpec::default(),
            traces: Traces::default(),
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// Makes the context a child of that one instead of this process (`S086`).
    pub fn via(mut self, parent: &Context) -> Self {
        self.via = Some(parent.clone());
        self
    }

    /// What process listings show behind `offshoot:`; the default is
    /// `<user>@<host>:<pid of the parent>` (`S081`, `S082`). No slashes.
    pub fn remote_name(mut self, name: impl Into<String>) -> Self {
        self.spec.remote_name = Some(name.into());
        self
    }

    /// The context's name; the default is `local.<pid>`, behind its parent's name and a dot.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A child binary on the machine where the context will run; the default is the one that
    /// this program carries (`S083`).
    pub fn child_path(mut self, path: impl Into<String>) -> Self {
        self.spec.child_path = Some(path.into());
        self
    }

    /// Whether everything that the context logs is wanted, whatever this program's log level, and
    /// whether it and those below it write a debug log, `offshoot.<pid>.log`, into the directory
    /// for temporary files on their machine (`S084`). [`Router::enable_debug`] says so for all.
    ///
    /// [`Router::enable_debug`]: crate::Router::enable_debug
    pub fn debug(mut self, debug: bool) -> Self {
        self.traces.debug = debug;
        self
    }

    /// Whether the context and those below it write a profile when they end in order,
    /// `offshoot.stats.<pid>.<thread>.log` in the directory for temporary files on their machine:
    /// which functions took how long (`S085`). [`RouterBuilder::profiling`] says so for all.
    ///
    /// [`RouterBuilder::profiling`]: crate::RouterBuilder::profiling
    pub fn profiling(mut self, profiling: bool) -> Self {
        self.traces.profiling = profiling;
        self
    }

    /// How long the context may take to come up; the default is 30 seconds (`B011`).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    async fn connect(self) -> Result<Context, Error> {
        let hub = &self.tree.hub;
        if hub.is_ended() {
            return Err(Error::shut_down());
        }
        let debug = self.traces.debug || hub.traces().debug;
        let log_level = if debug { 4 } else { hub.log_level };
        let wanted = Wanted {
            via: self.via.as_ref().map(Context::context_id),
            name: self.name,
            log_level,
            traces: self.traces,
            timeout: self.connect_timeout,
            spec: self.spec,
        };
        let connected = launch::connect(hub, wanted).await;
        let (id, up) = connected.map_err(|error| match error {
            ConnectError::Stream(error) => error.into(),
            ConnectError::Unsent(error) => {
                let via = self.via.as_ref().map_or("controller", Context::name);
                Error::unsent(via, &error)
            }
        })?;
        let target = up.hello.target.into();
        Ok(Context::new(self.tree.clone(), id, up.name, target))
    }
}

impl IntoFuture for Local {
    type Output = Result<Context, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Makes the context.
    ///
    /// # Cancel safety
    ///
    /// When dropped, the context is not made, or ended if it was made already.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.connect())
    }
}
