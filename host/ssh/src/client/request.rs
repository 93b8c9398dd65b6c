//! What the caller asks for.

use std::time::Duration;

use super::host_key::HostKeyPolicy;
use super::progress::OnProgress;
use crate::config::{Environment, Overrides};
use crate::secret::Secret;

/// How long it may take until the command has started, if nobody says. Servers give up on whoever
/// takes longer to show who he is.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// Which host, and what to run there.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host, as the user calls it: `Host` blocks are for this name.
    pub host: String,
    /// What beats the configuration.
    pub overrides: Overrides,
    /// What is done about host keys; what the configuration says, if nothing.
    pub host_keys: Option<HostKeyPolicy>,
    /// The password of the user there. It is not shown to hosts on the way.
    pub password: Option<Secret>,
    /// The passphrase of encrypted keys.
    pub passphrase: Option<Secret>,
    /// What to run: a text for the login shell there.
    pub command: String,
    /// How long all of it may take, up to the command's start; [`DEFAULT_TIMEOUT`], if nothing.
    ///
    /// `ConnectTimeout`, of the configuration or [said](Overrides::connect_timeout), is about less: it
    /// ends at each host when that has shown who it is. Whoever is slow to let us in, such as a
    /// server that asks others about a password, has all of this.
    pub timeout: Option<Duration>,
    /// Whose configuration it is.
    pub env: Environment,
    /// What takes the events on the way.
    pub on_progress: OnProgress,
}

impl Request {
    /// A request with nothing said about it, by the user of this process.
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
