//! What the session asks us while it runs, and what it leaves behind when it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_encoding::Error as Encoding;
use russh::{Channel, Names, cipher};

use super::files;
use super::host_key::{HostKeyCheck, Identity};
use super::warnings::Warnings;
use crate::error::{SshError, printable};

/// Bytes of a banner that are kept.
const BANNER_MAX: usize = 8 * 1024;

/// What is known of a session from outside.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// What the server says to everybody.
    pub(crate) banner: String,
    /// Why it ended; nothing while it runs.
    pub(crate) ended: Option<String>,
    /// Whether the server is the one that was asked for, once its key was judged.
    pub(crate) identity: Identity,
}

/// Notes that the session writes and others read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Notes>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the session ended, if it did.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }
}

/// What went wrong inside a session.
#[derive(Debug)]
pub(crate) enum Fault {
    Russh(russh::Error),
    Ours(SshError),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

/// Answers the session.
pub(crate) struct Client {
    pub(crate) check: HostKeyCheck,
    pub(crate) warnings: Warnings,
    pub(crate) notes: Shared,
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

impl Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let (check, shown) = (self.check.clone(), copy(shown));
        let warnings = self.warnings.clone();
        let judged = files::apart(move || check.check(&shown, &warnings)).await;
        self.notes.lock().identity = judged.map_err(Fault::Ours)?;
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        // Without the strict order of messages, somebody in between could drop the first ones
        // unseen under this cipher (CVE-2023-48795).
        match names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() {
            true => Err(Fault::Russh(russh::Error::Kex)),
            false => Ok(()),
        }
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), Fault> {
        let mut notes = self.notes.lock();
        let room = BANNER_MAX.saturating_sub(notes.banner.len());
        let text: String = banner.chars().take(room / 4).collect();
        notes.banner.push_str(&text);
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        let words = match &reason {
            DisconnectReason::ReceivedDisconnect(said) => printable(&said.message),
            DisconnectReason::Error(fault) => words(fault),
        };
        self.notes.lock().ended.get_or_insert(words);
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
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
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
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        _reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        Ok(())
    }
}

/// What a fault is called; nothing for a connection that just ended.
pub(crate) fn words(fault: &Fault) -> String {
    match fault {
        Fault::Ours(error) => error.to_string(),
        Fault::Russh(error) if is_end(error) => String::new(),
        Fault::Russh(russh::Error::KeepaliveTimeout) => {
            "the server has not answered for too long".to_owned()
        }
        Fault::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => printable(&format!(
            "no {kind:?} algorithm in common: it offers {}, we take {}",
            theirs.join(","),
            ours.join(",")
        )),
        Fault::Russh(russh::Error::SshEncoding(Encoding::CharacterEncoding)) => {
            "it says something that is not UTF-8, in a banner or a question, which the in-process \
             client cannot read; set `ssh_path` to use the system's client"
                .to_owned()
        }
        Fault::Russh(error) => printable(&error.to_string()),
    }
}

/// Whether it says no more than that the connection is over.
pub(crate) fn is_end(error: &russh::Error) -> bool {
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
