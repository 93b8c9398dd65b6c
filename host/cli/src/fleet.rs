//! Makes the contexts of a plan and calls a function in its targets: all that this command asks
//! of the library's running parts.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_abi::Type;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::args::ConnectArgs;
use super::plan::{Node, Plan};
use super::reach::ConnectRequest;
use offshoot::json;
use offshoot::{Context, Error, Plugin, Router};

/// Connections to one machine that are being made at the same time.
///
/// Servers begin to drop connections at random when ten are not logged in yet.
const STARTS_PER_HOST_MAX: usize = 8;

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

/// How many targets are worked on right now.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicUsize);

impl Tally {
    pub(super) fn running(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Starts the work. Each target sends one outcome; the channel ends after the last one.
pub(super) fn start(
    router: &Router,
    work: Arc<Work>,
    outcomes: mpsc::Sender<Outcome>,
) -> Arc<Tally> {
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, node) in work.plan.nodes.iter().enumerate() {
        children.entry(node.parent).or_default().push(index);
    }
    let tally = Arc::new(Tally::default());
    let fleet = Arc::new(Fleet {
        router: router.clone(),
        children,
        forks: Arc::new(Semaphore::new(work.forks)),
        work,
        gates: Mutex::default(),
        tally: tally.clone(),
        began: Instant::now(),
    });
    fleet.grow(None, None, None, &outcomes);
    tally
}

/// A machine, and the context that it is reached from.
type Entrance = (Option<usize>, String);

struct Fleet {
    router: Router,
    work: Arc<Work>,
    /// The nodes below each node.
    children: HashMap<Option<usize>, Vec<usize>>,
    forks: Arc<Semaphore>,
    /// For each machine, and where it is reached from.
    gates: Mutex<HashMap<Entrance, Arc<Semaphore>>>,
    tally: Arc<Tally>,
    began: Instant,
}

/// The right to work on one target.
struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
    tally: Arc<Tally>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.tally.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fleet {
    /// Makes all contexts below `parent`, each in its own task. A turn goes to the only one.
    fn grow(
        self: &Arc<Self>,
        parent: Option<usize>,
        context: Option<&Context>,
        turn: Option<Turn>,
        outcomes: &mpsc::Sender<Outcome>,
    ) {
        let nodes = self.children.get(&parent).map_or(&[][..], Vec::as_slice);
        let mut turn = turn.filter(|_| nodes.len() == 1);
        for &node in nodes {
            let (fleet, context, outcomes) = (self.clone(), context.cloned(), outcomes.clone());
            tokio::spawn(fleet.visit(node, context, turn.take(), outcomes));
        }
    }

    /// Makes one context, then calls in it, or makes those below it.
    ///
    /// A turn lasts from the first context that only one target needs to that target's end, so
    /// that no more targets are touched at a time than the user wants.
    fn visit(
        self: Arc<Self>,
        node: usize,
        parent: Option<Context>,
        turn: Option<Turn>,
        outcomes: mpsc::Sender<Outcome>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Boxed because `grow` makes a task of this very type.
        Box::pin(async move {
            let spec = &self.work.plan.nodes[node];
            let turn = match turn {
                Some(turn) => turn,
                None => self.turn().await,
            };
            let context = self.connect(spec, parent.as_ref()).await;
            match context {
                Ok(context) if spec.is_target => {
                    let result = self.call(&context).await;
                    let result = result.map_err(|error| TargetError::Call(Arc::new(error)));
                    self.report(node, result, &outcomes).await;
                    context.shutdown();
                }
                Ok(context) => self.grow(Some(node), Some(&context), Some(turn), &outcomes),
                Err(error) => self.fail(node, error, &outcomes).await,
            }
        })
    }

    async fn turn(&self) -> Turn {
        let permit = self.forks.clone().acquire_owned().await.ok();
        self.tally.0.fetch_add(1, Ordering::Relaxed);
        Turn {
            _permit: permit,
            tally: self.tally.clone(),
        }
    }

    async fn connect(&self, spec: &Node, parent: Option<&Context>) -> Result<Context, Error> {
        let gate = spec.hop.far_end().map(|host| self.gate(spec.parent, host));
        let _entry = match &gate {
            Some(gate) => gate.acquire().await.ok(),
            None => None,
        };
        // The library's names know no hops.
        let name = spec.name.replace('/', ".");
        let wanted = ConnectRequest {
            hop: &spec.hop,
            parent,
            name: (name.len() <= NAME_MAX).then_some(name),
            password: spec.password.as_ref(),
            connect: &self.work.connect,
        };
        wanted.make(&self.router).await
    }

    fn gate(&self, from: Option<usize>, host: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry((from, host.to_owned()));
        gate.or_insert_with(|| Arc::new(Semaphore::new(STARTS_PER_HOST_MAX)))
            .clone()
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
        // Nobody listens once the command was interrupted.
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
