//! Passwords for the way to a target. Each is for one hop, and no other context learns it.

mod source;

use std::str::FromStr;

use clap::Args;

use super::report::Diagnostic;
use super::target::{CountedHop, Hop, Target};
use offshoot::Password;
use offshoot_node::serve::leave_no_core;
use source::Source;
pub(super) use source::{leave, pause, resume};

/// Where passwords come from.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    /// Ask for the password that the first `ssh` of a target wants
    #[arg(long, help_heading = "Passwords", conflicts_with_all = ["pass_fd", "pass_command"])]
    ask_pass: bool,

    /// Read the password that the first `ssh` of a target wants from this open file descriptor
    #[arg(
        long,
        help_heading = "Passwords",
        value_name = "N",
        conflicts_with = "pass_command"
    )]
    pass_fd: Option<u16>,

    /// Take the first line that this shell command prints as the password that the first `ssh` of
    /// a target wants
    #[arg(long, help_heading = "Passwords", value_name = "COMMAND")]
    pass_command: Option<String>,

    /// Ask for the password that the first `sudo`, `su` or `doas` of a target wants
    #[arg(
        long,
        help_heading = "Passwords",
        conflicts_with_all = ["become_pass_fd", "become_pass_command"]
    )]
    ask_become_pass: bool,

    /// Read the password that the first `sudo`, `su` or `doas` of a target wants from this open
    /// file descriptor
    #[arg(
        long,
        help_heading = "Passwords",
        value_name = "N",
        conflicts_with = "become_pass_command"
    )]
    become_pass_fd: Option<u16>,

    /// Take the first line that this shell command prints as the password that the first `sudo`,
    /// `su` or `doas` of a target wants
    #[arg(long, help_heading = "Passwords", value_name = "COMMAND")]
    become_pass_command: Option<String>,

    /// Give a password to another hop, written as in the target: `su:bob=ask`, `su:bob=fd:3` or
    /// `su:bob=command:COMMAND`; hops in front tell equal ones apart, as in `ssh:web2/sudo=ask`
    #[arg(long, help_heading = "Passwords", value_name = "HOP=SOURCE")]
    pass_for: Vec<PassFor>,
}

impl PasswordArgs {
    fn login(&self) -> Option<Source> {
        choose(self.ask_pass, self.pass_fd, self.pass_command.as_ref())
    }

    fn becoming(&self) -> Option<Source> {
        let command = self.become_pass_command.as_ref();
        choose(self.ask_become_pass, self.become_pass_fd, command)
    }
}

fn choose(ask: bool, descriptor: Option<u16>, command: Option<&String>) -> Option<Source> {
    ask.then_some(Source::Terminal)
        .or(descriptor.map(Source::Descriptor))
        .or_else(|| command.cloned().map(Source::Command))
}

/// A hop that is named, and where its password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PassFor {
    name: HopName,
    source: Source,
}

impl FromStr for PassFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((hop, source)) if !hop.is_empty() => Ok(Self {
                name: HopName(hop.to_owned()),
                source: source.parse()?,
            }),
            _ => Err("write the hop and where its password comes from, as in `su:bob=ask`".into()),
        }
    }
}

/// The words of a hop as a target writes it, and of as many in front of it as the user likes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HopName(String);

impl HopName {
    /// Whether it names the last hop of a path.
    fn is_of(&self, path: &[CountedHop]) -> bool {
        let mut hops = path.iter().rev().map(|hop| hop.label.as_str());
        self.0.rsplit('/').all(|word| hops.next() == Some(word))
    }

    /// Refuses a name that no target has, and one that stands for two hops of a target.
    fn check(&self, targets: &[Target]) -> Result<(), Diagnostic> {
        let count = |target: &Target| {
            let depths = 1..=target.hops.len();
            depths
                .filter(|&end| self.is_of(&target.hops[..end]))
                .count()
        };
        let what = match targets.iter().map(count).max() {
            Some(1) => return Ok(()),
            None | Some(0) => "is a hop of no target",
            Some(_) => "is more than one hop of a target",
        };
        let problem = Diagnostic::usage(format!("`--pass-for {}`: this {what}", self.0));
        Err(problem.help(
            "write the hop as the target does, and put those in front of it that tell it from \
             equal ones, such as `ssh:web2/sudo=ask`",
        ))
    }
}

/// The passwords of one command.
#[derive(Default)]
pub(super) struct Passwords {
    /// For the first hop of a target by `ssh`.
    login: Option<Password>,
    /// For the first hop of a target that makes one another user.
    becoming: Option<Password>,
    /// For hops by their names.
    named: Vec<(HopName, Password)>,
}

