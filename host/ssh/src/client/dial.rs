//! Makes the connection below a session: to an address, or by a command.

use std::collections::VecDeque;
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
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::progress::{ConnectTimer, Event, Progress};
use crate::config::{AddressFamily, HostConfig};
use crate::error::{SshError, Stage, printable};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Between two attempts at all addresses, as OpenSSH waits.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one address has before the next is tried beside it (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

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
    let first = addresses.first().map(SocketAddr::to_string);
    let permit = CONNECTIONS.acquire(&first.unwrap_or_default()).await;
    let connect = |address| connect(address, config.bind_address.clone());
    let mut attempt = 1;
    loop {
        match timer.within(race(&addresses, connect)).await? {
            Ok(stream) => {
                // Small messages are sent at once.
                stream.set_nodelay(true).map_err(SshError::Local)?;
                let is_loopback = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
                return Ok(Dialed {
                    stream,
                    is_loopback,
                    permit,
                });
            }
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
    let mut wanted = interleaved(all.into_iter().filter(wanted).collect());
    wanted.truncate(ADDRESSES_MAX);
    match wanted.is_empty() {
        true => Err(failed(io::Error::new(
            ErrorKind::NotFound,
            "it has no address of the wanted kind",
        ))),
        false => Ok(wanted),
    }
}

/// Connects to whichever address answers first. The next one is tried when one fails, or does not
/// answer in [`STAGGER`], while the earlier attempts go on (RFC 8305, section 5).
async fn race<T: Send + 'static, F>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, SshError>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut attempts = JoinSet::new();
    let start = |attempts: &mut JoinSet<_>, address| {
        let connecting = connect(address);
        attempts.spawn(async move { connecting.await.map_err(|error| failed(address, error)) });
    };
    let mut addresses = addresses.iter().copied();
    let mut last = SshError::Local(ErrorKind::AddrNotAvailable.into());
    loop {
        let next = addresses.next();
        if let Some(address) = next {
            start(&mut attempts, address);
        }
        let ended = async {
            match next {
                Some(_) => timeout(STAGGER, attempts.join_next()).await.ok(),
                None => Some(attempts.join_next().await),
            }
        };
        match ended.await {
            Some(Some(Ok(Ok(connected)))) => return Ok(connected),
            Some(Some(Ok(Err(error)))) => last = error,
            // A panic ends one attempt only.
            Some(Some(Err(_))) | None => {}
            Some(None) => return Err(last),
        }
    }
}

fn failed(address: SocketAddr, source: io::Error) -> SshError {
    let address = address.to_string();
    match source.kind() {
        ErrorKind::ConnectionRefused => SshError::Refused { address },
        _ => SshError::Unreachable { address, source },
    }
}

/// The addresses in turns of their families, in the order of the resolver otherwise (RFC 8305,
/// section 4): where one family leads nowhere, the second attempt is of the other.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (same, other): (VecDeque<_>, VecDeque<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first);
    let mut families = [same, other];
    let mut all = Vec::new();
    while families.iter().any(|family| !family.is_empty()) {
        all.extend(families.iter_mut().filter_map(VecDeque::pop_front));
    }
    all
}

async fn connect(address: SocketAddr, from: Option<String>) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if let Some(from) = from {
        let from: IpAddr = from.parse().map_err(|_| {
            io::Error::new(
                ErrorKind::InvalidInput,
                format!("BindAddress `{from}` is not an IP address"),
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
    stderr: Arc<Mutex<Vec<u8>>>,
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
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&stderr);
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
            stderr,
        };
        Ok((proxy, join(output, input)))
    }

    /// Why it ended, if it did, or is about to.
    pub(crate) async fn failure(&mut self) -> Option<SshError> {
        let ended = timeout(Duration::from_millis(200), self.child.wait()).await;
        let status = ended.ok()?.ok()?;
        // Its last words are on their way.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        let stderr = printable(&String::from_utf8_lossy(&stderr));
        let reason = match stderr.as_str() {
            "" => format!("ended with {status}"),
            stderr => format!("ended with {status}: {stderr}"),
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn m8_an_address_that_does_not_answer_keeps_no_other_from_being_tried() {
        let all = addresses(&["192.0.2.1:22", "192.0.2.2:22", "192.0.2.3:22"]);
        let connect = |address: SocketAddr| async move {
            match address.ip().to_string().as_str() {
                "192.0.2.1" => pending().await,
                "192.0.2.2" => Err(ErrorKind::ConnectionRefused.into()),
                _ => Ok(address),
            }
        };
        assert_eq!(race(&all, connect).await.unwrap(), all[2]);
    }

    #[tokio::test]
    async fn m8_where_no_address_answers_the_last_error_is_told() {
        let all = addresses(&["192.0.2.1:22", "192.0.2.2:22"]);
        let connect = |_| async { Err::<(), _>(ErrorKind::ConnectionRefused.into()) };
        match race(&all, connect).await {
            Err(SshError::Refused { address }) => assert_eq!(address, "192.0.2.2:22"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn m8_families_take_turns_and_the_resolvers_first_stays_first() {
        let all = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let want = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"];
        assert_eq!(interleaved(all), addresses(&want));
        assert_eq!(interleaved(Vec::new()), []);
    }
}
