//! How to get to a host: what its variables say.

use super::{Host, HostId, Inventory, SourceLocation, Value, Var, Vars};
use crate::report::Diagnostic;
use crate::target::Hop;

/// As whom to go on, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Become {
    pub(crate) method: BecomeMethod,
    /// `None` is root.
    pub(crate) user: Option<String>,
}

impl From<Become> for Hop {
    fn from(Become { method, user }: Become) -> Self {
        match method {
            BecomeMethod::Sudo => Self::Sudo(user),
            BecomeMethod::Su => Self::Su(user),
            BecomeMethod::Doas => Self::Doas(user),
        }
    }
}

/// A program that makes one user into another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum BecomeMethod {
    #[default]
    Sudo,
    Su,
    Doas,
}

/// Refuses variables that hold what nobody but their owner may know.
pub(super) fn refuse_secrets(name: &str, at: &SourceLocation) -> Result<(), Diagnostic> {
    let Some(rest) = name.strip_prefix("ansible_") else {
        return Ok(());
    };
    let is_password = ["pass", "password", "passphrase"]
        .iter()
        .any(|end| rest == *end || rest.ends_with(&format!("_{end}")));
    let (what, instead) = match rest {
        _ if is_password => (
            "a password does not belong into a file that is passed around",
            "remove it; use a key and an agent, or let the command ask with `--ask-pass` and \
             `--ask-become-pass`",
        ),
        "ssh_private_key" | "private_key" => (
            "a private key does not belong into a file that is passed around",
            "remove it; name the key's file with `ansible_ssh_private_key_file`",
        ),
        _ => return Ok(()),
    };
    Err(at
        .problem(format!("`{name}` is refused: {what}"))
        .help(instead))
}

impl Inventory {
    /// What a host is called.
    pub(crate) fn name(&self, host: HostId) -> &str {
        &self.hosts[host].name
    }

    /// Where a host was first named.
    pub(crate) fn location(&self, host: HostId) -> &SourceLocation {
        &self.hosts[host].at
    }

    /// The whole way to a host, in the words of the command line, if that is all that is known.
    pub(crate) fn path(&self, host: HostId) -> Option<&str> {
        self.hosts[host].path.as_deref()
    }

    /// The steps to a host. `default` is how to go on where its variables do not say.
    pub(crate) fn hops(
        &self,
        host: HostId,
        default: Option<&Become>,
    ) -> Result<Vec<Hop>, Diagnostic> {
        let vars = self.vars_of(host);
        hops(&self.hosts[host], &vars, default)
    }
}

fn hops(host: &Host, vars: &Vars, default: Option<&Become>) -> Result<Vec<Hop>, Diagnostic> {
    let reader = Reader {
        vars,
        host: &host.name,
    };
    let become_user = reader.become_user(default)?;
    let is_local = match reader.text(&["ansible_connection"])? {
        None => false,
        Some((text, at)) => match plugin_name(text) {
            "local" => true,
            "ssh" | "smart" | "paramiko" | "paramiko_ssh" => false,
            _ => {
                let what = format!(
                    "`{}` is reached by `{text}`, which is not supported",
                    host.name
                );
                return Err(at
                    .problem(what)
                    .help("`ansible_connection` may be `ssh` or `local`"));
            }
        },
    };
    reader.refuse_unheeded(is_local)?;
    let mut hops = Vec::new();
    if !is_local {
        let address = reader.text(&["ansible_host", "ansible_ssh_host"])?;
        hops.push(Hop::Ssh {
            host: address.map_or(&*host.name, |(text, _)| text).to_owned(),
            user: reader.owned(&["ansible_user", "ansible_ssh_user"])?,
            port: reader.port()?,
            identity_file: reader
                .owned(&["ansible_ssh_private_key_file", "ansible_private_key_file"])?,
        });
    } else if become_user.is_none() {
        hops.push(Hop::Local);
    }
    hops.extend(become_user.map(Hop::from));
    Ok(hops)
}

struct Reader<'a> {
    vars: &'a Vars,
    host: &'a str,
}

