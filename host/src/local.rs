//! The builder of a local context.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::{self, Connect, Connected, Method};
use offshoot_proto::{Body, ContextId, Node};

use crate::context::Context;
use crate::error::Error;
use crate::hub::{Hub, Known};
use crate::launch::{self, LocalSpec, NewChild, StreamError, Up};
use crate::messages::{Content, Listening, Taken};
use crate::router::Tree;

/// How long a child may take to say hello, unless its builder says otherwise (`B011`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

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
    debug: bool,
    connect_timeout: Duration,
}

impl Local {
    pub(crate) fn new(tree: Arc<Tree>) -> Self {
        Self {
            tree,
            via: None,
            name: None,
            spec: LocalSpec::default(),
            debug: false,
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

    /// Whether everything that the context logs is wanted, whatever this program's log level
    /// (`S084`).
    pub fn debug(mut self, debug: bool) -> Self {
        self.debug = debug;
        self
    }

    /// How long the context may take to come up; the default is 30 seconds (`B011`).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    async fn connect(self) -> Result<Context, Error> {
        if let Some(name) = &self.name {
            Node::check_name(name).map_err(StreamError::Name)?;
        }
        let hub = &self.tree.hub;
        let via = self.via.as_ref().map(Context::context_id);
        let allotted = hub.drive(|state, _| state.node.allocate_context(via));
        let id = allotted.map_err(|error| {
            Error::unsent(
                self.via.as_ref().map_or("controller", Context::name),
                &error,
            )
        })?;
        let log_level = if self.debug { 4 } else { hub.log_level };
        let up = match &self.via {
            None => {
                let child = NewChild {
                    id,
                    name: self.name,
                    log_level,
                    timeout: self.connect_timeout,
                };
                hub.inside(launch::make_child(hub, child, self.spec))
                    .await?
            }
            Some(via) => {
                let connect = Connect {
                    id,
                    name: self.name,
                    method: Method::Local {
                        remote_name: self.spec.remote_name,
                        child_path: self.spec.child_path,
                    },
                    timeout_ms: u64::try_from(self.connect_timeout.as_millis()).unwrap_or(u64::MAX),
                    log_level,
                };
                // A task of its own, so that a child nobody waits for any more is still ended.
                let connecting = connect_via(hub.clone(), via.clone(), connect);
                let connecting = hub.runtime().spawn(connecting);
                let mut unwanted = Unwanted {
                    hub: hub.clone(),
                    task: Some(connecting),
                    id,
                };
                unwanted.wait().await?
            }
        };
        Ok(Context::new(self.tree, id, up.name, up.hello.target.into()))
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

async fn connect_via(hub: Arc<Hub>, via: Context, connect: Connect) -> Result<Up, Error> {
    let id = connect.id;
    let failed = |reason: String| StreamError::Via {
        via: via.name().to_owned(),
        reason,
    };
    let reply = hub.drive(|state, now| {
        let handle = state.node.connect_via(via.context_id(), &connect, now)?;
        Ok(Listening::new(&hub, state, Some(via.context_id()), handle))
    });
    let reply = reply.map_err(|error| Error::unsent(via.name(), &error))?;
    let content = match reply.take().await {
        Taken::Mail(mail) => mail.content,
        Taken::Over(reason) => return Err(failed(reason.to_string()).into()),
    };
    let body = match content {
        Content::Body(Body::Data(body)) => body,
        Content::Body(Body::Dead(dead)) => return Err(failed(dead.reason).into()),
        Content::Expired => return Err(failed("it did not answer in time".to_owned()).into()),
    };
    match control::decode::<Connected>(&body) {
        Some(Connected::Up { hello, name }) => {
            let theirs = connect.name.unwrap_or_else(|| {
                // The parent's word on the process is all that there is to go by.
                launch::default_name(Some(via.name()), hello.pid)
            });
            if name != theirs {
                hub.drive(|state, _| state.node.shut_down(id));
                let reason = format!("it calls the new context another name than `{theirs}`");
                return Err(failed(reason).into());
            }
            let name: Arc<str> = name.into();
            let target = hello.target.as_str().into();
            let known = Known {
                name: name.clone(),
                target,
            };
            hub.learn(id, known);
            Ok(Up { hello, name })
        }
        Some(Connected::Failed(reason)) => Err(failed(crate::logs::quote(&reason)).into()),
        None => Err(failed("it gave an answer that makes no sense".to_owned()).into()),
    }
}

/// Ends a context that comes up after its maker has gone.
struct Unwanted {
    hub: Arc<Hub>,
    task: Option<tokio::task::JoinHandle<Result<Up, Error>>>,
    id: ContextId,
}

impl Unwanted {
    async fn wait(&mut self) -> Result<Up, Error> {
        let Some(task) = &mut self.task else {
            return Err(Error::Usage("a connection was waited for twice".to_owned()));
        };
        let result = task.await;
        self.task = None;
        result.unwrap_or_else(|error| Err(Error::Usage(error.to_string())))
    }
}

impl Drop for Unwanted {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            let (hub, id) = (self.hub.clone(), self.id);
            // The future may be dropped outside of the runtime.
            self.hub.spawn(async move {
                if let Ok(Ok(_)) = task.await {
                    hub.drive(|state, _| state.node.shut_down(id));
                }
            });
        }
    }
}
