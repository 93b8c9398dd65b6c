//! `offshoot call`: checks everything that can be checked here, then calls everywhere at once.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use offshoot_abi::{FunctionInfo, Manifest};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::args::CallArgs;
use super::failure::{self, Detail};
use super::finder::{self, Finder};
use super::grants;
use super::interrupt;
use super::output::{self, WriteError};
use super::passwords::Passwords;
use super::plan::Plan;
use super::progress::{Counts, PERIOD, Progress};
use super::report::{self, Diagnostic, Status};
use super::runner::{self, Outcome, TargetError, Work};
use super::summary::Summary;
use super::{targets, types};
use offshoot::json::{
    ArgumentText, JsonError, JsonErrorKind, check_result, encode_arguments, near,
};
use offshoot::{Plugin, Router};

/// Outcomes that wait to be printed; a reader that is slow slows the calls down.
const OUTCOMES_MAX: usize = 64;

pub(super) fn run(args: &CallArgs, verbosity: i16) -> Result<ExitCode, Diagnostic> {
    interrupt::listen();
    let work = Arc::new(prepare(args, verbosity)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::failed(format!("cannot start: {error}")))?;
    let printer = Printer {
        work: work.clone(),
        json: args.json,
        verbosity,
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
fn prepare(args: &CallArgs, verbosity: i16) -> Result<Work, Diagnostic> {
    let targets = targets::resolve(&args.targets, &args.target)?;
    let (name, function) = split_function(&args.function)?;
    let path = match &args.plugin {
        Some(path) => path.clone(),
        None => {
            let path = Finder::new(&args.search).find(name)?;
            if verbosity > 0 {
                report::note(&format!("found {name} in {}", path.display()));
            }
            path
        }
    };
    let plugin = finder::open(&path)?;
    let manifest = plugin.manifest();
    if !finder::is_same(&manifest.plugin, name) {
        return Err(Diagnostic::usage(format!(
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
    check_result(&function.result).map_err(|error| unshown_result(manifest, &function, &error))?;
    let texts: Vec<ArgumentText<'_>> = args.arguments.iter().map(|it| ArgumentText(it)).collect();
    let arguments = encode_arguments(&function, &texts)
        .map_err(|error| bad_arguments(manifest, &function, &error))?;
    let grants = grants::chosen(args, manifest)?;
    let passwords = Passwords::get(&args.passwords, &targets)?;
    Ok(Work {
        plan: Plan::new(&targets, &passwords),
        function: function.name,
        result: function.result,
        arguments,
        timeout: args.timeout,
        forks: usize::try_from(args.forks).unwrap_or(usize::MAX),
        connect: args.connect.clone(),
        plugin: grants.into_iter().fold(plugin, Plugin::grant),
    })
}

fn split_function(text: &str) -> Result<(&str, &str), Diagnostic> {
    match text.split_once("::") {
        Some((plugin, function)) if !plugin.is_empty() && !function.is_empty() => {
            Ok((plugin, function))
        }
        _ => Err(Diagnostic::usage(format!("`{text}` names no function"))
            .help("write `PLUGIN::FUNCTION`, such as `facts::uptime`")),
    }
}

fn unknown_function(manifest: &Manifest, name: &str) -> Diagnostic {
    let names = manifest.functions.iter().map(|it| it.name.as_str());
    let nearest = near(name, names);
    let (mut first, rest): (Vec<_>, Vec<_>) = manifest
        .functions
        .iter()
        .partition(|function| nearest.contains(&function.name.as_str()));
    first.extend(rest);
    let list: Vec<String> = first.iter().map(ToString::to_string).collect();
    let plugin = &manifest.plugin;
    let problem = Diagnostic::usage(format!("plugin `{plugin}` has no function `{name}`"))
        .note(format!("its functions are\n{}", list.join("\n")));
    match nearest.first() {
        Some(guess) => problem.help(format!("did you mean `{plugin}::{guess}`?")),
        None => problem,
    }
}

fn unshown_result(manifest: &Manifest, function: &FunctionInfo, error: &JsonError) -> Diagnostic {
    let name = format!("{}::{}", manifest.plugin, function.name);
    let mut signature = vec![format!("it is {function}")];
    signature.extend(types::of_functions([function]));
    Diagnostic::usage(format!("cannot show the result of `{name}`: {error}"))
        .note(signature.join("\n"))
}

fn bad_arguments(manifest: &Manifest, function: &FunctionInfo, error: &JsonError) -> Diagnostic {
    let name = format!("{}::{}", manifest.plugin, function.name);
    let mut signature = vec![format!("it is {function}")];
    signature.extend(types::of_arguments(function));
    let problem =
        Diagnostic::usage(format!("bad arguments of `{name}`: {error}")).note(signature.join("\n"));
    match &*error.kind {
        JsonErrorKind::Syntax { .. } => {
            problem.help("an argument is JSON, such as 42, '[1, 2]' or '{\"name\": \"x\"}'")
        }
        _ => problem,
    }
}

/// Calls in all targets and prints how each ended. `None` is success.
async fn run_all(work: Arc<Work>, printer: &Printer) -> Result<Option<Status>, Diagnostic> {
    let router = Router::new().map_err(|error| Diagnostic::failed(error.to_string()))?;
    let (stop, mut stopped) = mpsc::channel(1);
    interrupt::first(move |status| {
        let _ = stop.try_send(status);
    });
    let (sender, mut outcomes) = mpsc::channel(OUTCOMES_MAX);
    let targets = work.plan.nodes.iter().filter(|node| node.is_target).count();
    let progress = Progress::new(printer.verbosity);
    let count = runner::start(&router, work, sender);
    let mut summary = Summary::default();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = Ok(None);
    while summary.done() < targets {
        let outcome = tokio::select! {
            biased;
            Some(status) = stopped.recv() => {
                ended = Ok(Some(status));
                break;
            }
            _ = ticks.tick() => {
                let (done, bad) = (summary.done(), summary.bad());
                progress.draw(&Counts::new(targets, done, bad, &count));
                continue;
            }
            Some(outcome) = outcomes.recv() => outcome,
        };
        summary.add(printer.target(&outcome), &outcome);
        match printer.print(&outcome) {
            Ok(()) => {}
            Err(WriteError::Closed) => {
                ended = Ok(Some(Status::PipeClosed));
                break;
            }
            Err(WriteError::Diagnostic(problem)) => {
                ended = Err(problem);
                break;
            }
        }
    }
    progress.end();
    drop(outcomes);
    router.shutdown().await;
    if !matches!(ended, Ok(Some(Status::PipeClosed))) {
        printer.sum_up(&summary, targets);
    }
    match ended {
        Ok(None) if summary.failed > 0 => {
            printer.suggest_grants();
            Ok(Some(Status::Failed))
        }
        Ok(None) if summary.unreachable > 0 => Ok(Some(Status::Unreachable)),
        ended => ended,
    }
}

struct Printer {
    work: Arc<Work>,
    json: bool,
    verbosity: i16,
}

impl Printer {
    fn target(&self, outcome: &Outcome) -> &str {
        &self.work.plan.nodes[outcome.node].name
    }

    /// A line of standard output, or of standard error if it failed and a person reads.
    fn print(&self, outcome: &Outcome) -> Result<(), WriteError> {
        let target = self.target(outcome);
        match &outcome.result {
            Ok(value) if !self.json => output::line(&format!("{target}\t{}", output::json(value))),
            Err(failure) if !self.json => {
                report::failure(target, &self.words_of(failure));
                Ok(())
            }
            result => {
                let mut object = json!({"target": target, "ok": result.is_ok()});
                match result {
                    Ok(value) => object["value"] = value.clone(),
                    Err(failure) => {
                        object["error"] = failure::to_json(failure.error());
                        let is_unreachable = matches!(failure, TargetError::Unreachable { .. });
                        object["error"]["unreachable"] = is_unreachable.into();
                    }
                }
                let elapsed = u64::try_from(outcome.elapsed.as_micros()).unwrap_or(u64::MAX);
                object["elapsed_us"] = elapsed.into();
                output::line(&output::json(&object))
            }
        }
    }

    fn words_of(&self, failure: &TargetError) -> String {
        let detail = match self.verbosity {
            1.. => Detail::Full,
            _ => Detail::Brief,
        };
        let text = failure::to_text(failure.error(), detail);
        match failure {
            TargetError::Unreachable { at: Some(node), .. } => {
                let parent = &self.work.plan.nodes[*node].name;
                format!("its parent {parent} could not be made: {text}")
            }
            _ => text,
        }
    }

    /// Several targets are summed up where something went wrong, or where someone watches.
    fn sum_up(&self, summary: &Summary, targets: usize) {
        let is_watched = std::io::stderr().is_terminal();
        let is_clean = summary.ok == targets;
        if targets > 1 && self.verbosity >= 0 && (is_watched || !is_clean) {
            summary.print(targets);
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
