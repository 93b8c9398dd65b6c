//! From a host's configuration to an authenticated session, over other sessions if need be.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{ChannelOpenFailure, Limits};

use super::authenticate::{Credentials, authenticate};
use super::handler::{Client, Fault, Shared, is_end, words};
use super::host_key::HostKeyCheck;
use super::line::{Hold, Line};
use super::progress::Progress;
use super::reach::{self, ProxyCommand};
use super::{Request, algorithms};
use crate::config::{Hop, HostConfig, Said, Way};
use crate::error::{SshError, Stage, printable};

/// Machines on the way to another, at most.
const HOPS_MAX: usize = 8;

/// Bytes that may be under way to us. A long line carries this much in each round trip.
const WINDOW: u32 = 4 << 20;

/// The largest packet; OpenSSH's own size.
const PACKET: u32 = 32 * 1024;

/// Bytes after which new session keys are made, unless the configuration wants it sooner.
const REKEY: usize = 1 << 30;

/// An authenticated session.
pub(crate) struct Up {
    pub(crate) handle: Handle<Client>,
    pub(crate) notes: Shared,
    /// What has to live as long.
    pub(crate) below: Vec<Box<dyn Send + Sync>>,
    pub(crate) holds: Vec<Arc<Hold>>,
}

/// The way of one request.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) request: &'a Request,
    pub(crate) progress: &'a Progress,
}

/// A byte stream to a server, and what it needs to go on.
struct Carried {
    line: Line,
    hold: Arc<Hold>,
    below: Vec<Box<dyn Send + Sync>>,
    holds: Vec<Arc<Hold>>,
    /// Whether the server is this machine itself.
    here: bool,
    proxy: Option<ProxyCommand>,
}

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, SshError>> + Send + 'a>>;

impl<'a> Route<'a> {
    /// A session with the request's own host.
    pub(crate) async fn target(self, config: HostConfig) -> Result<Up, SshError> {
        let credentials = Credentials {
            password: self.request.password.as_ref(),
            passphrase: self.request.passphrase.as_ref(),
        };
        self.session(config, credentials, 0).await
    }

    /// Boxed, because a session can need a session.
    fn session<'b>(
        self,
        config: HostConfig,
        credentials: Credentials<'b>,
        depth: usize,
    ) -> Later<'b, Up>
    where
        'a: 'b,
    {
        Box::pin(self.session_over(config, credentials, depth))
    }

    async fn session_over(
        self,
        config: HostConfig,
        credentials: Credentials<'_>,
        depth: usize,
    ) -> Result<Up, SshError> {
        if let Some(unsupported) = config.unsupported.clone() {
            return Err(SshError::UnsupportedDirective(unsupported));
        }
        let mut check = HostKeyCheck::new(&config, self.request.host_keys)?;
        let preferred = algorithms::preferred(&config, check.known())?;
        let Carried {
            line,
            hold,
            below,
            mut holds,
            here,
            mut proxy,
        } = self.carry(&config, depth).await?;
        self.progress.of(&config.host);
        self.progress.at(Stage::Handshake);
        if here && config.no_check_for_localhost {
            check.waive();
        }
        holds.push(Arc::clone(&hold));
        let cut = super::CutOnDrop(holds);
        let notes = Shared::default();
        let client = Client {
            check,
            notes: notes.clone(),
        };
        let settings = Arc::new(settings(&config, preferred));
        let connected = client::connect_stream(settings, line, client).await;
        let mut handle = match connected {
            Ok(handle) => handle,
            Err(fault) => {
                let failure = match &mut proxy {
                    Some(proxy) if matches!(&fault, Fault::Russh(error) if is_end(error)) => {
                        proxy.failure().await
                    }
                    _ => None,
                };
                return Err(failure.unwrap_or_else(|| handshake_error(&config, fault)));
            }
        };
        self.progress.at(Stage::Authentication);
        authenticate(&mut handle, &config, credentials, &notes).await?;
        hold.trust();
        let mut below = below;
        below.extend(proxy.map(|proxy| Box::new(proxy) as Box<dyn Send + Sync>));
        Ok(Up {
            handle,
            notes,
            below,
            holds: cut.keep(),
        })
    }

    async fn carry(self, config: &HostConfig, depth: usize) -> Result<Carried, SshError> {
        match &config.way {
            Way::Direct => {
                let (stream, here) = reach::direct(config, self.progress).await?;
                let (line, hold) = Line::over(stream);
                Ok(Carried {
                    line,
                    hold,
                    below: Vec::new(),
                    holds: Vec::new(),
                    here,
                    proxy: None,
                })
            }
            Way::Command(command) => {
                self.progress.at(Stage::Connection);
                let (proxy, stream) = ProxyCommand::start(command)?;
                let (line, hold) = Line::over(stream);
                Ok(Carried {
                    line,
                    hold,
                    below: Vec::new(),
                    holds: Vec::new(),
                    here: false,
                    proxy: Some(proxy),
                })
            }
            Way::Jump(hops) => self.through(hops, config, depth).await,
        }
    }

    /// Through other machines: the last of them tunnels to the host.
    async fn through(
        self,
        hops: &[Hop],
        config: &HostConfig,
        depth: usize,
    ) -> Result<Carried, SshError> {
        let Some((last, before)) = hops.split_last() else {
            return Err(SshError::TooManyHops {
                host: config.host.clone(),
                max: 0,
            });
        };
        if depth + hops.len() > HOPS_MAX {
            return Err(SshError::TooManyHops {
                host: config.host.clone(),
                max: HOPS_MAX,
            });
        }
        let in_hop = |source: SshError| match source {
            // The innermost hop is the one to name.
            SshError::Jump { .. } | SshError::TooManyHops { .. } => source,
            source => SshError::Jump {
                hop: last.host.clone(),
                source: Box::new(source),
            },
        };
        let said = Said {
            user: last.user.clone(),
            port: last.port,
            jump: (!before.is_empty()).then(|| before.to_vec()),
            keepalive_interval: self.request.said.keepalive_interval,
            keepalive_count: self.request.said.keepalive_count,
            ..Said::default()
        };
        let resolved = HostConfig::resolve(&last.host, &said, &self.request.around);
        let mut hop = resolved.map_err(|error| in_hop(error.into()))?;
        // A rule for all hosts that names the jump host is not for the jump host.
        if let Way::Jump(own) = &hop.way
            && before.is_empty()
            && own.iter().any(|hop| hop.host == last.host)
        {
            hop.way = Way::Direct;
        }
        // The password is for the host itself.
        let credentials = Credentials {
            password: None,
            passphrase: self.request.passphrase.as_ref(),
        };
        let up = self.session(hop, credentials, depth + 1).await;
        let Up {
            handle,
            notes,
            mut below,
            holds,
        } = up.map_err(in_hop)?;
        let cut = super::CutOnDrop(holds);
        self.progress.at(Stage::Connection);
        let address = format!("{}:{}", config.hostname, config.port);
        let opened =
            handle.channel_open_direct_tcpip(&*config.hostname, config.port.into(), "127.0.0.1", 0);
        let channel = opened.await.map_err(|error| {
            in_hop(SshError::Tunnel {
                address,
                reason: match error {
                    russh::Error::ChannelOpenFailure(why) => channel_words(&why),
                    _ => notes.ended().unwrap_or_default(),
                },
            })
        })?;
        let (line, hold) = Line::over(channel.into_stream());
        below.push(Box::new(KeptOpen::new(handle)));
        Ok(Carried {
            line,
            hold,
            below,
            holds: cut.keep(),
            here: false,
            proxy: None,
        })
    }
}

