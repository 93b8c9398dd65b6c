//! `offshoot call`: checks everything that can be checked here, then calls everywhere at once.

use std::process::ExitCode;
use std::sync::Arc;

use offshoot_abi::{FunctionInfo, Manifest};
use serde_json::json;
use tokio::sync::mpsc;

use super::args::CallArgs;
use super::failure::{self, Detail};
use super::finder::{self, Finder};
use super::fleet::{self, Outcome, Work};
use super::grants;
use super::interrupt;
use super::output::{self, Unwritten};
use super::passwords::Passwords;
use super::plan::Plan;
use super::report::{self, Problem, Status};
use super::{target, types};
use crate::json::{ArgumentText, JsonError, JsonErrorKind, encode_arguments, near};
use crate::{Plugin, Router};

/// Outcomes that wait to be printed; a reader that is slow slows the calls down.
const OUTCOMES_MAX: usize = 64;

pub(super) fn run(args: &CallArgs, detail: Detail) -> Result<ExitCode, Problem> {
    let work = Arc::new(prepare(args)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::failed(format!("cannot start: {error}")))?;
    let printer = Printer {
        work: work.clone(),
        json: args.json,
        detail,
    };
    let status = runtime.block_on(run_all(work, &printer));
    // A compilation that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    Ok(match status? {
        Some(status) => status.into(),
        None => ExitCode::SUCCESS,
    })
}

/// Makes sure that the call can work, as far as that can be known before anything is started.
fn prepare(args: &CallArgs) -> Result<Work, Problem> {
    let plan = Plan::new(&target::parse(&args.targets)?);
    let (name, function) = split_function(&args.function)?;
    let path = match &args.plugin {
        Some(path) => path.clone(),
        None => Finder::new(&args.search).find(name)?,
    };
    let plugin = finder::open(&path)?;
    let manifest = plugin.manifest();
    if !finder::is_same(&manifest.plugin, name) {
        return Err(Problem::usage(format!(
            "{} is the plugin `{}`, not `{name}`",
            path.display(),
            manifest.plugin
        ))
        .help(format!("call `{}::{function}`", manifest.plugin)));
    }
    let function = manifest
        .function(function)
        .ok_or_else(|| unknown_function(manifest, function))?
        .clone();
    let texts: Vec<ArgumentText<'_>> = args.arguments.iter().map(|it| ArgumentText(it)).collect();
    let arguments = encode_arguments(&function, &texts)
        .map_err(|error| bad_arguments(manifest, &function, &args.arguments, &error))?;
    let grants = grants::chosen(args, manifest);
    Ok(Work {
        plan,
        function: function.name,
        result: function.result,
        arguments,
        timeout: args.timeout,
        passwords: Passwords::get(&args.passwords)?,
        plugin: grants.into_iter().fold(plugin, Plugin::grant),
    })
}

fn split_function(text: &str) -> Result<(&str, &str), Problem> {
    match text.split_once("::") {
        Some((plugin, function)) if !plugin.is_empty() && !function.is_empty() => {
            Ok((plugin, function))
        }
        _ => Err(Problem::usage(format!("`{text}` names no function"))
            .help("write `PLUGIN::FUNCTION`, such as `facts::uptime`")),
    }
}

fn unknown_function(manifest: &Manifest, name: &str) -> Problem {
    let names = manifest.functions.iter().map(|it| it.name.as_str());
    let nearest = near(name, names);
    let (mut first, rest): (Vec<_>, Vec<_>) = manifest
        .functions
        .iter()
        .partition(|function| nearest.contains(&function.name.as_str()));
    first.extend(rest);
    let list: Vec<String> = first.iter().map(ToString::to_string).collect();
    let plugin = &manifest.plugin;
    let problem = Problem::usage(format!("plugin `{plugin}` has no function `{name}`"))
        .note(format!("its functions are\n{}", list.join("\n")));
    match nearest.first() {
        Some(guess) => problem.help(format!("did you mean `{plugin}::{guess}`?")),
        None => problem,
    }
}

