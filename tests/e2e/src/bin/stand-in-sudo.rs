//! Stands in for `sudo` where a test needs one that behaves like no installed one. It is installed
//! with the rights of root, as the tool itself is, and behaves as its name says.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

const PASSWORD: &str = "corr3ct-h0rse";

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    let words: Vec<String> = arguments.skip_while(|word| word != "--").skip(1).collect();
    let prompt = std::env::var("SUDO_PROMPT").unwrap_or_default();
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.expect("it has a terminal");
    match name.rsplit('/').next() {
        Some("sudo-rs") => {
            let prompt = format!("[sudo: {prompt}] Password: ");
            if ask(&terminal, &prompt) != PASSWORD {
                print(&terminal, "sudo: Authentication failed, try again.\n");
                ask(&terminal, &prompt);
                return ExitCode::FAILURE;
            }
        }
        // Asks, lets one in, and asks again.
        Some("sudo-twice") => {
            let word = ask(&terminal, &prompt);
            std::fs::write("/tmp/first", word).expect("it is writable");
            let again = "(sleep 0.3; printf %s \"$SUDO_PROMPT\" >/dev/tty; \
                timeout 2 cat </dev/tty >/tmp/second; : >/tmp/done) &";
            let again = Command::new("/bin/sh").args(["-c", again]).status();
            again.expect("it starts");
        }
        // Says its prompt while the terminal still shows what is typed.
        Some("sudo-slow") => {
            print(&terminal, &prompt);
            let patience = Timespec {
                tv_sec: 0,
                tv_nsec: 200_000_000,
            };
            let mut input = [PollFd::new(&terminal, PollFlags::IN)];
            if poll(&mut input, Some(&patience)).expect("it can wait") > 0 {
                std::fs::write("/tmp/early", "").expect("it is writable");
            }
            if ask(&terminal, "") != PASSWORD {
                return ExitCode::FAILURE;
            }
        }
        _ => return ExitCode::FAILURE,
    }
    drop(terminal);
    let (program, arguments) = words.split_first().expect("there is a command");
    let user = rustix::process::getuid().as_raw();
    let error = Command::new(program).args(arguments).uid(user).exec();
    eprintln!("{program}: {error}");
    ExitCode::FAILURE
}

fn print(mut terminal: &File, text: &str) {
    terminal.write_all(text.as_bytes()).expect("it is there");
}

/// Asks as the tool does: nothing of the answer is shown.
fn ask(terminal: &File, prompt: &str) -> String {
    let shown = tcgetattr(terminal).expect("it is a terminal");
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(terminal, OptionalActions::Flush, &hidden).expect("it is a terminal");
    print(terminal, prompt);
    let mut word = String::new();
    let read = BufReader::new(terminal).read_line(&mut word);
    read.expect("it is text");
    tcsetattr(terminal, OptionalActions::Flush, &shown).expect("it is a terminal");
    word.trim_end().to_owned()
}
