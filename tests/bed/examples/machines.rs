//! Makes machines for somebody to try things on, and runs a shell that knows them.
//!
//! `cargo xtask machines` runs it.

use std::error::Error;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use offshoot_bed::{Builder, Machine, SshdOptions, User};

/// Machines at once: each is a second of work and some ten processes.
const MACHINES_MAX: usize = 64;
/// Of everybody there.
const PASSWORD: &str = "secret";

/// Covers `~/.ssh`, in a view of the file system that only the shell and what it starts have:
/// clients look there whatever `HOME` says. `$1` is the directory, the rest the command.
const COVERED: &str = "\
set -e
ssh=$(getent passwd \"$(id -u)\" | cut -d: -f6)/.ssh
mount -t tmpfs -o mode=700 none \"$ssh\"
cp \"$1\"/* \"$ssh\"
shift
exec \"$@\"";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let number = words.next().as_deref().unwrap_or("1").parse()?;
    if !(1..=MACHINES_MAX).contains(&number) {
        return Err(format!("between 1 and {MACHINES_MAX} machines, not {number}").into());
    }
    let mut command: Vec<String> = words.collect();
    let machines: Vec<Machine> = (0..number)
        .map(|_| describe().start())
        .collect::<Result<_, _>>()?;
    let known = know(&machines)?;
    if command.is_empty() {
        println!("{}", welcome(number, &known));
        command.push(std::env::var("SHELL").unwrap_or_else(|_| "/bin/bash".to_owned()));
    }
    let own = own_ssh()?;
    let status = Command::new("unshare")
        .args(["--mount", "sh", "-c", COVERED, "sh"])
        .arg(&known)
        .args(command)
        .env("HOSTS", known.join("hosts.ini"))
        .status();
    if let Some(made) = own {
        // It is empty: what was written there was in memory.
        let _ = std::fs::remove_dir(made);
    }
    Ok(match status?.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn describe() -> Builder {
    Machine::builder()
        .sshd(SshdOptions::default())
        .user(User::new("bob").password(PASSWORD))
        .user(User::new("deploy").password(PASSWORD))
        .sudoers("bob ALL=(ALL:ALL) ALL")
        .sudoers("deploy ALL=(ALL:ALL) NOPASSWD: ALL")
        .doas("permit bob")
        .run(&format!("echo root:{PASSWORD} | chpasswd"))
}

/// What a client should know of the machines, in a directory on the first of them, so that it
/// goes with it however this ends.
fn know(machines: &[Machine]) -> Result<PathBuf, Box<dyn Error>> {
    let directory = machines[0].identity().with_file_name("ssh");
    std::fs::create_dir(&directory)?;
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
    let (mut config, mut known, mut hosts) = (String::new(), String::new(), "[web]\n".to_owned());
    for (number, machine) in (1..).zip(machines) {
        let port = machine.ssh_addr().port();
        let key = machine.identity();
        writeln!(config, "Host web{number}\n  HostName 127.0.0.1")?;
        writeln!(config, "  Port {port}\n  User bob")?;
        writeln!(config, "  IdentityFile {}", key.display())?;
        known += &machine.known_hosts_line();
        writeln!(hosts, "web{number}")?;
    }
    for (name, text) in [
        ("config", config),
        ("known_hosts", known),
        ("hosts.ini", hosts),
    ] {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(directory)
}

/// Makes this user's own `~/.ssh` if there is none, since only what is there can be covered.
fn own_ssh() -> Result<Option<PathBuf>, Box<dyn Error>> {
    let own = std::env::home_dir().ok_or("you have no home")?.join(".ssh");
    match std::fs::create_dir(&own) {
        Ok(()) => Ok(Some(own)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn welcome(number: usize, known: &Path) -> String {
    let names = match number {
        1 => "`web1` is".to_owned(),
        _ => format!("`web1` to `web{number}` are"),
    };
    format!(
        "{names} up, and known in this shell only; at its end they are gone. Try\n\n  \
         offshoot call ssh:web1 facts::uptime --grant read:/proc\n  \
         offshoot call ssh:deploy@web1/sudo facts::uptime --grant read:/proc\n  \
         offshoot call -i {}/hosts.ini web facts::uptime --grant read:/proc\n  \
         offshoot doctor ssh:web1/sudo --ask-become-pass\n\n\
         bob, who you are if you do not say, and deploy let your key in; deploy needs no password \
         for sudo; every password is `{PASSWORD}`.",
        known.display()
    )
}