fn bad_arguments(
    manifest: &Manifest,
    function: &FunctionInfo,
    given: &[String],
    error: &JsonError,
) -> Problem {
    let name = format!("{}::{}", manifest.plugin, function.name);
    let mut signature = vec![format!("it is {function}")];
    signature.extend(types::of_arguments(function));
    let problem =
        Problem::usage(format!("bad arguments of `{name}`: {error}")).note(signature.join("\n"));
    let wants_text = |expected: &str| matches!(expected, "String" | "Option<String>");
    match &*error.kind {
        JsonErrorKind::Mismatch { expected, .. } if wants_text(expected) => {
            let index: Option<usize> = error
                .path
                .strip_prefix("args[")
                .and_then(|rest| rest.strip_suffix(']'))
                .and_then(|index| index.parse().ok());
            match index.and_then(|index| given.get(index)) {
                Some(text) => problem.help(format!(
                    "to pass it as text, quote it once for JSON and once for the shell: '{}'",
                    json!(text)
                )),
                None => problem,
            }
        }
        JsonErrorKind::Syntax { .. } => {
            problem.help("an argument is JSON, such as 42, '[1, 2]' or '{\"name\": \"x\"}'")
        }
        _ => problem,
    }
}

/// Calls in all targets and prints how each ended. `None` is success.
async fn run_all(work: Arc<Work>, printer: &Printer) -> Result<Option<Status>, Problem> {
    let router = Router::new().map_err(|error| Problem::failed(error.to_string()))?;
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    interrupt::watch(move || {
        let _ = stop.try_send(());
    });
    let (sender, mut outcomes) = mpsc::channel(OUTCOMES_MAX);
    let targets = work.plan.nodes.iter().filter(|node| node.is_target).count();
    fleet::start(&router, work, sender);
    let mut failed = 0;
    let mut ended = Ok(None);
    for _ in 0..targets {
        let outcome = std::future::poll_fn(|cx| match stopped.poll_recv(cx) {
            std::task::Poll::Ready(Some(())) => std::task::Poll::Ready(None),
            _ => outcomes.poll_recv(cx),
        });
        let Some(outcome) = outcome.await else {
            ended = Ok(Some(Status::Interrupted));
            break;
        };
        failed += usize::from(outcome.result.is_err());
        match printer.print(&outcome) {
            Ok(()) => {}
            Err(Unwritten::Closed) => {
                ended = Ok(Some(Status::PipeClosed));
                break;
            }
            Err(Unwritten::Problem(problem)) => {
                ended = Err(problem);
                break;
            }
        }
    }
    drop(outcomes);
    router.shutdown().await;
    if failed > 0 && matches!(ended, Ok(None)) {
        printer.suggest_grants();
        ended = Ok(Some(Status::Failed));
    }
    ended
}

struct Printer {
    work: Arc<Work>,
    json: bool,
    detail: Detail,
}

impl Printer {
    /// A line of standard output, or of standard error if it failed and a person reads.
    fn print(&self, outcome: &Outcome) -> Result<(), Unwritten> {
        let target = &self.work.plan.nodes[outcome.node].name;
        match &outcome.result {
            Ok(value) if !self.json => output::line(&format!("{target}\t{}", output::json(value))),
            Err(error) if !self.json => {
                report::failure(target, &failure::to_text(error, self.detail));
                Ok(())
            }
            result => {
                let mut object = json!({"target": target, "ok": result.is_ok()});
                match result {
                    Ok(value) => object["value"] = value.clone(),
                    Err(error) => object["error"] = failure::to_json(error),
                }
                let elapsed = u64::try_from(outcome.elapsed.as_micros()).unwrap_or(u64::MAX);
                object["elapsed_us"] = elapsed.into();
                output::line(&output::json(&object))
            }
        }
    }

    /// A call that failed may have missed a grant that the plugin says it needs.
    fn suggest_grants(&self) {
        let plugin = &self.work.plugin;
        let missing = grants::missing(plugin.manifest(), plugin.grants());
        if missing.is_empty() {
            return;
        }
        let list: Vec<String> = missing.iter().map(|want| grants::describe(want)).collect();
        report::note(&format!(
            "{} says that it needs grants which it was not given:\n{}",
            plugin.name(),
            list.join("\n")
        ));
        let options: Vec<String> = missing
            .iter()
            .map(|want| format!("--grant {}", want.grant))
            .collect();
        report::help(&format!("add `{}`, or `--grant-wanted`", options.join(" ")));
    }
}
