//! The builders of contexts: one for each way to make one.

mod become_user;
mod local;
mod ssh;

use std::sync::Arc;

use offshoot_proto::control::{ConnectOptions, Method, Traces};

use crate::context::Context;
use crate::error::Error;
use crate::router::Router;
use crate::tree::Tree;
use offshoot_node::launch::{self, CONNECT_TIMEOUT, ConnectRequest, NewContextError, Progress};

pub use become_user::{Doas, Su, Sudo};
pub use local::Local;
pub use ssh::Ssh;

/// What every builder knows, whatever the way.
pub(crate) struct ConnectBuilder {
    tree: Arc<Tree>,
    via: Option<Context>,
    options: ConnectOptions,
    progress: Progress,
}

impl ConnectBuilder {
    pub(crate) fn new(tree: Arc<Tree>) -> Self {
        Self {
            options: ConnectOptions {
                name: None,
                log_level: tree.driver.log_level,
                traces: Traces::default(),
                timeout: CONNECT_TIMEOUT,
            },
            tree,
            via: None,
            progress: Progress::default(),
        }
    }

    async fn connect(mut self, method: Method) -> Result<Context, Error> {
        let driver = &self.tree.driver;
        if driver.is_ended() {
            return Err(Error::shut_down());
        }
        if self.options.traces.debug || driver.traces().debug {
            self.options.log_level = 4;
        }
        let via = self.via.as_ref().map(|via| via.id_in(&self.tree));
        let wanted = ConnectRequest {
            via: via.transpose()?,
            options: self.options,
            progress: self.progress,
            spec: method,
        };
        let connected = launch::connect(driver, wanted).await;
        let (id, up) = connected.map_err(|error| match error {
            NewContextError::Connect(error) => error.into(),
            NewContextError::Unsent(error) => {
                let via = self.via.as_ref().map_or("controller", Context::name);
                Error::unsent(via, &error)
            }
        })?;
        let target = up.hello.target.into();
        Ok(Context::new(self.tree.clone(), id, up.name, target))
    }
}

/// The setters of a builder that every builder has, and what awaits it. `$start` is where its
/// method keeps `remote_name` and `child_path`.
macro_rules! common {
    ($builder:ident, $default_name:expr, |$this:ident| $start:expr, |$made:ident| $method:expr) => {
        impl $builder {
            /// Makes the context a child of that one instead of this process.
            pub fn via(mut self, parent: &crate::Context) -> Self {
                self.making.via = Some(parent.clone());
                self
            }

            /// What process listings show behind `offshoot:`; the default is
            /// `<user>@<host>:<pid of the parent>`. No slashes.
            pub fn remote_name(mut self, name: impl Into<String>) -> Self {
                let $this = &mut self;
                $start.remote_name = Some(name.into());
                self
            }

            #[doc = concat!("The context's name; the default is `", $default_name, "`, behind its parent's name and a dot (`B014`).")]
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.making.options.name = Some(name.into());
                self
            }

            /// A child binary on the machine where the context will run; the default is the one
            /// that this program carries.
            pub fn child_path(mut self, path: impl Into<String>) -> Self {
                let $this = &mut self;
                $start.child_path = Some(path.into());
                self
            }

            /// Whether everything that the context logs is wanted, whatever this program's log
            /// level, and whether it and those below it write a debug log, `offshoot.<pid>.log`,
            /// into the directory for temporary files on their machine.
            /// [`Router::enable_debug`] says so for all.
            ///
            /// [`Router::enable_debug`]: crate::Router::enable_debug
            pub fn debug(mut self, debug: bool) -> Self {
                self.making.options.traces.debug = debug;
                self
            }

            /// Whether the context and those below it write a profile when they end in order,
            /// `offshoot.stats.<pid>.<thread>.log` in the directory for temporary files on their
            /// machine: which functions took how long. [`RouterBuilder::profiling`] says
            /// so for all.
            ///
            /// [`RouterBuilder::profiling`]: crate::RouterBuilder::profiling
            pub fn profiling(mut self, profiling: bool) -> Self {
                self.making.options.traces.profiling = profiling;
                self
            }

            /// How long the context may take to come up; the default is 30 seconds.
            pub fn connect_timeout(mut self, timeout: std::time::Duration) -> Self {
                self.making.options.timeout = timeout;
                self
            }

            /// Has `callback` take each event on the way to the context, in order. Each way has its
            /// own; the last one of a context that came up is [`ConnectEvent::Hello`].
            ///
            /// It is called by the tasks that make the context, and must not block. With
            /// [`via`](Self::via), events are that context's own report, which may be false: their
            /// number is bounded, and so are their texts, which command no terminal.
            ///
            /// ```no_run
            /// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
            /// use offshoot::ConnectEvent;
            ///
            /// let web1 = router.ssh("web1").on_progress(|event| match event {
            ///     ConnectEvent::Uploading { sent, total, .. } => eprintln!("{sent} of {total} bytes"),
            ///     event => eprintln!("{event}"),
            /// });
            /// let web1 = web1.await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// [`ConnectEvent::Hello`]: crate::ConnectEvent::Hello
            pub fn on_progress(
                mut self,
                callback: impl Fn(crate::ConnectEvent) + Send + Sync + 'static,
            ) -> Self {
                self.making.progress = offshoot_node::launch::Progress::new(callback);
                self
            }
        }

        impl IntoFuture for $builder {
            type Output = Result<crate::Context, crate::Error>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            /// Makes the context.
            ///
            /// # Cancel safety
            ///
            /// When dropped, the context is not made, or ended if it was made already.
            fn into_future(self) -> Self::IntoFuture {
                let Self { making, $made } = self;
                Box::pin(making.connect($method))
            }
        }
    };
}
use common;