impl<'a> Reader<'a> {
    /// The first of these variables that has a value.
    fn text(&self, names: &[&str]) -> Result<Option<(&'a str, &'a SourceLocation)>, Diagnostic> {
        for name in names {
            let Some(Var { value, at }) = self.vars.get(*name) else {
                continue;
            };
            match value {
                Value::Null => {}
                Value::Text(text) if text.is_empty() => {}
                Value::Text(text) if text.contains("{{") || text.contains("{%") => {
                    let what = format!("`{name}` of `{}` is a template", self.host);
                    return Err(at.problem(what).help(
                        "templates are not evaluated; write the value, or let Ansible write a \
                         list: `ansible-inventory --list --yaml`",
                    ));
                }
                Value::Text(text) => return Ok(Some((text, at))),
                Value::Other(found) => {
                    let what = format!("`{name}` of `{}` must be a text, found {found}", self.host);
                    return Err(at.problem(what));
                }
            }
        }
        Ok(None)
    }

    /// Refuses what would change the way and cannot be done.
    fn refuse_unheeded(&self, is_local: bool) -> Result<(), Diagnostic> {
        const BECOMING: usize = 2;
        let config = "remove it, and put what it says into ~/.ssh/config, as options of this host";
        let unheeded = [
            (
                "ansible_become_exe",
                "remove it: the tool is found by its name",
            ),
            (
                "ansible_become_flags",
                "remove it: it would be an option of another tool",
            ),
            ("ansible_ssh_common_args", config),
            ("ansible_ssh_extra_args", config),
            ("ansible_ssh_args", config),
            (
                "ansible_ssh_executable",
                "remove it: the client is chosen by the library",
            ),
            (
                "ansible_ssh_timeout",
                "remove it, and give `--connect-timeout`",
            ),
            (
                "ansible_host_key_checking",
                "remove it: add the host's key to known_hosts",
            ),
            (
                "ansible_ssh_host_key_checking",
                "remove it: add the host's key to known_hosts",
            ),
        ];
        let count = if is_local { BECOMING } else { unheeded.len() };
        for (name, help) in &unheeded[..count] {
            if let Some((_, at)) = self.text(&[name])? {
                let what = format!("`{name}` of `{}` is not supported", self.host);
                return Err(at.problem(what).help(*help));
            }
        }
        Ok(())
    }

    fn owned(&self, names: &[&str]) -> Result<Option<String>, Diagnostic> {
        Ok(self.text(names)?.map(|(text, _)| text.to_owned()))
    }

    fn port(&self) -> Result<Option<u16>, Diagnostic> {
        match self.text(&["ansible_port", "ansible_ssh_port"])? {
            None => Ok(None),
            Some((text, at)) => match text.parse() {
                Ok(port) if port > 0 => Ok(Some(port)),
                _ => Err(at.problem(format!(
                    "`{text}` is not a port (1 to 65535) of `{}`",
                    self.host
                ))),
            },
        }
    }

    fn become_user(&self, default: Option<&Become>) -> Result<Option<Become>, Diagnostic> {
        let wanted = match self.text(&["ansible_become"])? {
            None => default.is_some(),
            Some((text, at)) => is_true(text).ok_or_else(|| {
                let what = format!("`ansible_become` of `{}` is `{text}`", self.host);
                at.problem(what).help("write `true` or `false`")
            })?,
        };
        if !wanted {
            return Ok(None);
        }
        let fallback = default.cloned().unwrap_or_default();
        let method = match self.text(&["ansible_become_method"])? {
            None => fallback.method,
            Some((text, at)) => match plugin_name(text) {
                "sudo" => BecomeMethod::Sudo,
                "su" => BecomeMethod::Su,
                "doas" | "community.general.doas" => BecomeMethod::Doas,
                _ => {
                    let what = format!(
                        "`{}` changes users by `{text}`, which is not supported",
                        self.host
                    );
                    return Err(at
                        .problem(what)
                        .help("`ansible_become_method` may be `sudo`, `su` or `doas`"));
                }
            },
        };
        let user = self.owned(&["ansible_become_user"])?.or(fallback.user);
        Ok(Some(Become { method, user }))
    }
}

/// The name of a plugin of Ansible's own, without the collection that may stand before it.
fn plugin_name(text: &str) -> &str {
    let collections = ["ansible.builtin.", "ansible.legacy."];
    let short = collections.iter().find_map(|it| text.strip_prefix(it));
    short.unwrap_or(text)
}

/// A truth value in any of the spellings that Ansible takes.
fn is_true(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" | "1.0" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" | "0.0" => Some(false),
        _ => None,
    }
}
