//! Passwords for the way to a target: from the terminal, a descriptor or a command, and never from
//! an argument, which every user of the machine can read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::report::Problem;
use crate::Password;

/// Bytes of a password at most.
const PASSWORD_MAX: u64 = 4096;

/// Where passwords come from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Ask for the password that `ssh` wants
    #[arg(long, help_heading = "Passwords", conflicts_with_all = ["pass_fd", "pass_command"])]
    ask_pass: bool,

    /// Read the password that `ssh` wants from this open file descriptor
    #[arg(
        long,
        help_heading = "Passwords",
        value_name = "N",
        conflicts_with = "pass_command"
    )]
    pass_fd: Option<u16>,

    /// Take the first line that this shell command prints as the password that `ssh` wants
    #[arg(long, help_heading = "Passwords", value_name = "COMMAND")]
    pass_command: Option<String>,

    /// Ask for the password that `sudo`, `su` and `doas` want
    #[arg(
        long,
        help_heading = "Passwords",
        conflicts_with_all = ["become_pass_fd", "become_pass_command"]
    )]
    ask_become_pass: bool,

    /// Read the password that `sudo`, `su` and `doas` want from this open file descriptor
    #[arg(
        long,
        help_heading = "Passwords",
        value_name = "N",
        conflicts_with = "become_pass_command"
    )]
    become_pass_fd: Option<u16>,

    /// Take the first line that this shell command prints as the password that `sudo`, `su` and
    /// `doas` want
    #[arg(long, help_heading = "Passwords", value_name = "COMMAND")]
    become_pass_command: Option<String>,
}

/// The passwords of one command.
#[derive(Default)]
pub(super) struct Passwords {
    /// For `ssh`.
    pub(super) login: Option<Password>,
    /// For the tools that make one another user.
    pub(super) becoming: Option<Password>,
}

impl Passwords {
    /// Gets those that were asked for.
    pub(super) fn get(args: &PasswordArgs) -> Result<Self, Problem> {
        Ok(Self {
            login: one(
                args.ask_pass.then_some("Password for ssh: "),
                args.pass_fd,
                args.pass_command.as_deref(),
            )?,
            becoming: one(
                args.ask_become_pass
                    .then_some("Password for sudo, su and doas: "),
                args.become_pass_fd,
                args.become_pass_command.as_deref(),
            )?,
        })
    }
}

fn one(
    prompt: Option<&str>,
    descriptor: Option<u16>,
    command: Option<&str>,
) -> Result<Option<Password>, Problem> {
    let (read, from) = match (prompt, descriptor, command) {
        (Some(prompt), _, _) => (ask(prompt), "from the terminal".to_owned()),
        (_, Some(number), _) => (from_descriptor(number), format!("from descriptor {number}")),
        (_, _, Some(command)) => (from_command(command), format!("from `{command}`")),
        (None, None, None) => return Ok(None),
    };
    let failed = |error| Problem::usage(format!("cannot read a password {from}: {error}"));
    read.map(Some).map_err(failed)
}

/// Asks on the terminal, which shows nothing of what is typed.
fn ask(prompt: &str) -> std::io::Result<Password> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    *asking() = Some((terminal.try_clone()?, shown));
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    terminal.write_all(prompt.as_bytes())?;
    tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
    let line = first_line(&terminal);
    if let Some((terminal, shown)) = asking().take() {
        tcsetattr(&terminal, OptionalActions::Flush, &shown)?;
    }
    line
}

/// The terminal that is asked on, and what it was like before.
static ASKING: Mutex<Option<(File, Termios)>> = Mutex::new(None);

fn asking() -> MutexGuard<'static, Option<(File, Termios)>> {
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The command that prints a password.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the terminal what it was, and ends the command that prints a password: this process is
/// about to end.
pub(super) fn leave() {
    if let Some(command) = running().take() {
        let _ = kill_process(command, Signal::TERM);
    }
    if let Some((mut terminal, shown)) = asking().take() {
        let _ = tcsetattr(&terminal, OptionalActions::Flush, &shown);
        let _ = terminal.write_all(b"\n");
    }
}

/// [`leave`] has ended the command, which is no failure of it: whoever called that ends this process,
/// and knows why.
fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}

fn from_descriptor(number: u16) -> std::io::Result<Password> {
    // A copy of whatever is open there: it is an error if nothing is.
    let path = format!("/proc/self/fd/{number}");
    first_line(File::open(path)?)
}

fn from_command(command: &str) -> std::io::Result<Password> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdout(Stdio::piped())
        .spawn()?;
    *running() = Some(Pid::from_child(&child));
    let output = child.stdout.take();
    let line = output.map_or_else(|| Err(std::io::ErrorKind::BrokenPipe.into()), first_line);
    // Its number stays its own until it is waited for.
    if running().take().is_none() {
        wait_for_the_end();
    }
    let status = child.wait()?;
    match status.success() {
        true => line,
        false => Err(std::io::Error::other(format!("it failed ({status})"))),
    }
}

/// The first line, without its end.
fn first_line(input: impl Read) -> std::io::Result<Password> {
    let mut line = Zeroizing::new(String::with_capacity(PASSWORD_MAX as usize));
    BufReader::new(input.take(PASSWORD_MAX)).read_line(&mut line)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    match text {
        "" => Err(std::io::Error::other("it is empty")),
        text => Ok(text.into()),
    }
}