impl Passwords {
    /// Gets those that were asked for.
    pub(super) fn get(args: &PasswordArgs, targets: &[Target]) -> Result<Self, Diagnostic> {
        for PassFor { name, .. } in &args.pass_for {
            name.check(targets)?;
        }
        let (login, becoming) = (args.login(), args.becoming());
        let named = args.pass_for.iter().map(|it| &it.source);
        // Before the first of them is read, which may start a command.
        for source in login.iter().chain(&becoming).chain(named) {
            source.keep_from_others();
            leave_no_core();
        }
        let read = |source: Option<Source>, what: &str| source.map(|it| it.read(what)).transpose();
        let login = read(login, "ssh")?;
        let becoming = read(becoming, "sudo, su and doas")?;
        let named = args.pass_for.iter().map(|PassFor { name, source }| {
            let password = source.read(&name.0)?;
            Ok((name.clone(), password))
        });
        Ok(Self {
            login,
            becoming,
            named: named.collect::<Result<_, Diagnostic>>()?,
        })
    }

    /// The password for the last hop of a path: its own, or that of the first hop of its kind. A
    /// password that one user's tool asks for is nothing that the next user should learn.
    pub(super) fn of(&self, path: &[CountedHop]) -> Option<&Password> {
        let (last, before) = path.split_last()?;
        let named = self.named.iter().find(|(name, _)| name.is_of(path));
        if let Some((_, password)) = named {
            return Some(password);
        }
        let kind = Kind::of(&last.hop)?;
        let is_first = before.iter().all(|hop| Kind::of(&hop.hop) != Some(kind));
        let password = match kind {
            Kind::Login => &self.login,
            Kind::Becoming => &self.becoming,
        };
        password.as_ref().filter(|_| is_first)
    }
}

/// What a hop asks a password for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Login,
    Becoming,
}

impl Kind {
    fn of(hop: &Hop) -> Option<Self> {
        match hop {
            Hop::Local => None,
            Hop::Ssh { .. } => Some(Self::Login),
            Hop::Sudo(_) | Hop::Su(_) | Hop::Doas(_) => Some(Self::Becoming),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    fn hops(text: &str) -> Vec<CountedHop> {
        target::parse(text).unwrap().remove(0)
    }

    fn name(text: &str) -> HopName {
        HopName(text.to_owned())
    }

    /// The passwords of each hop.
    fn given(passwords: &Passwords, text: &str) -> Vec<String> {
        let path = hops(text);
        let one = |end| passwords.of(&path[..end]).map_or("-", Password::expose);
        (1..=path.len()).map(|end| one(end).to_owned()).collect()
    }

    #[test]
    fn a_password_is_for_one_hop_of_a_target() {
        let passwords = Passwords {
            login: Some("login".into()),
            becoming: Some("become".into()),
            named: vec![(name("su:eve"), "eve".into())],
        };
        let check = |text, want: &[&str]| assert_eq!(given(&passwords, text), want, "{text}");
        check("local", &["-"]);
        check("local/sudo", &["-", "become"]);
        check("ssh:a/sudo/su:other", &["login", "become", "-"]);
        check("ssh:a/sudo:www/sudo", &["login", "become", "-"]);
        check("ssh:a/ssh:b/sudo", &["login", "-", "become"]);
        check("ssh:a/sudo/su:eve", &["login", "become", "eve"]);
        // Whoever names the first one does not move the other password on.
        check("ssh:a/su:eve/sudo", &["login", "eve", "-"]);
    }

    #[test]
    fn hops_in_front_tell_equal_ones_apart() {
        let path = hops("ssh:a/sudo/ssh:b/sudo*3");
        let targets = [Target::from(path.clone())];
        let last = name("ssh:b/sudo");
        assert!(last.check(&targets).is_ok() && last.is_of(&path));
        assert!(!name("ssh:a/sudo").is_of(&path));
        assert!(!name("x/ssh:a/sudo/ssh:b/sudo").is_of(&path));
        let refused = |text: &str| format!("{:?}", name(text).check(&targets).unwrap_err());
        assert!(refused("sudo").contains("more than one hop"));
        assert!(refused("su:eve").contains("a hop of no target"));
    }

    #[test]
    fn a_password_itself_is_no_argument() {
        assert!("su:eve=ask".parse::<PassFor>().is_ok());
        for text in ["su:eve", "=ask", "su:eve=hunter2"] {
            assert!(text.parse::<PassFor>().is_err(), "{text}");
        }
    }
}