/// A session that lives as long as this. It can be sent to other threads and shared, as its
/// handle alone cannot.
pub(crate) struct KeptOpen(
    #[expect(dead_code, reason = "it is kept, not used")] Mutex<Handle<Client>>,
);

impl KeptOpen {
    pub(crate) fn new(handle: Handle<Client>) -> Self {
        Self(Mutex::new(handle))
    }
}

fn settings(config: &HostConfig, preferred: russh::Preferred) -> client::Config {
    let rekey = config
        .rekey_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|&bytes| bytes > 0);
    // Less than a packet would be a new key for each.
    let rekey = rekey.unwrap_or(REKEY).clamp(64 * 1024, REKEY);
    client::Config {
        client_id: russh::SshId::Standard(
            format!("SSH-2.0-Offshoot_{}", env!("CARGO_PKG_VERSION")).into(),
        ),
        limits: Limits::new(rekey, rekey, Duration::from_secs(60 * 60)),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        preferred,
        keepalive_interval: (!config.alive_interval.is_zero()).then_some(config.alive_interval),
        keepalive_max: usize::try_from(config.alive_count_max)
            .unwrap_or(usize::MAX)
            .max(1),
        nodelay: true,
        ..client::Config::default()
    }
}

fn handshake_error(config: &HostConfig, fault: Fault) -> SshError {
    let host = config.host.clone();
    match fault {
        Fault::Ours(error) => error,
        Fault::Russh(error) if is_end(&error) => SshError::Closed {
            host,
            stage: Stage::Handshake,
            reason: String::new(),
        },
        Fault::Russh(russh::Error::Version) => SshError::Protocol {
            host,
            reason: format!("what listens on port {} is no ssh server", config.port),
        },
        Fault::Russh(russh::Error::Kex) => SshError::Protocol {
            host,
            reason: "its key exchange fails, or has no strict order where the cipher needs it"
                .to_owned(),
        },
        fault => SshError::Protocol {
            host,
            reason: words(&fault),
        },
    }
}

/// Why a channel was not opened.
pub(crate) fn channel_words(why: &ChannelOpenFailure) -> String {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => "it is forbidden there".to_owned(),
        ChannelOpenFailure::ConnectFailed => "it cannot connect to that".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "it does not know how".to_owned(),
        ChannelOpenFailure::ResourceShortage => "it has no room".to_owned(),
        ChannelOpenFailure::Other { reason, .. } => printable(reason),
    }
}
