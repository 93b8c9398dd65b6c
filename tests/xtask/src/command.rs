//! Runs other programs: shows what it runs, bounds how long, and fails with words to act on.

use std::fmt::Display;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// How often a bounded wait looks whether the program has ended.
const POLL: Duration = Duration::from_millis(20);

/// The cargo that runs this xtask, so that `cargo +nightly xtask` stays on nightly.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    expect_success(command, status)
}

/// Like [`run`], but kills the program and all it started when `limit` passes.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    announce(command);
    // A group of its own, so that the helpers a program forks end with it.
    let mut child = command
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    match wait_until(&mut child, Instant::now() + limit)? {
        Some(status) => expect_success(command, status),
        None => {
            kill_group(&mut child);
            bail!(
                "`{}` did not end within {} s",
                shown(command),
                limit.as_secs()
            )
        }
    }
}

/// Runs `command` quietly and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed with {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed bytes that are not UTF-8", shown(command)))
}

/// Whether `command` starts and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs one step of a longer command and prints what it took.
pub(crate) fn step<T>(name: impl Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let value = work().with_context(|| format!("{name} failed"))?;
    eprintln!("   {name}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(value)
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    // The full path of cargo is noise, and nobody would type it.
    let program = if program.ends_with("/cargo") {
        "cargo".into()
    } else {
        program
    };
    let environment = command.get_envs().filter_map(|(name, value)| {
        Some(format!(
            "{}={}",
            name.to_string_lossy(),
            quoted(&value?.to_string_lossy())
        ))
    });
    let arguments = command
        .get_args()
        .map(|argument| quoted(&argument.to_string_lossy()));
    environment
        .chain([program.into_owned()])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

fn expect_success(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{}` failed with {status}", shown(command))
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("could not wait for a child")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
}

fn kill_group(child: &mut Child) {
    // std has no call for a group, and this crate stays free of libc.
    let _ = Command::new("kill")
        .args(["-KILL", "--", &format!("-{}", child.id())])
        .status();
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/opt/bin/cargo");
        command
            .args(["test", "it's", ""])
            .env("RUSTFLAGS", "-D warnings");
        assert_eq!(
            shown(&command),
            r"RUSTFLAGS='-D warnings' cargo test 'it'\''s' ''"
        );
    }

    #[test]
    fn a_failure_names_the_command_and_the_status() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c 'exit 3'` failed with exit status: 3"
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_what_it_started() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        let error = run_within(&mut command, Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
    }

    #[test]
    fn output_carries_what_the_program_complained_about() {
        let error = output(Command::new("sh").args(["-c", "echo no such host >&2; false"]));
        assert!(error.unwrap_err().to_string().ends_with("no such host"));
    }
}
