//! The builder of a context on another machine.

use std::sync::Arc;
use std::time::Duration;

use offshoot_proto::control::{CheckHostKeys, Method, Password, Ssh as Spec};

use super::{ConnectBuilder, afar, common};
use crate::tree::Tree;

/// A context on another machine that is about to be made. Await it.
///
/// Nothing has to be installed there. What is not said here is up to the client and its
/// configuration, such as `~/.ssh/config`.
///
/// ```no_run
/// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// let web1 = router.ssh("web1").username("deploy").await?;
/// let root = router.sudo().via(&web1).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a context is made when the builder is awaited"]
pub struct Ssh {
    making: ConnectBuilder,
    spec: Spec,
}

impl Ssh {
    pub(crate) fn new(tree: Arc<Tree>, hostname: String) -> Self {
        Self {
            making: ConnectBuilder::new(tree),
            spec: Spec {
                hostname,
                ..Spec::default()
            },
        }
    }

    /// As whom to log in.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.spec.username = Some(username.into());
        self
    }

    /// What to answer when a password is asked for. It is sent once at most.
    pub fn password(mut self, password: impl Into<Password>) -> Self {
        self.spec.password = Some(password.into());
        self
    }

    /// What to answer when the passphrase of an identity is asked for.
    pub fn passphrase(mut self, passphrase: impl Into<Password>) -> Self {
        self.spec.passphrase = Some(passphrase.into());
        self
    }

    /// A program to connect with: OpenSSH's client, or one that takes the same arguments.
    pub fn ssh_path(mut self, path: impl Into<String>) -> Self {
        self.spec.ssh_path = Some(path.into());
        self
    }

    /// Where the server listens.
    pub fn port(mut self, port: u16) -> Self {
        self.spec.port = Some(port);
        self
    }

    /// The only private key to log in with.
    pub fn identity_file(mut self, path: impl Into<String>) -> Self {
        self.spec.identity_file = Some(path.into());
        self
    }

    /// Whether keys that are neither given nor configured are left alone, as those of an agent
    /// are. The default does so where an identity or a password is given.
    pub fn identities_only(mut self, only: bool) -> Self {
        self.spec.identities_only = Some(only);
        self
    }

    /// What to do about the server's key. The default is what the client's configuration
    /// says, and to refuse where it would ask: a key has to be known.
    pub fn check_host_keys(mut self, check: CheckHostKeys) -> Self {
        self.spec.check_host_keys = Some(check);
        self
    }

    /// The client's configuration, instead of `~/.ssh/config` and the machine's own, as with
    /// `ssh -F`; `none` is no configuration at all. It lies where the client runs.
    pub fn config_file(mut self, path: impl Into<String>) -> Self {
        self.spec.config_file = Some(path.into());
        self
    }

    /// Whether to compress what is sent.
    pub fn compression(mut self, compression: bool) -> Self {
        self.spec.compression = Some(compression);
        self
    }

    /// How often to ask a silent server for a sign of life, and how often in vain; the default is
    /// every 15 seconds, three times. No time at all asks never.
    pub fn keepalive(mut self, interval: Duration, count: u32) -> Self {
        let seconds = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
        let at_all = u32::from(!interval.is_zero());
        self.spec.keepalive.seconds = seconds.max(at_all);
        self.spec.keepalive.count = count;
        self
    }

    /// Further arguments for the client's program.
    pub fn ssh_args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.spec.ssh_args = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Machines to go through on the way, `[user@]host[:port]` joined by commas. They see
    /// encrypted bytes only: keys and the check of the server's key stay here. With
    /// [`via`](Self::via), the client runs on the other machine instead.
    pub fn jump(mut self, jump: impl Into<String>) -> Self {
        self.spec.jump = Some(jump.into());
        self
    }

    /// How much the client's program tells of itself: so many `-v`, in this program's log.
    pub fn ssh_debug_level(mut self, level: u8) -> Self {
        self.spec.debug_level = level;
        self
    }
}

common!(
    Ssh,
    "ssh.<hostname>[:<port>]",
    |this| this.spec.start,
    |spec| Method::Ssh(Box::new(spec))
);

afar!(Ssh);
