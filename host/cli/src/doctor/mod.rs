//! `offshoot doctor`: makes a target step by step, and says which step fails.

mod access;
mod plugin;
mod reach;
mod step;
mod step_log;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;

use super::args::DoctorArgs;
use super::interrupt;
use super::output::{self, WriteError};
use super::passwords::Passwords;
use super::report::{Diagnostic, Status};
use super::target::{CountedHop, Hop, Target};
use super::targets;
use offshoot::Router;
use step::{Checkup, Step, StepFailure};

/// Columns of the place in the table: a hop that is longer moves the rest of its lines.
const PLACE_MIN: usize = 10;
const PLACE_MAX: usize = 32;

/// How a step ended.
enum Ending {
    Fine(String),
    Failed(StepFailure),
    /// A step before it failed.
    Skipped,
}

/// A step and how it ended: a line of the table.
struct Finding<'a> {
    /// From 1.
    hop: usize,
    label: &'a str,
    step: Step,
    ending: Ending,
    /// `None` where it is not known.
    took: Option<Duration>,
}

pub(super) fn run(args: &DoctorArgs) -> Result<ExitCode, Diagnostic> {
    interrupt::listen();
    let target = only_target(args)?;
    let passwords = Passwords::get(&args.passwords, std::slice::from_ref(&target))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::failed(format!("cannot start: {error}")))?;
    let status = runtime.block_on(examine(args, &passwords, &target.hops));
    runtime.shutdown_background();
    Ok(match status? {
        Some(status) => status.into(),
        None => ExitCode::SUCCESS,
    })
}

/// The only target of the command line.
fn only_target(args: &DoctorArgs) -> Result<Target, Diagnostic> {
    let mut targets = targets::resolve(&args.target, &args.hosts)?.into_iter();
    let one = || "name one target, such as `local/local`, or one host of an inventory";
    match (targets.next(), targets.len()) {
        (Some(target), 0) => match target.hops.iter().find(|hop| hop.count > 1) {
            None => Ok(target),
            Some(hop) => Err(Diagnostic::usage(format!(
                "`{}*{}` is more than one target",
                hop.label, hop.count
            ))
            .help(one())),
        },
        (_, more) => {
            Err(
                Diagnostic::usage(format!("`{}` stands for {} targets", args.target, more + 1))
                    .help(one()),
            )
        }
    }
}

/// Runs all steps, and prints each as it ends. Gives `None` if none has failed.
async fn examine(
    args: &DoctorArgs,
    passwords: &Passwords,
    hops: &[CountedHop],
) -> Result<Option<Status>, Diagnostic> {
    let router = Router::new().map_err(|error| Diagnostic::failed(error.to_string()))?;
    let (stop, mut stopped) = mpsc::channel(1);
    interrupt::first(move |status| {
        let _ = stop.try_send(status);
    });
    let mut checkup = Checkup::new(router.clone(), args.connect.clone());
    let places = hops.iter().map(|hop| hop.label.chars().count() + 2);
    let width = places.max().unwrap_or(0).clamp(PLACE_MIN, PLACE_MAX);
    let examined = async {
        let mut all_passed = true;
        for (step, index) in steps_of(hops) {
            let hop = &hops[index];
            checkup.password = passwords.of(&hops[..=index]).cloned();
            let began = Instant::now();
            let ending = match all_passed || step == Step::Shutdown && checkup.has_contexts() {
                false => Ending::Skipped,
                true => match step.run(&mut checkup, &hop.hop).await {
                    Ok(detail) => Ending::Fine(detail),
                    Err(failure) => Ending::Failed(failure),
                },
            };
            all_passed &= matches!(ending, Ending::Fine(_));
            print(
                &Finding {
                    hop: index + 1,
                    label: &hop.label,
                    step,
                    ending,
                    took: checkup.took.take().unwrap_or_else(|| Some(began.elapsed())),
                },
                (!args.json).then_some(width),
            )?;
        }
        Ok(all_passed)
    };
    let ended = tokio::select! {
        biased;
        Some(status) = stopped.recv() => Ok(Some(status)),
        all_passed = examined => match all_passed {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(Status::Failed)),
            Err(WriteError::Closed) => Ok(Some(Status::PipeClosed)),
            Err(WriteError::Diagnostic(problem)) => Err(problem),
        }
    };
    router.shutdown().await;
    ended
}

/// Every step, and the index of its hop. The shutdown comes once, for all hops.
fn steps_of(hops: &[CountedHop]) -> Vec<(Step, usize)> {
    let mut steps = Vec::new();
    for (index, hop) in hops.iter().enumerate() {
        let of_hop = Step::of(&hop.hop, index).iter();
        steps.extend(of_hop.map(|&step| (step, index)));
    }
    if let Some(last) = hops.len().checked_sub(1) {
        steps.push((Step::Shutdown, last));
    }
    steps
}

/// As a line of a table whose first column is so wide, or as JSON.
fn print(finding: &Finding<'_>, width: Option<usize>) -> Result<(), WriteError> {
    match width {
        None => output::line(&output::json(&to_json(finding))),
        Some(width) => output::line(&to_text(finding, width)),
    }
}

