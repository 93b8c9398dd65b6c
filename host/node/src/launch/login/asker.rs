//! Decides whether the process that asks for a password is the tool that was started for it.
//!
//! A prompt is text, and everything that the tool runs for the other user can print the same text
//! to the same terminal or pipe. What it cannot do is be the tool: alive, with the rights of root,
//! and without a single child so far. These facts are never true again once they were false, so a
//! tool for which they hold now has run nothing when an earlier prompt was printed.

use std::fs::{read_dir, read_to_string};

use rustix::process::geteuid;

use crate::transport::Transport;

/// Who can have printed a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::launch) enum Asker {
    /// The tool, and nobody else.
    Tool,
    /// The tool or what it runs: `/proc` shows this user no processes of others.
    Hidden,
    /// What the tool runs, or has run: why it is not the tool, as the end of a sentence about it.
    Other(String),
}

impl Asker {
    /// Looks at the process of a tool. What it says is about the prompts that were read before.
    pub(in crate::launch) fn of(transport: &Transport) -> Self {
        let pid = match transport {
            Transport::Process(process) if process.is_running() => process.id(),
            _ => return Self::Other("has ended".to_owned()),
        };
        // Children first: one that is reaped while this looks is in the statistics after that.
        let has_child = has_child(pid);
        let (Some(stat), Some(user)) = (Stat::of(pid), effective_user(pid)) else {
            return Self::Hidden;
        };
        match user {
            0 if has_child || stat.has_reaped => {
                Self::Other("has started another program already".to_owned())
            }
            0 => Self::Tool,
            user if user == geteuid().as_raw() => Self::Other(
                "has no rights of root: it lacks its setuid bit, or a wrapper does not `exec` it"
                    .to_owned(),
            ),
            user => Self::Other(format!("runs as user {user} and not as root")),
        }
    }
}

/// What `/proc` says of a process.
struct Stat {
    parent: u32,
    is_zombie: bool,
    /// Whether it has waited for a child: the faults of those are added up, and no program runs
    /// without a page fault.
    has_reaped: bool,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The fields are counted from behind the name, which can contain anything.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        Some(Self {
            is_zombie: *fields.first()? == "Z",
            parent: fields.get(1)?.parse().ok()?,
            has_reaped: [*fields.get(8)?, *fields.get(10)?] != ["0", "0"],
        })
    }
}

/// The parent of a process, zombies excluded.
pub fn parent_of(pid: u32) -> Option<u32> {
    let stat = Stat::of(pid)?;
    (!stat.is_zombie).then_some(stat.parent)
}

/// Whether a process has a child, which may have ended.
fn has_child(pid: u32) -> bool {
    let entries = read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter_map(Stat::of)
        .any(|stat| stat.parent == pid)
}

fn effective_user(pid: u32) -> Option<u32> {
    let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, ChildStdin, Command, Stdio};

    use super::*;

    /// A shell that has run `script` and waits, and what ends it.
    fn shell(script: &str) -> (Child, ChildStdin) {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("{script}\necho ready; read -r line")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let input = child.stdin.take().unwrap();
        (child, input)
    }

    #[test]
    fn children_are_seen_while_they_run_and_once_they_were_waited_for() {
        for (script, has_children, has_reaped) in [
            ("", false, false),
            ("sleep 60 >/dev/null & trap 'kill $!' EXIT", true, false),
            ("/bin/true", false, true),
            ("(exit 3)", false, true),
        ] {
            let (mut child, input) = shell(script);
            let pid = child.id();
            let stat = Stat::of(pid).unwrap();
            let seen = (has_child(pid), stat.has_reaped);
            drop(input);
            child.wait().unwrap();
            assert_eq!(seen, (has_children, has_reaped), "{script}");
            assert_eq!(stat.parent, std::process::id());
        }
    }

    #[test]
    fn a_name_cannot_forge_what_is_behind_it() {
        let text = "7 (a) Z 1 (b) S 42 7 7 0 -1 4194560 83 0 0 0 1 2 0 0 20 0 1 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.parent, stat.is_zombie, stat.has_reaped),
            (42, false, false)
        );
        assert!(
            Stat::parse("7 (a) S 42 7 7 0 -1 4194560 83 9 0 0 1 2")
                .unwrap()
                .has_reaped
        );
        assert!(
            Stat::parse("7 (a) S 42 7 7 0 -1 4194560 83 0 0 9 1 2")
                .unwrap()
                .has_reaped
        );
        assert!(Stat::parse("7 (a) S").is_none());
    }

    #[test]
    fn the_effective_user_is_told() {
        let user = geteuid().as_raw();
        assert_eq!(effective_user(std::process::id()), Some(user));
    }
}
