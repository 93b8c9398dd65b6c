//! Makes the contexts of a plan, and calls a function in its targets.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_abi::Type;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::args::ConnectArgs;
use super::plan::Plan;
use super::reach::ConnectRequest;
use offshoot::json;
use offshoot::{ConnectEvent, Context, Error, Plugin, Router};

/// Bytes of a context's name that this command chooses; a longer chain gets the library's names.
const NAME_MAX: usize = offshoot_proto::limits::NAME_MAX;

/// What to call in each target.
pub(super) struct Work {
    pub(super) plan: Plan,
    pub(super) plugin: Plugin,
    pub(super) function: String,
    pub(super) result: Type,
    /// The arguments in postcard.
    pub(super) arguments: Vec<u8>,
    pub(super) connect: ConnectArgs,
    /// For each call, until its answer.
    pub(super) timeout: Option<Duration>,
    /// Targets that are worked on at the same time.
    pub(super) forks: usize,
}

/// How a target ended.
pub(super) struct Outcome {
    /// Where it is in the plan.
    pub(super) node: usize,
    pub(super) result: Result<Value, TargetError>,
    pub(super) elapsed: Duration,
}

/// Why a target has no value to show.
#[derive(Clone, Debug)]
pub(super) enum TargetError {
    /// The call was made, or could have been.
    Call(Arc<Error>),
    /// There was no context to call in: nothing ran.
    Unreachable {
        error: Arc<Error>,
        /// The context before it that could not be made, if it is not the target's own.
        at: Option<usize>,
    },
}

impl TargetError {
    pub(super) fn error(&self) -> &Error {
        match self {
            Self::Call(error) | Self::Unreachable { error, .. } => error,
        }
    }
}

/// How many targets run, and which of them are sent a child.
#[derive(Debug, Default)]
pub(super) struct RunningCount {
    running: AtomicUsize,
    /// Bytes that were sent, and all bytes, by node.
    uploads: Mutex<HashMap<usize, (u64, u64)>>,
}

/// The children that are being sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Uploads {
    pub(super) count: usize,
    pub(super) sent: u64,
    pub(super) total: u64,
}

impl RunningCount {
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    pub(super) fn uploads(&self) -> Uploads {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads
            .values()
            .fold(Uploads::default(), |all, (sent, total)| Uploads {
                count: all.count + 1,
                sent: all.sent.saturating_add(*sent),
                total: all.total.saturating_add(*total),
            })
    }

    /// Notes an event of a node's context.
    fn on_event(&self, node: usize, event: &ConnectEvent) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ConnectEvent::Uploading { sent, total, .. } if sent < total => {
                uploads.insert(node, (*sent, *total));
            }
            _ => {
                uploads.remove(&node);
            }
        }
    }

    /// Notes that a node's context came up, or will not.
    fn on_connected(&self, node: usize) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.remove(&node);
    }
}

/// Starts the work. Each target sends one outcome; the channel ends after the last one.
pub(super) fn start(
    router: &Router,
    work: Arc<Work>,
    outcomes: mpsc::Sender<Outcome>,
) -> Arc<RunningCount> {
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, node) in work.plan.nodes.iter().enumerate() {
        children.entry(node.parent).or_default().push(index);
    }
    let count = Arc::new(RunningCount::default());
    let runner = Arc::new(Runner {
        router: router.clone(),
        children,
        forks: Arc::new(Semaphore::new(work.forks)),
        work,
        count: count.clone(),
        began: Instant::now(),
    });
    runner.spawn_children(None, None, None, &outcomes);
    count
}

struct Runner {
    router: Router,
    work: Arc<Work>,
    /// The nodes below each node.
    children: HashMap<Option<usize>, Vec<usize>>,
    forks: Arc<Semaphore>,
    count: Arc<RunningCount>,
    began: Instant,
}