/// The setters of a builder whose way leads through another program, to where there may be no
/// child yet.
macro_rules! afar {
    ($builder:ident) => {
        impl $builder {
            /// Whether the child is left there for the next connection; the default is to. With
            /// [`Keep::Nothing`](crate::Keep::Nothing) it is sent each time, preferably into
            /// memory, and its file is gone before it starts.
            pub fn keep(mut self, keep: crate::Keep) -> Self {
                self.spec.start.keep = keep;
                self
            }

            /// How a child that an earlier connection left there is checked; the default is by
            /// owner, mode and size. [`Verify::Always`](crate::Verify::Always) also compares its
            /// hash, which takes some 20 ms.
            pub fn verify(mut self, verify: crate::Verify) -> Self {
                self.spec.start.verify = verify;
                self
            }

            /// How long either end of the link may give no sign of life until the other one takes
            /// it for lost; the default is 15 seconds. It is asked for one when it is silent, and
            /// answers however busy its plugins are. Zero waits for ever.
            pub fn lost_after(mut self, patience: std::time::Duration) -> Self {
                let millis = patience.as_nanos().div_ceil(1_000_000);
                self.spec.start.lost_after_ms = Some(u32::try_from(millis).unwrap_or(u32::MAX));
                self
            }
        }
    };
}
use afar;

impl Router {
    /// A new context in a process of the same user on this machine, or on that of another
    /// context. Await the builder to make it.
    pub fn local(&self) -> Local {
        Local::new(self.tree.clone())
    }

    /// A new context on another machine, which has nothing installed for it. Await the
    /// builder to make it.
    pub fn ssh(&self, hostname: impl Into<String>) -> Ssh {
        Ssh::new(self.tree.clone(), hostname.into())
    }

    /// A new context of another user, by `sudo`. Await the builder to make it.
    pub fn sudo(&self) -> Sudo {
        Sudo::new(self.tree.clone())
    }

    /// A new context of another user, by `su`. Await the builder to make it.
    pub fn su(&self) -> Su {
        Su::new(self.tree.clone())
    }

    /// A new context of another user, by `doas`. Await the builder to make it.
    pub fn doas(&self) -> Doas {
        Doas::new(self.tree.clone())
    }
}
