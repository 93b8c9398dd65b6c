//! What the session asks us while it runs, and what it leaves behind when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_encoding::Error as Encoding;
use russh::{Channel, ChannelOpenFailure, Names, cipher};

use super::host_key::{HostKeyCheck, Identity};
use super::off_runtime::off_runtime;
use super::warnings::Warnings;
use crate::error::{SshError, printable};

/// Bytes of a banner that are kept.
const BANNER_MAX: usize = 8 * 1024;

/// What is known of a session from outside.
#[derive(Debug, Default)]
pub(crate) struct SessionState {
    /// What the server says to everybody.
    pub(crate) banner: String,
    /// Why it ended; nothing while it runs.
    pub(crate) ended: Option<String>,
    /// Whether the server is the one that was asked for, once its key was judged.
    pub(crate) identity: Identity,
}

/// SessionState that the session writes and others read.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedState(Arc<Mutex<SessionState>>);

impl SharedState {
    pub(crate) fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the session ended, if it did.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }
}

/// What went wrong inside a session.
#[derive(Debug)]
pub(crate) enum HandlerError {
    Russh(russh::Error),
    Ours(SshError),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Answers the session.
pub(crate) struct ClientHandler {
    pub(crate) check: HostKeyCheck,
    pub(crate) warnings: Warnings,
    pub(crate) state: SharedState,
}

/// The library's type has no copy of its own.
fn copy(shown: &PublicKeyOrCertificate) -> PublicKeyOrCertificate {
    match shown {
        PublicKeyOrCertificate::PublicKey { key, hash_alg } => PublicKeyOrCertificate::PublicKey {
            key: key.clone(),
            hash_alg: *hash_alg,
        },
        PublicKeyOrCertificate::Certificate(certificate) => {
            PublicKeyOrCertificate::Certificate(certificate.clone())
        }
    }
}

impl Handler for ClientHandler {
    type Error = HandlerError;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, HandlerError> {
        let (check, shown) = (self.check.clone(), copy(shown));
        let warnings = self.warnings.clone();
        let judged = off_runtime(move || check.check(&shown, &warnings)).await;
        self.state.lock().identity = judged.map_err(HandlerError::Ours)?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        // Without the strict order of messages, somebody in between could drop the first ones
        // unseen under this cipher (CVE-2023-48795).
        match names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() {
            true => Err(HandlerError::Russh(russh::Error::Kex)),
            false => Ok(()),
        }
    }

    async fn auth_banner(
        &mut self,
        banner: &str,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        let mut state = self.state.lock();
        let room = BANNER_MAX.saturating_sub(state.banner.len());
        let text: String = banner.chars().take(room / 4).collect();
        state.banner.push_str(&text);
        Ok(())
    }

    async fn disconnected(
        &mut self,
        reason: DisconnectReason<HandlerError>,
    ) -> Result<(), HandlerError> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(said) => printable(&said.message),
            DisconnectReason::Error(fault) => describe(fault),
        };
        self.state.lock().ended.get_or_insert(text);
        Ok(())
    }

    // Nothing that a server opens is wanted here: a handle that is dropped refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), HandlerError> {
        Ok(())
    }
}

/// What a fault is called; nothing for a connection that just ended.
pub(crate) fn describe(fault: &HandlerError) -> String {
    match fault {
        HandlerError::Ours(error) => error.to_string(),
        HandlerError::Russh(error) if is_disconnect(error) => String::new(),
        HandlerError::Russh(russh::Error::KeepaliveTimeout) => {
            "the server has not answered for too long".to_owned()
        }
        HandlerError::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => {
            printable(&format!(
                "no {kind:?} algorithm in common: it offers {}, we take {}",
                theirs.join(","),
                ours.join(",")
            ))
        }
        HandlerError::Russh(russh::Error::SshEncoding(Encoding::CharacterEncoding)) => {
            "it says something that is not UTF-8, in a banner or a question, which the in-process \
             client cannot read; set `ssh_path` to use the system's client"
                .to_owned()
        }
        HandlerError::Russh(error) => printable(&error.to_string()),
    }
}

/// Whether it says no more than that the connection is over.
pub(crate) fn is_disconnect(error: &russh::Error) -> bool {
    use std::io::ErrorKind;
    match error {
        russh::Error::Disconnect
        | russh::Error::HUP
        | russh::Error::SendError
        | russh::Error::RecvError => true,
        russh::Error::IO(error) => matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ),
        _ => false,
    }
}

/// Why a channel was not opened.
pub(crate) fn describe_refusal(why: &ChannelOpenFailure) -> String {
    match why {
        ChannelOpenFailure::AdministrativelyProhibited => "it is forbidden there".to_owned(),
        ChannelOpenFailure::ConnectFailed => "it cannot connect to that".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "it does not know how".to_owned(),
        ChannelOpenFailure::ResourceShortage => "it has no room".to_owned(),
        ChannelOpenFailure::Other { reason, .. } => printable(reason),
    }
}
