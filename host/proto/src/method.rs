//! Ways to make a child, as one context asks another for them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use offshoot_abi::Secret;
use offshoot_text::{Hop, HopError, check_host, check_user};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::bootstrap::{Keep, Verify};
use crate::limits::LOST_AFTER;

/// Ways to make a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// A process of the same user on the same machine.
    Local {
        /// What process listings show behind `offshoot:`; `None` says whose child it is.
        remote_name: Option<String>,
        /// A child binary on that machine; `None` is the parent's own.
        child_path: Option<String>,
    },
    /// A process on another machine.
    Ssh(Box<Ssh>),
    /// A process of another user, by `sudo`.
    Sudo(Box<Sudo>),
    /// The same by `su`.
    Su(Box<Su>),
    /// The same by `doas`.
    Doas(Box<Doas>),
}

impl Method {
    /// What a context that was made like this is called, behind its parent's name and a dot
    ///. `{pid}` stands for its process.
    pub fn label(&self) -> String {
        let text = match self {
            Self::Local { .. } => "local.{pid}".into(),
            Self::Ssh(ssh) => match ssh.port {
                None | Some(22) => alloc::format!("ssh.{}", ssh.hostname),
                Some(port) => alloc::format!("ssh.{}:{port}", ssh.hostname),
            },
            Self::Sudo(sudo) => alloc::format!("sudo.{}", user_or_root(sudo.username.as_deref())),
            Self::Su(su) => alloc::format!("su.{}", user_or_root(su.username.as_deref())),
            Self::Doas(doas) => alloc::format!("doas.{}", user_or_root(doas.username.as_deref())),
        };
        text.replace(|c| c == '/' || crate::commands_a_terminal(c), "_")
    }

    /// Checks the names of hosts and users, which reach command lines and shells.
    ///
    /// The request may come from another context: a context checks it right before it acts on it.
    ///
    /// # Errors
    ///
    /// Fails for a name that [`check_host`] or [`check_user`] refuses, and for a `jump` that is no
    /// list of hosts.
    pub fn check_names(&self) -> Result<(), HopError> {
        let user = |user: &Option<String>| user.as_deref().map_or(Ok(()), check_user);
        match self {
            Self::Local { .. } => Ok(()),
            Self::Ssh(ssh) => {
                check_host(&ssh.hostname)?;
                user(&ssh.username)?;
                ssh.jump
                    .as_deref()
                    .map_or(Ok(()), |jump| Hop::list(jump).map(drop))
            }
            Self::Sudo(sudo) => Ok(user(&sudo.username)?),
            Self::Su(su) => Ok(user(&su.username)?),
            Self::Doas(doas) => Ok(user(&doas.username)?),
        }
    }

    /// How long either end of the link may give no sign of life until the other one takes it for
    /// lost; `None` for a link that is not watched.
    pub fn lost_after(&self) -> Option<Duration> {
        let start = match self {
            // The pipes end with the process.
            Self::Local { .. } => return None,
            Self::Ssh(ssh) => &ssh.start,
            Self::Sudo(sudo) => &sudo.start,
            Self::Su(su) => &su.start,
            Self::Doas(doas) => &doas.start,
        };
        let given = start
            .lost_after_ms
            .map(u64::from)
            .map(Duration::from_millis);
        Some(given.unwrap_or(LOST_AFTER)).filter(|patience| !patience.is_zero())
    }
}

/// Whom a tool makes someone into unless it is told.
pub fn user_or_root(username: Option<&str>) -> &str {
    username.unwrap_or("root")
}

/// What every way to another machine or user has in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// What process listings show behind `offshoot:`; `None` says whose child it is.
    pub remote_name: Option<String>,
    /// A child binary that is there already; `None` looks into the cache and sends one if need be.
    pub child_path: Option<String>,
    /// Whether a child that was sent is left there for the next time.
    pub keep: Keep,
    /// How one that was left there is checked.
    pub verify: Verify,
    /// How long, in milliseconds, either end of the link may give no sign of life; 0 for however
    /// long it likes, `None` for as long as is usual.
    pub lost_after_ms: Option<u32>,
}

/// A process on another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ssh {
    /// As for every way.
    pub start: Start,
    /// Which one, in the words of the client's configuration.
    pub hostname: String,
    /// As whom; `None` leaves it to the client.
    pub username: Option<String>,
    /// What to answer when a password is asked for.
    pub password: Option<Password>,
    /// What to answer when an identity's passphrase is asked for.
    pub passphrase: Option<Password>,
    /// The client's program; `None` is the default client.
    pub ssh_path: Option<String>,
    /// Where the server listens; `None` leaves it to the client.
    pub port: Option<u16>,
    /// The only private key to use.
    pub identity_file: Option<String>,
    /// Whether keys that are not configured are left alone; `None` does so where an identity or a
    /// password is given.
    pub identities_only: Option<bool>,
    /// What to do about the server's key; `None` leaves it to the client, and what that would ask
    /// about is refused.
    pub check_host_keys: Option<CheckHostKeys>,
    /// The client's configuration; `None` is the user's and the machine's.
    pub config_file: Option<String>,
    /// Whether to compress; `None` leaves it to the client.
    pub compression: Option<bool>,
    /// How often to ask a silent server for a sign of life.
    pub keepalive: KeepAlive,
    /// Further arguments for the client's program.
    pub ssh_args: Vec<String>,
    /// Machines to go through, as `ssh -J` takes them.
    pub jump: Option<String>,
    /// How much the client's program is to tell: so many `-v`.
    pub debug_level: u8,
    /// A client for a machine that has none: the hash of its program, gzipped, which is sent ahead
    /// as images of plugins are. `None` is the machine's own.
    pub client: Option<[u8; 32]>,
}

