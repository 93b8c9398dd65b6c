//! Makes the contexts of a plan and calls a function in its targets: all that this command asks
//! of the library's running parts.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_abi::Type;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use super::passwords::Passwords;
use super::plan::{Node, Plan};
use super::target::Hop;
use crate::json;
use crate::{Context, Error, Plugin, Router};

/// Contexts of one plan that are being made at the same time.
///
/// A start costs a fork and some pipes; more at once only wait for each other.
const STARTS_MAX: usize = 32;

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
    /// For each target, from its start to its answer.
    pub(super) timeout: Option<Duration>,
    pub(super) passwords: Passwords,
}

/// How a target ended.
pub(super) struct Outcome {
    /// Where it is in the plan.
    pub(super) node: usize,
    pub(super) result: Result<Value, Error>,
    pub(super) elapsed: Duration,
}

/// Starts the work. Each target sends one outcome; the channel ends after the last one.
pub(super) fn start(router: &Router, work: Arc<Work>, outcomes: mpsc::Sender<Outcome>) {
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (index, node) in work.plan.nodes.iter().enumerate() {
        children.entry(node.parent).or_default().push(index);
    }
    let fleet = Arc::new(Fleet {
        router: router.clone(),
        work,
        children,
        starts: Semaphore::new(STARTS_MAX),
        began: Instant::now(),
    });
    fleet.grow(None, None, &outcomes);
}

struct Fleet {
    router: Router,
    work: Arc<Work>,
    /// The nodes below each node.
    children: HashMap<Option<usize>, Vec<usize>>,
    starts: Semaphore,
    began: Instant,
}

impl Fleet {
    /// Makes all contexts below `parent`, each in its own task.
    fn grow(
        self: &Arc<Self>,
        parent: Option<usize>,
        context: Option<&Context>,
        outcomes: &mpsc::Sender<Outcome>,
    ) {
        for &node in self.children.get(&parent).into_iter().flatten() {
            let (fleet, context, outcomes) = (self.clone(), context.cloned(), outcomes.clone());
            tokio::spawn(fleet.visit(node, context, outcomes));
        }
    }

    /// Makes one context, then calls in it, or makes those below it.
    fn visit(
        self: Arc<Self>,
        node: usize,
        parent: Option<Context>,
        outcomes: mpsc::Sender<Outcome>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Boxed because `grow` makes a task of this very type.
        Box::pin(async move {
            let spec = &self.work.plan.nodes[node];
            let context = self.connect(spec, parent.as_ref()).await;
            match context {
                Ok(context) if spec.is_target => {
                    let result = self.call(&context).await;
                    self.report(node, result, &outcomes).await;
                    context.shutdown();
                }
                Ok(context) => self.grow(Some(node), Some(&context), &outcomes),
                Err(error) => self.fail(node, error, &outcomes).await,
            }
        })
    }

    async fn connect(&self, spec: &Node, parent: Option<&Context>) -> Result<Context, Error> {
        let _permit = self.starts.acquire().await;
        let left = self.time_left(&spec.name)?;
        // The library's names know no hops.
        let name = spec.name.replace('/', ".");
        let name = (name.len() <= NAME_MAX).then_some(name);
        let passwords = &self.work.passwords;
        // What all builders have in common, and no trait.
        macro_rules! make {
            ($builder:expr) => {{
                let mut builder = $builder;
                if let Some(parent) = parent {
                    builder = builder.via(parent);
                }
                if let Some(name) = name {
                    builder = builder.name(name);
                }
                if let Some(left) = left {
                    builder = builder.connect_timeout(left);
                }
                builder.await
            }};
        }
        macro_rules! become_user {
            ($builder:expr, $user:expr) => {{
                let mut builder = $builder;
                if let Some(user) = $user {
                    builder = builder.username(user);
                }
                if let Some(password) = &passwords.becoming {
                    builder = builder.password(password.clone());
                }
                make!(builder)
            }};
        }
        match &spec.hop {
            Hop::Local => make!(self.router.local()),
            Hop::Ssh { user, host, port } => {
                let mut builder = self.router.ssh(host);
                if let Some(user) = user {
                    builder = builder.username(user);
                }
                if let Some(port) = port {
                    builder = builder.port(*port);
                }
                if let Some(password) = &passwords.login {
                    builder = builder.password(password.clone());
                }
                make!(builder)
            }
            Hop::Sudo(user) => become_user!(self.router.sudo(), user),
            Hop::Su(user) => become_user!(self.router.su(), user),
            Hop::Doas(user) => become_user!(self.router.doas(), user),
        }
    }

    async fn call(&self, context: &Context) -> Result<Value, Error> {
        let work = &self.work;
        let context = match self.time_left(context.name())? {
            Some(left) => context.with_timeout(left),
            None => context.clone(),
        };
        let value = context
            .call_raw(&work.plugin, &work.function, &work.arguments)
            .await?;
        json::decode(&work.result, &value).map_err(|error| {
            Error::Plugin(crate::PluginError::Decode {
                function: format!("{}::{}", work.plugin.name(), work.function),
                reason: error.to_string(),
            })
        })
    }

    /// What is left of the time for each target; an error when there is none.
    fn time_left(&self, what: &str) -> Result<Option<Duration>, Error> {
        let Some(timeout) = self.work.timeout else {
            return Ok(None);
        };
        match timeout.checked_sub(self.began.elapsed()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(Error::Timeout {
                what: what.to_owned(),
                after: timeout,
            }),
        }
    }

    async fn report(
        &self,
        node: usize,
        result: Result<Value, Error>,
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
        let reason = error.to_string();
        let mut first = Some(error);
        let mut below = vec![node];
        while let Some(index) = below.pop() {
            if self.work.plan.nodes[index].is_target {
                let name = &self.work.plan.nodes[node].name;
                let error = match first.take_if(|_| index == node) {
                    Some(error) => error,
                    None => Error::Usage(format!("its parent {name} could not be made: {reason}")),
                };
                self.report(index, Err(error), outcomes).await;
            }
            let children = self.children.get(&Some(index)).into_iter().flatten();
            below.extend(children.rev());
        }
    }
}
