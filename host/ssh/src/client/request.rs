//! The request of a caller.

use std::time::Duration;

use super::host_key::HostKeyPolicy;
use super::progress::OnProgress;
use crate::config::{Environment, Overrides};
use crate::secret::Secret;

/// How long a request may take, up to the command's start, unless it says otherwise. Servers close
/// connections that take longer to authenticate.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// A command to run on a host, and how to get there.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host, as the user calls it: `Host` blocks are for this name.
    pub host: String,
    /// Values that take precedence over the configuration.
    pub overrides: Overrides,
    /// The policy for host keys; that of the configuration if `None`.
    pub host_keys: Option<HostKeyPolicy>,
    /// The password of the user on the host. Jump hosts are not sent it.
    pub password: Option<Secret>,
    /// The passphrase of encrypted keys.
    pub passphrase: Option<Secret>,
    /// The command line for the login shell on the host.
    pub command: String,
    /// How long the request may take, up to the command's start; [`DEFAULT_TIMEOUT`] if `None`.
    ///
    /// `ConnectTimeout`, of the configuration or of the [overrides](Overrides::connect_timeout), is
    /// shorter: it ends at each host with the key exchange. A server that is slow to authenticate,
    /// such as one that asks another server about a password, has all of this time.
    pub timeout: Option<Duration>,
    /// The user and the files that the configuration is read for.
    pub env: Environment,
    /// What takes the events on the way.
    pub on_progress: OnProgress,
}

impl Request {
    /// A request without overrides or secrets, by the user of this process.
    pub fn new(host: &str, command: &str) -> Self {
        Self {
            host: host.to_owned(),
            overrides: Overrides::default(),
            host_keys: None,
            password: None,
            passphrase: None,
            command: command.to_owned(),
            timeout: None,
            env: Environment::of_process(),
            on_progress: OnProgress::default(),
        }
    }
}