/// The right to run one target.
struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
    count: Arc<RunningCount>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.count.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Runner {
    /// Makes all contexts below `parent`, each in its own task. A permit goes to the only one.
    fn spawn_children(
        self: &Arc<Self>,
        parent: Option<usize>,
        context: Option<&Context>,
        permit: Option<Permit>,
        outcomes: &mpsc::Sender<Outcome>,
    ) {
        let nodes = self.children.get(&parent).map_or(&[][..], Vec::as_slice);
        let mut permit = permit.filter(|_| nodes.len() == 1);
        for &node in nodes {
            let (runner, context, outcomes) = (self.clone(), context.cloned(), outcomes.clone());
            tokio::spawn(runner.run_node(node, context, permit.take(), outcomes));
        }
    }

    /// Makes one context, then calls in it, or makes those below it.
    ///
    /// A permit lasts from the first context that only one target needs to that target's end, so
    /// that no more targets run at a time than the user wants.
    fn run_node(
        self: Arc<Self>,
        node: usize,
        parent: Option<Context>,
        permit: Option<Permit>,
        outcomes: mpsc::Sender<Outcome>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Boxed because `spawn_children` makes a task of this very type.
        Box::pin(async move {
            let spec = &self.work.plan.nodes[node];
            let permit = match permit {
                Some(permit) => permit,
                None => self.permit().await,
            };
            let context = self.connect(node, parent.as_ref()).await;
            match context {
                Ok(context) if spec.is_target => {
                    let result = self.call(&context).await;
                    let result = result.map_err(|error| TargetError::Call(Arc::new(error)));
                    self.report(node, result, &outcomes).await;
                    context.shutdown();
                }
                Ok(context) => {
                    self.spawn_children(Some(node), Some(&context), Some(permit), &outcomes)
                }
                Err(error) => self.fail(node, error, &outcomes).await,
            }
        })
    }

    async fn permit(&self) -> Permit {
        let permit = self.forks.clone().acquire_owned().await.ok();
        self.count.running.fetch_add(1, Ordering::Relaxed);
        Permit {
            _permit: permit,
            count: self.count.clone(),
        }
    }

    async fn connect(&self, node: usize, parent: Option<&Context>) -> Result<Context, Error> {
        let spec = &self.work.plan.nodes[node];
        // The library's names know no hops.
        let name = spec.name.replace('/', ".");
        let request = ConnectRequest {
            hop: &spec.hop,
            parent,
            name: (name.len() <= NAME_MAX).then_some(name),
            password: spec.password.as_ref(),
            connect: &self.work.connect,
            on_progress: Box::new({
                let count = self.count.clone();
                move |event| count.on_event(node, &event)
            }),
        };
        let made = request.make(&self.router).await;
        self.count.on_connected(node);
        made
    }

    async fn call(&self, context: &Context) -> Result<Value, Error> {
        let work = &self.work;
        let context = match work.timeout {
            Some(timeout) => context.with_timeout(timeout),
            None => context.clone(),
        };
        let value = context
            .call_raw(&work.plugin, &work.function, &work.arguments)
            .await?;
        json::decode(&work.result, &value).map_err(|error| {
            Error::Plugin(offshoot::PluginError::Decode {
                function: format!("{}::{}", work.plugin.name(), work.function),
                reason: error.to_string(),
            })
        })
    }

    async fn report(
        &self,
        node: usize,
        result: Result<Value, TargetError>,
        outcomes: &mpsc::Sender<Outcome>,
    ) {
        let outcome = Outcome {
            node,
            result,
            elapsed: self.began.elapsed(),
        };
        // The receiver is gone once the command was interrupted.
        let _ = outcomes.send(outcome).await;
    }

    /// A context that cannot be made fails every target that needs it.
    async fn fail(&self, node: usize, error: Error, outcomes: &mpsc::Sender<Outcome>) {
        let error = Arc::new(error);
        let mut below = vec![node];
        while let Some(index) = below.pop() {
            if self.work.plan.nodes[index].is_target {
                let failure = TargetError::Unreachable {
                    error: error.clone(),
                    at: (index != node).then_some(node),
                };
                self.report(index, Err(failure), outcomes).await;
            }
            let children = self.children.get(&Some(index)).into_iter().flatten();
            below.extend(children.rev());
        }
    }
}
