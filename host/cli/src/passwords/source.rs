//! Where one password comes from: the terminal, a descriptor or a command, and never an argument,
//! which every user of the machine can read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::super::report::Diagnostic;
use offshoot::Password;
use offshoot_node::descriptors;

/// Bytes of a password at most.
const PASSWORD_MAX: u64 = 4096;

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The user, at the terminal.
    Terminal,
    /// An open file descriptor.
    Descriptor(u16),
    /// The first line that a shell command prints.
    Command(String),
}

impl Source {
    /// Has nothing that this process starts inherit the descriptor.
    pub(super) fn keep_from_others(&self) {
        if let Self::Descriptor(number) = self {
            descriptors::set_close_on_exec(i32::from(*number));
        }
    }

    /// Reads it; a user is asked for the password for `what`.
    pub(super) fn read(&self, what: &str) -> Result<Password, Diagnostic> {
        let (read, from) = match self {
            Self::Terminal => (
                ask(&format!("Password for {what}: ")),
                "from the terminal".to_owned(),
            ),
            Self::Descriptor(number) => (
                from_descriptor(*number),
                format!("from descriptor {number}"),
            ),
            Self::Command(command) => (from_command(command), format!("from `{command}`")),
        };
        read.map_err(|error| Diagnostic::usage(format!("cannot read a password {from}: {error}")))
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let source = match text.split_once(':') {
            None if text == "ask" => Some(Self::Terminal),
            Some(("fd", number)) => number.parse().ok().map(Self::Descriptor),
            Some(("command", command)) if !command.is_empty() => {
                Some(Self::Command(command.to_owned()))
            }
            _ => None,
        };
        source.ok_or_else(|| {
            "a password comes from `ask`, `fd:N` or `command:COMMAND`, and is never an argument"
                .to_owned()
        })
    }
}

/// Asks on the terminal, which shows nothing of what is typed.
fn ask(text: &str) -> std::io::Result<Password> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let question = Question::new(terminal.try_clone()?, text)?;
    // Whoever ends or stops this process finds the question before the terminal is changed.
    let asked = asking().insert(question).ask();
    let line = asked.and_then(|()| first_line(&terminal));
    if let Some(question) = asking().take() {
        question.show_input()?;
    }
    line
}

/// What the user is asked on a terminal.
struct Question {
    terminal: File,
    text: String,
    /// What the terminal was like before.
    shown: Termios,
}

impl Question {
    fn new(terminal: File, text: &str) -> std::io::Result<Self> {
        let shown = tcgetattr(&terminal)?;
        let text = text.to_owned();
        Ok(Self {
            terminal,
            text,
            shown,
        })
    }

    /// Hides what is typed from now on, forgets what was typed before, and asks.
    fn ask(&self) -> std::io::Result<()> {
        let mut hidden = self.shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&self.terminal, OptionalActions::Flush, &hidden)?;
        (&self.terminal).write_all(self.text.as_bytes())
    }

    /// Makes the terminal what it was.
    fn show_input(&self) -> std::io::Result<()> {
        Ok(tcsetattr(
            &self.terminal,
            OptionalActions::Flush,
            &self.shown,
        )?)
    }

    fn leave(&self) {
        let _ = self.show_input();
        let _ = (&self.terminal).write_all(b"\n");
    }
}

/// The question that waits for its answer.
static ASKING: Mutex<Option<Question>> = Mutex::new(None);

fn asking() -> MutexGuard<'static, Option<Question>> {
    ASKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the terminal what it was: this process is about to be stopped, and the shell shows what is
/// typed there meanwhile.
pub(in super::super) fn pause() {
    if let Some(question) = &*asking() {
        question.leave();
    }
}

/// Asks once more: this process was stopped, and the terminal was used by others.
pub(in super::super) fn resume() {
    if let Some(question) = &*asking() {
        // A terminal that is gone ends the wait for an answer.
        let _ = question.ask();
    }
}

/// The command that prints a password.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes the terminal what it was, and ends the command that prints a password: this process is
/// about to end.
pub(in super::super) fn leave() {
    if let Some(command) = running().take() {
        let _ = kill_process(command, Signal::TERM);
    }
    if let Some(question) = asking().take() {
        question.leave();
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

/// The first line, without its end and without the mark that some editors begin a file with.
fn first_line(input: impl Read) -> std::io::Result<Password> {
    let mut line = Zeroizing::new(String::with_capacity(PASSWORD_MAX as usize));
    BufReader::new(input.take(PASSWORD_MAX)).read_line(&mut line)?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.strip_prefix('\u{feff}').unwrap_or(text) {
        "" => Err(std::io::Error::other("it is empty")),
        text => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_of_either_kind_and_a_mark_are_no_part_of_a_password() {
        let read = |text: &str| first_line(text.as_bytes()).map(|it| it.expose().to_owned());
        for text in [
            "pw",
            "pw\n",
            "pw\r\n",
            "pw\r",
            "\u{feff}pw\r\n",
            "pw\nmore\n",
        ] {
            assert_eq!(read(text).unwrap(), "pw", "{text:?}");
        }
        assert_eq!(read(" p w \r\r\n").unwrap(), " p w \r");
        for text in ["", "\n", "\r\n", "\u{feff}\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn sources_are_read() {
        let source = |text: &str| text.parse::<Source>();
        assert_eq!(source("ask"), Ok(Source::Terminal));
        assert_eq!(source("fd:3"), Ok(Source::Descriptor(3)));
        let command = Source::Command("pass show a:b".to_owned());
        assert_eq!(source("command:pass show a:b"), Ok(command));
        for text in [
            "", "hunter2", "ask:me", "fd:", "fd:x", "fd:70000", "command:",
        ] {
            let error = source(text).unwrap_err();
            assert!(error.contains("never an argument"), "{text}: {error}");
        }
    }
}