fn to_json(finding: &Finding<'_>) -> serde_json::Value {
    let mut object = json!({
        "hop": finding.hop,
        "target": finding.label,
        "step": finding.step.name(),
    });
    let elapsed = finding
        .took
        .map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    match &finding.ending {
        Ending::Fine(detail) => {
            object["state"] = "ok".into();
            object["elapsed_us"] = json!(elapsed);
            object["detail"] = detail.as_str().into();
        }
        Ending::Failed(failure) => {
            object["state"] = "failed".into();
            object["elapsed_us"] = json!(elapsed);
            object["error"] = failure.what.as_str().into();
            object["help"] = failure.help.as_str().into();
        }
        Ending::Skipped => object["state"] = "skipped".into(),
    }
    object
}

/// A line, and what to do below it.
fn to_text(finding: &Finding<'_>, width: usize) -> String {
    let (state, took, detail) = match &finding.ending {
        Ending::Fine(detail) => (
            "ok",
            finding.took.map_or_else(String::new, in_words),
            detail.as_str(),
        ),
        Ending::Failed(failure) => (
            "FAILED",
            finding.took.map_or_else(String::new, in_words),
            failure.what.as_str(),
        ),
        Ending::Skipped => ("-", String::new(), "not tried"),
    };
    let place = format!("{} {}", finding.hop, finding.label);
    let detail = super::printable::printable(detail).replace('\n', "\n    ");
    let mut text = format!(
        "{state:<6}  {place:<width$}  {step:<10}  {took:>8}  {detail}",
        step = finding.step.name()
    );
    if let Ending::Failed(failure) = &finding.ending {
        text.push_str(&format!("\n    help: {}", failure.help));
    }
    text
}

fn in_words(took: Duration) -> String {
    let micros = took.as_micros();
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    fn names(text: &str) -> Vec<String> {
        let hops = target::parse(text).unwrap().remove(0);
        let steps = steps_of(&hops).into_iter();
        let shown = steps.map(|(step, hop)| format!("{}:{}", hop + 1, step.name()));
        shown.collect()
    }

    #[test]
    fn each_hop_has_its_steps_and_the_end_comes_once() {
        let first = [
            "1:binary",
            "1:program",
            "1:connect",
            "1:round-trip",
            "1:call",
            "1:memory",
        ];
        assert_eq!(names("local"), [&first[..], &["1:shutdown"]].concat());
        let second = [
            "2:connect",
            "2:round-trip",
            "2:call",
            "2:memory",
            "2:shutdown",
        ];
        assert_eq!(names("local/local"), [&first[..], &second[..]].concat());
    }

    #[test]
    fn another_machine_is_reached_step_by_step() {
        let access = ["login", "directory", "upload", "handshake"];
        let works = ["round-trip", "call", "memory"];
        let numbered = |number: usize, steps: &[&str]| {
            let shown = steps.iter().map(|step| format!("{number}:{step}"));
            shown.collect::<Vec<_>>()
        };
        let want = [
            numbered(1, &["binary", "name", "port", "host-key"]),
            numbered(1, &access),
            numbered(1, &works),
            numbered(2, &access),
            numbered(2, &works),
            numbered(3, &["host-key"]),
            numbered(3, &access),
            numbered(3, &works),
            numbered(3, &["shutdown"]),
        ];
        assert_eq!(names("ssh:web1/sudo/ssh:db1"), want.concat());
    }

    fn finding(ending: Ending) -> Finding<'static> {
        Finding {
            hop: 1,
            label: "local",
            step: Step::Connect,
            ending,
            took: Some(Duration::from_micros(1234)),
        }
    }

    #[test]
    fn a_failure_comes_with_what_to_do() {
        let failed = || {
            finding(Ending::Failed(StepFailure {
                what: "it\u{1b}[2J is broken".to_owned(),
                help: "mend it".to_owned(),
            }))
        };
        assert_eq!(
            to_text(&failed(), PLACE_MIN),
            "FAILED  1 local     connect       1.2 ms  it\\u{1b}[2J is broken\n    help: mend it"
        );
        assert_eq!(
            to_json(&failed()).to_string(),
            r#"{"hop":1,"target":"local","step":"connect","state":"failed","elapsed_us":1234,"error":"it\u001b[2J is broken","help":"mend it"}"#
        );
        assert_eq!(
            to_text(&finding(Ending::Skipped), PLACE_MIN),
            "-       1 local     connect               not tried"
        );
        assert_eq!(
            to_json(&finding(Ending::Skipped)).to_string(),
            r#"{"hop":1,"target":"local","step":"connect","state":"skipped"}"#
        );
    }

    #[test]
    fn times_have_a_unit_that_fits() {
        assert_eq!(in_words(Duration::from_micros(999)), "999 us");
        assert_eq!(in_words(Duration::from_micros(1500)), "1.5 ms");
        assert_eq!(in_words(Duration::from_millis(61_000)), "61.0 s");
    }
}
