//! What a session runs over: a connection, a command, or a tunnel through another session.

use std::sync::Arc;

use offshoot_text::Hop;
use russh::client::Handle;

use super::authenticate::Credentials;
use super::connect::{Kept, Route, Up, channel_words};
use super::gate::{self, Turn};
use super::handler::{Client, Shared};
use super::line::{Hold, Line};
use super::progress::{Clock, Progress};
use super::reach::{self, ProxyCommand, Reached};
use super::{CutOnDrop, files};
use crate::config::{HostConfig, Overrides, Way};
use crate::error::{SshError, Stage};

/// Machines on the way to another, at most.
const HOPS_MAX: usize = 8;

/// What lines to a server are made over. It is there before any of them, and stays.
pub(crate) enum Base {
    Network,
    Command(String),
    Tunnel(Box<Tunnel>),
}

/// A session with the last machine on the way.
pub(crate) struct Tunnel {
    handle: Handle<Client>,
    notes: Shared,
    below: Vec<Kept>,
    holds: CutOnDrop,
    /// That machine, as it is called.
    hop: String,
    /// And where it is.
    place: String,
}

/// A byte stream to a server.
pub(crate) struct Carried {
    pub(crate) line: Line,
    pub(crate) hold: Arc<Hold>,
    /// Whether the server is this machine itself.
    pub(crate) here: bool,
    pub(crate) proxy: Option<ProxyCommand>,
    pub(crate) turn: Option<Turn>,
}

impl Base {
    /// A line to the server.
    pub(crate) async fn carry(
        &self,
        config: &HostConfig,
        progress: &Progress,
        clock: &mut Clock<'_>,
    ) -> Result<Carried, SshError> {
        match self {
            Self::Network => {
                let reached = reach::direct(config, progress, clock).await?;
                let Reached { stream, here, turn } = reached;
                let (line, hold) = Line::over(stream);
                Ok(Carried {
                    line,
                    hold,
                    here,
                    proxy: None,
                    turn: Some(turn),
                })
            }
            Self::Command(command) => {
                progress.at(Stage::Connection);
                let (proxy, stream) = ProxyCommand::start(command)?;
                let (line, hold) = Line::over(stream);
                Ok(Carried {
                    line,
                    hold,
                    here: false,
                    proxy: Some(proxy),
                    turn: None,
                })
            }
            Self::Tunnel(tunnel) => tunnel.carry(config, progress, clock).await,
        }
    }

    /// All that has to live as long as a session over this.
    pub(crate) fn keep(self) -> (Vec<Kept>, Vec<Arc<Hold>>) {
        match self {
            Self::Network | Self::Command(_) => (Vec::new(), Vec::new()),
            Self::Tunnel(tunnel) => {
                let Tunnel {
                    handle,
                    mut below,
                    holds,
                    ..
                } = *tunnel;
                below.push(Kept::session(handle));
                (below, holds.keep())
            }
        }
    }
}

impl Tunnel {
    async fn carry(
        &self,
        config: &HostConfig,
        progress: &Progress,
        clock: &mut Clock<'_>,
    ) -> Result<Carried, SshError> {
        progress.at(Stage::Connection);
        let address = format!("{}:{}", config.hostname, config.port);
        // The same name may be another machine seen from there.
        let turn = gate::turn(&format!("{address} from {}", self.place)).await;
        let opening = self.handle.channel_open_direct_tcpip(
            &*config.hostname,
            config.port.into(),
            "127.0.0.1",
            0,
        );
        let channel = clock.within(opening).await?.map_err(|error| {
            let source = SshError::Tunnel {
                address,
                reason: match error {
                    russh::Error::ChannelOpenFailure(why) => channel_words(&why),
                    _ => self.notes.ended().unwrap_or_default(),
                },
            };
            in_hop(&self.hop, source)
        })?;
        let (line, hold) = Line::over(channel.into_stream());
        Ok(Carried {
            line,
            hold,
            here: false,
            proxy: None,
            turn: Some(turn),
        })
    }
}

fn in_hop(hop: &str, source: SshError) -> SshError {
    match source {
        // The innermost hop is the one to name.
        SshError::Jump { .. } | SshError::TooManyHops { .. } => source,
        source => SshError::Jump {
            hop: hop.to_owned(),
            source: Box::new(source),
        },
    }
}

impl Route<'_> {
    /// Makes what a host's lines are made over: a session with the machine on the way, if there is
    /// one.
    pub(crate) async fn base(self, config: &HostConfig, depth: usize) -> Result<Base, SshError> {
        match &config.way {
            Way::Direct => Ok(Base::Network),
            Way::Command(command) => Ok(Base::Command(command.clone())),
            Way::Jump(hops) => {
                let tunnel = self.tunnel(hops, config, depth).await?;
                Ok(Base::Tunnel(Box::new(tunnel)))
            }
        }
    }

    /// Through other machines: the last of them tunnels to the host.
    async fn tunnel(
        self,
        hops: &[Hop],
        config: &HostConfig,
        depth: usize,
    ) -> Result<Tunnel, SshError> {
        let too_many = |max| SshError::TooManyHops {
            host: config.host.clone(),
            max,
        };
        let (last, before) = hops.split_last().ok_or_else(|| too_many(0))?;
        if depth + hops.len() > HOPS_MAX {
            return Err(too_many(HOPS_MAX));
        }
        let said = Overrides {
            user: last.user.clone(),
            port: last.port,
            jump: (!before.is_empty()).then(|| before.to_vec()),
            keepalive_interval: self.request.said.keepalive_interval,
            keepalive_count: self.request.said.keepalive_count,
            connect_timeout: self.request.said.connect_timeout,
            ..Overrides::default()
        };
        let (host, around) = (last.host.clone(), self.request.around.clone());
        let resolved = files::apart(move || HostConfig::resolve(&host, &said, &around)).await;
        let mut hop = resolved.map_err(|error| in_hop(&last.host, error.into()))?;
        // A rule for all hosts that names the jump host is not for the jump host.
        if let Way::Jump(own) = &hop.way
            && before.is_empty()
            && own.iter().any(|hop| hop.host == last.host)
        {
            hop.way = Way::Direct;
        }
        let place = format!("{}:{}", hop.hostname, hop.port);
        // The password is for the host itself.
        let credentials = Credentials {
            password: None,
            passphrase: self.request.passphrase.as_ref(),
        };
        let up = self.session(hop, credentials, depth + 1).await;
        let Up {
            handle,
            notes,
            below,
            holds,
            // Hosts on the way are shown no password.
            traces: _,
        } = up.map_err(|error| in_hop(&last.host, error))?;
        Ok(Tunnel {
            handle,
            notes,
            below,
            holds: CutOnDrop::new(holds),
            hop: last.host.clone(),
            place,
        })
    }
}
