//! Makes the connection below a session: to an address, or by a command.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use offshoot_limiter::{CONNECTIONS, Permit};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, join};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::process::{Child, Command};

use super::progress::{ConnectTimer, Event, Progress};
use crate::config::{AddressFamily, HostConfig};
use crate::error::{SshError, Stage, printable};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Between two attempts, as OpenSSH waits.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection to one of a host's addresses.
pub(crate) struct Dialed {
    pub(crate) stream: TcpStream,
    /// Whether that is this machine itself.
    pub(crate) is_loopback: bool,
    pub(crate) permit: Permit,
}

/// Connects to the host's address, once there is a permit for it.
pub(crate) async fn direct(
    config: &HostConfig,
    progress: &Progress,
    timer: &mut ConnectTimer<'_>,
) -> Result<Dialed, SshError> {
    progress.set_stage(Stage::NameResolution);
    let addresses = timer.within(addresses(config)).await??;
    let host = config.host.clone();
    progress.report(Event::Resolved { host });
    progress.set_stage(Stage::Connection);
    let mut attempt = 1;
    loop {
        match any(&addresses, config, timer).await {
            Ok((stream, permit)) => {
                // Small messages are not to wait for company.
                stream.set_nodelay(true).map_err(SshError::Local)?;
                let is_loopback = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
                return Ok(Dialed {
                    stream,
                    is_loopback,
                    permit,
                });
            }
            Err(error @ SshError::Timeout { .. }) => return Err(error),
            Err(error) if attempt >= config.connection_attempts => return Err(error),
            Err(_) => timer.within(tokio::time::sleep(PAUSE)).await?,
        }
        attempt += 1;
    }
}

async fn addresses(config: &HostConfig) -> Result<Vec<SocketAddr>, SshError> {
    let failed = |source| SshError::NameResolution {
        host: printable(&config.hostname),
        source,
    };
    let all = match config.hostname.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, config.port)],
        Err(_) => {
            let found = lookup_host((config.hostname.as_str(), config.port)).await;
            found.map_err(failed)?.collect()
        }
    };
    let wanted = |address: &SocketAddr| match config.address_family {
        AddressFamily::Any => true,
        AddressFamily::V4 => address.is_ipv4(),
        AddressFamily::V6 => address.is_ipv6(),
    };
    let wanted: Vec<_> = all.into_iter().filter(wanted).take(ADDRESSES_MAX).collect();
    match wanted.is_empty() {
        true => Err(failed(io::Error::new(
            ErrorKind::NotFound,
            "it has no address of the wanted kind",
        ))),
        false => Ok(wanted),
    }
}

async fn any(
    addresses: &[SocketAddr],
    config: &HostConfig,
    timer: &mut ConnectTimer<'_>,
) -> Result<(TcpStream, Permit), SshError> {
    let mut last = SshError::Local(ErrorKind::AddrNotAvailable.into());
    for &address in addresses {
        let permit = CONNECTIONS.acquire(&address.to_string()).await;
        let connecting = one(address, config.bind_address.as_deref());
        match timer.within(connecting).await? {
            Ok(stream) => return Ok((stream, permit)),
            Err(source) if source.kind() == ErrorKind::ConnectionRefused => {
                last = SshError::Refused {
                    address: address.to_string(),
                };
            }
            Err(source) => {
                last = SshError::Unreachable {
                    address: address.to_string(),
                    source,
                };
            }
        }
    }
    Err(last)
}

async fn one(address: SocketAddr, from: Option<&str>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(from) = from {
        let from: IpAddr = from.parse().map_err(|_| {
            io::Error::new(
                ErrorKind::InvalidInput,
                format!("`{from}` is no address to come from"),
            )
        })?;
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(address).await
}

/// A command that reads and writes in place of a connection, for as long as this is kept.
pub(crate) struct ProxyCommand {
    child: Child,
    command: String,
    describe: Arc<Mutex<Vec<u8>>>,
}

/// Bytes of a command's last words that are kept.
const WORDS_MAX: usize = 2048;

impl ProxyCommand {
    /// Starts it with the user's shell.
    pub(crate) fn start(
        command: &str,
    ) -> Result<(Self, impl super::guarded_stream::Stream), SshError> {
        let failed = |reason: String| SshError::ProxyCommand {
            command: printable(command),
            reason,
        };
        let shell = std::env::var("SHELL")
            .ok()
            .filter(|shell| !shell.is_empty());
        let mut child = Command::new(shell.as_deref().unwrap_or("/bin/sh"))
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A terminal's interrupt is for the controller, which ends its connections in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        let (Some(input), Some(output), Some(mut errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("has no pipes".to_owned()));
        };
        let describe = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&describe);
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = errors.read(&mut buffer).await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
                let excess = kept.len().saturating_sub(WORDS_MAX);
                kept.drain(..excess);
            }
        });
        let proxy = Self {
            child,
            command: command.to_owned(),
            describe,
        };
        Ok((proxy, join(output, input)))
    }

    /// Why it ended, if it did, or is about to.
    pub(crate) async fn failure(&mut self) -> Option<SshError> {
        let ended = tokio::time::timeout(Duration::from_millis(200), self.child.wait()).await;
        let status = ended.ok()?.ok()?;
        // Its last words are on their way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let describe = self.describe.lock().unwrap_or_else(PoisonError::into_inner);
        let describe = printable(&String::from_utf8_lossy(&describe));
        let reason = match describe.as_str() {
            "" => format!("ended with {status}"),
            describe => format!("ended with {status}: {describe}"),
        };
        Some(SshError::ProxyCommand {
            command: printable(&self.command),
            reason,
        })
    }
}

/// How often to look whether a killed command is gone, a millisecond apart.
const LOOKS: u32 = 100;

impl Drop for ProxyCommand {
    /// StdioPipes it and what it has started, and leaves no zombie: the runtime, which would see to that,
    /// may end with us.
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else {
            return;
        };
        // Fails only when there is nothing to kill any more.
        let _ = kill_process_group(pid, Signal::KILL);
        for _ in 0..LOOKS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