impl Ssh {
    /// Whether keys that are neither given nor configured are left alone: a server hangs up after
    /// a few, before it would have asked for the password.
    pub fn only_given_identities(&self, has_password: bool) -> bool {
        let given = self.identity_file.is_some() || has_password;
        self.identities_only.unwrap_or(given)
    }
}

/// What to do about a server's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckHostKeys {
    /// It must be known already.
    #[default]
    Enforce,
    /// A new one is learnt. One that has changed is refused.
    Accept,
    /// A new one is learnt. With one that has changed or is revoked the connection goes on, with a
    /// warning, and the server is shown no password.
    Ignore,
}

/// How often to ask a silent server for a sign of life, and how often in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Seconds between two questions; 0 asks none.
    pub seconds: u32,
    /// Questions without an answer until the connection is given up.
    pub count: u32,
}

impl Default for KeepAlive {
    /// 15 seconds, three times.
    fn default() -> Self {
        Self {
            seconds: 15,
            count: 3,
        }
    }
}

/// A process of another user, by `sudo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sudo {
    /// As for every way.
    pub start: Start,
    /// Who; `None` is root.
    pub username: Option<String>,
    /// What to answer when a password is asked for.
    pub password: Option<Password>,
    /// The program; `None` is `sudo`.
    pub sudo_path: Option<String>,
    /// Whether `HOME` is the other user's (`-H`).
    pub set_home: bool,
    /// Whether the environment is kept (`-E`).
    pub preserve_env: bool,
    /// Whether the other user's login shell is asked first (`-i`).
    pub login: bool,
    /// Role in the security context (`-r`).
    pub selinux_role: Option<String>,
    /// Type in the security context (`-t`).
    pub selinux_type: Option<String>,
}

/// A process of another user, by `su`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Su {
    /// As for every way.
    pub start: Start,
    /// Who; `None` is root.
    pub username: Option<String>,
    /// What to answer when a password is asked for.
    pub password: Option<Password>,
    /// The program; `None` is `su`.
    pub su_path: Option<String>,
}

/// A process of another user, by `doas`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doas {
    /// As for every way.
    pub start: Start,
    /// Who; `None` is root.
    pub username: Option<String>,
    /// What to answer when a password is asked for.
    pub password: Option<Password>,
    /// The program; `None` is `doas`.
    pub doas_path: Option<String>,
}

/// A password. It prints as `[secret]`, and its bytes are overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<Secret> for Password {
    fn from(secret: Secret) -> Self {
        Self(secret.expose().into())
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::format;

    use super::*;

    #[test]
    fn t14_a_password_prints_as_none() {
        let sudo = Sudo {
            password: Some("hunter2".into()),
            ..Sudo::default()
        };
        let printed = format!("{:?}", Method::Sudo(Box::new(sudo)));
        assert!(printed.contains("password: Some([secret])"), "{printed}");
    }

    #[test]
    fn f6_what_goes_through_a_tool_is_watched_unless_it_is_told_otherwise() {
        let local = Method::Local {
            remote_name: None,
            child_path: None,
        };
        assert_eq!(local.lost_after(), None);
        assert_eq!(Method::Ssh(Box::default()).lost_after(), Some(LOST_AFTER));
        for (given, want) in [(0, None), (1500, Some(Duration::from_millis(1500)))] {
            let start = Start {
                lost_after_ms: Some(given),
                ..Start::default()
            };
            let su = Su {
                start,
                ..Su::default()
            };
            assert_eq!(Method::Su(Box::new(su)).lost_after(), want);
        }
    }

    #[test]
    fn s091_labels_name_the_way() {
        let mut ssh = Ssh {
            hostname: "web1".to_owned(),
            ..Ssh::default()
        };
        let label = |ssh: &Ssh| Method::Ssh(Box::new(ssh.clone())).label();
        assert_eq!(label(&ssh), "ssh.web1");
        ssh.port = Some(22);
        assert_eq!(label(&ssh), "ssh.web1");
        ssh.port = Some(2222);
        assert_eq!(label(&ssh), "ssh.web1:2222");
        ssh.hostname = "a/b\u{1b}".to_owned();
        assert_eq!(label(&ssh), "ssh.a_b_:2222");
        assert_eq!(Method::Su(Box::default()).label(), "su.root");
        let sudo = Sudo {
            username: Some("bob".to_owned()),
            ..Sudo::default()
        };
        assert_eq!(Method::Sudo(Box::new(sudo)).label(), "sudo.bob");
    }
}
