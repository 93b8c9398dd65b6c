//! What a session runs over: a connection, a command, or a tunnel through another session.

use std::sync::Arc;

use offshoot_limiter::{CONNECTIONS, Permit};
use russh::client::Handle;

use super::dial::{self, Dialed, ProxyCommand};
use super::guarded_stream::{GuardedStream, StreamGuard};
use super::handler::{ClientHandler, SharedState, describe_refusal};
use super::progress::{ConnectTimer, Progress};
use super::session::{AbortStreamsOnDrop, AuthenticatedSession, SessionGuard};
use crate::config::HostConfig;
use crate::error::{SshError, Stage};

/// What lines to a server are made over. It is there before any of them, and stays.
pub(crate) enum Underlay {
    Network,
    Command(String),
    Tunnel(Box<Tunnel>),
}

/// A session with the last machine on the way.
pub(crate) struct Tunnel {
    handle: Handle<ClientHandler>,
    state: SharedState,
    underlying: Vec<SessionGuard>,
    stream_guards: AbortStreamsOnDrop,
    /// That machine, as it is called.
    hop: String,
    /// And where it is.
    place: String,
}

/// A byte stream to a server.
pub(crate) struct ServerStream {
    pub(crate) stream: GuardedStream,
    pub(crate) stream_guard: Arc<StreamGuard>,
    /// Whether the server is this machine itself.
    pub(crate) is_loopback: bool,
    pub(crate) proxy: Option<ProxyCommand>,
    pub(crate) permit: Option<Permit>,
}

impl Underlay {
    /// A line to the server.
    pub(crate) async fn open_stream(
        &self,
        config: &HostConfig,
        progress: &Progress,
        timer: &mut ConnectTimer<'_>,
    ) -> Result<ServerStream, SshError> {
        match self {
            Self::Network => {
                let reached = dial::direct(config, progress, timer).await?;
                let Dialed {
                    stream,
                    is_loopback,
                    permit,
                } = reached;
                let (stream, stream_guard) = GuardedStream::over(stream);
                Ok(ServerStream {
                    stream,
                    stream_guard,
                    is_loopback,
                    proxy: None,
                    permit: Some(permit),
                })
            }
            Self::Command(command) => {
                progress.set_stage(Stage::Connection);
                let (proxy, stream) = ProxyCommand::start(command)?;
                let (stream, stream_guard) = GuardedStream::over(stream);
                Ok(ServerStream {
                    stream,
                    stream_guard,
                    is_loopback: false,
                    proxy: Some(proxy),
                    permit: None,
                })
            }
            Self::Tunnel(tunnel) => tunnel.open_stream(config, progress, timer).await,
        }
    }

    /// All that has to live as long as a session over this.
    pub(crate) fn keep(self) -> (Vec<SessionGuard>, Vec<Arc<StreamGuard>>) {
        match self {
            Self::Network | Self::Command(_) => (Vec::new(), Vec::new()),
            Self::Tunnel(tunnel) => {
                let Tunnel {
                    handle,
                    mut underlying,
                    stream_guards,
                    ..
                } = *tunnel;
                underlying.push(SessionGuard::session(handle));
                (underlying, stream_guards.keep())
            }
        }
    }
}

impl Tunnel {
    pub(crate) fn new(session: AuthenticatedSession, hop: String, place: String) -> Self {
        let AuthenticatedSession {
            handle,
            state,
            underlying,
            stream_guards,
            // Hosts on the way are shown no password.
            scrubber: _,
        } = session;
        Self {
            handle,
            state,
            underlying,
            stream_guards: AbortStreamsOnDrop::new(stream_guards),
            hop,
            place,
        }
    }

    async fn open_stream(
        &self,
        config: &HostConfig,
        progress: &Progress,
        timer: &mut ConnectTimer<'_>,
    ) -> Result<ServerStream, SshError> {
        progress.set_stage(Stage::Connection);
        let address = format!("{}:{}", config.hostname, config.port);
        // The same name may be another machine seen from there.
        let server = format!("{address} from {}", self.place);
        let permit = CONNECTIONS.acquire(&server).await;
        let opening = self.handle.channel_open_direct_tcpip(
            &*config.hostname,
            config.port.into(),
            "127.0.0.1",
            0,
        );
        let channel = timer.within(opening).await?.map_err(|error| {
            let source = SshError::Tunnel {
                address,
                reason: match error {
                    russh::Error::ChannelOpenFailure(why) => describe_refusal(&why),
                    _ => self.state.ended().unwrap_or_default(),
                },
            };
            in_hop(&self.hop, source)
        })?;
        let (stream, stream_guard) = GuardedStream::over(channel.into_stream());
        Ok(ServerStream {
            stream,
            stream_guard,
            is_loopback: false,
            proxy: None,
            permit: Some(permit),
        })
    }
}

pub(crate) fn in_hop(hop: &str, source: SshError) -> SshError {
    match source {
        // The innermost hop is the one to name.
        SshError::Jump { .. } | SshError::TooManyHops { .. } => source,
        source => SshError::Jump {
            hop: hop.to_owned(),
            source: Box::new(source),
        },
    }
}
