//! From a host's configuration to an authenticated session, over other sessions if need be.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use russh::client::{self, Handle};
use russh::{AlgorithmKind, ChannelOpenFailure, Disconnect, Limits};

use super::authenticate::{Credentials, authenticate};
use super::gate::{self, Attempts, Turn};
use super::handler::{Client, Fault, Shared, is_end, words};
use super::host_key::{HostKeyCheck, Identity};
use super::line::Hold;
use super::progress::{Clock, Progress};
use super::reach::ProxyCommand;
use super::traces::Traces;
use super::warnings::Warnings;
use super::way::{Base, Carried};
use super::{CutOnDrop, Request, algorithms, files};
use crate::config::HostConfig;
use crate::error::{Algorithm, SshError, Stage, printable};

/// Bytes that may be under way to us. A long line carries this much in each round trip.
const WINDOW: u32 = 4 << 20;

/// The largest packet; OpenSSH's own size.
const PACKET: u32 = 32 * 1024;

/// Bytes after which new session keys are made, unless the configuration wants it sooner.
const REKEY: usize = 1 << 30;

/// After how long they are made in any case.
const REKEY_AFTER: Duration = Duration::from_secs(60 * 60);

/// An authenticated session.
pub(crate) struct Up {
    pub(crate) handle: Handle<Client>,
    pub(crate) notes: Shared,
    /// What has to live as long, outermost first.
    pub(crate) below: Vec<Kept>,
    pub(crate) holds: Vec<Arc<Hold>>,
    /// What is to be covered.
    pub(crate) traces: Traces,
}

/// The way of one request.
#[derive(Clone, Copy)]
pub(crate) struct Route<'a> {
    pub(crate) request: &'a Request,
    pub(crate) progress: &'a Progress,
    pub(crate) warnings: &'a Warnings,
    /// When the request is given up.
    pub(crate) until: Instant,
}

type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, SshError>> + Send + 'a>>;

/// What becomes of one attempt to shake hands with a server.
enum Attempt {
    Done(Box<Greeted>),
    /// It hung up before it said that it is a server.
    HungUp {
        error: SshError,
        said: Vec<u8>,
    },
}

/// A server that has shown who it is.
struct Greeted {
    handle: Handle<Client>,
    notes: Shared,
    hold: CutOnDrop,
    proxy: Option<ProxyCommand>,
    /// Others wait for it, until the server lets us in.
    turn: Option<Turn>,
}

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
    pub(crate) fn session<'b>(
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
        // What the caller says is about the host, and not about those on the way to it.
        let host_keys = self.request.host_keys.filter(|_| depth == 0);
        let (mut config, check) = files::apart(move || {
            let check = HostKeyCheck::new(&config, host_keys);
            (config, check)
        })
        .await;
        let check = check?;
        let preferred = algorithms::preferred(&config, check.known())?;
        let settings = Arc::new(settings(&config, preferred));
        let base = self.base(&config, depth).await?;
        let greeted = self.greeted(&base, &config, &settings, &check).await?;
        let Greeted {
            mut handle,
            notes,
            hold,
            proxy,
            turn,
        } = greeted;
        self.progress.at(Stage::Authentication);
        // Whoever listens for this learns what the way there has taken so far.
        tracing::debug!(target: "offshoot::step", "trusted {}", config.host);
        let identity = std::mem::take(&mut notes.lock().identity);
        let traces = match identity {
            Identity::Verified => authenticate(&mut handle, &config, credentials, &notes).await?,
            Identity::Doubtful(doubt) => {
                // A password would be the server's to use. A signature is good for this session
                // only.
                config.password = false;
                config.keyboard_interactive = false;
                let credentials = credentials.without_password();
                let made = authenticate(&mut handle, &config, credentials, &notes).await;
                let warning = format!(
                    "{doubt}; going on without passwords, because the configuration lets any host \
                     key pass"
                );
                let traces = made.map_err(|error| withheld(doubt, error))?;
                self.warnings.push(warning);
                traces
            }
        };
        drop(turn);
        hold.trust();
        let (mut below, mut holds) = base.keep();
        below.extend(proxy.map(Kept::Proxy));
        holds.extend(hold.keep());
        Ok(Up {
            handle,
            notes,
            below,
            holds,
            traces,
        })
    }

    /// Shakes hands, with as many attempts as a crowded server needs.
    async fn greeted(
        self,
        base: &Base,
        config: &HostConfig,
        settings: &Arc<client::Config>,
        check: &HostKeyCheck,
    ) -> Result<Greeted, SshError> {
        let mut attempts = Attempts::until(self.until);
        loop {
            let attempt = self.greet(base, config, Arc::clone(settings), check.clone());
            match attempt.await? {
                Attempt::Done(greeted) => return Ok(*greeted),
                Attempt::HungUp { error, said } if gate::is_worth_another(&said) => {
                    attempts.pause(error).await?;
                }
                Attempt::HungUp { error, .. } => return Err(error),
            }
        }
    }

    async fn greet(
        self,
        base: &Base,
        config: &HostConfig,
        settings: Arc<client::Config>,
        mut check: HostKeyCheck,
    ) -> Result<Attempt, SshError> {
        let mut clock = Clock::new(config, self.progress);
        let Carried {
            line,
            hold,
            here,
            mut proxy,
            turn,
        } = base.carry(config, self.progress, &mut clock).await?;
        self.progress.of(&config.host);
        self.progress.at(Stage::Handshake);
        if here && config.no_check_for_localhost {
            check.waive();
        }
        let cut = CutOnDrop::new(vec![Arc::clone(&hold)]);
        let notes = Shared::default();
        let client = Client {
            check,
            warnings: self.warnings.clone(),
            notes: notes.clone(),
        };
        let connecting = client::connect_stream(settings, line, client);
        match clock.within(connecting).await? {
            Ok(handle) => Ok(Attempt::Done(Box::new(Greeted {
                handle,
                notes,
                hold: cut,
                proxy,
                turn,
            }))),
            Err(Fault::Russh(error)) if is_end(&error) => {
                if let Some(proxy) = &mut proxy
                    && let Some(failure) = proxy.failure().await
                {
                    return Err(failure);
                }
                let said = hold.instead_of_greeting();
                let error = SshError::Closed {
                    host: config.host.clone(),
                    stage: Stage::Handshake,
                    reason: printable(&String::from_utf8_lossy(said.as_deref().unwrap_or(&[]))),
                };
                match said {
                    // What a command did is the command's to try again.
                    Some(said) if proxy.is_none() => Ok(Attempt::HungUp { error, said }),
                    _ => Err(error),
                }
            }
            Err(fault) => Err(handshake_error(config, fault)),
        }
    }
}

/// Why a server whose key is in doubt has refused us: what it was not shown, if that may be it.
fn withheld(doubt: SshError, refusal: SshError) -> SshError {
    match refusal {
        SshError::Closed { .. } | SshError::Protocol { .. } => refusal,
        refusal => SshError::Withheld {
            doubt: Box::new(doubt),
            refusal: Box::new(refusal),
        },
    }
}

/// How long a server may take to hang up once we have said goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What has to live as long as a session.
pub(crate) enum Kept {
    /// Itself, or one that it goes through. Its handle can be sent to other threads, but not be
    /// shared.
    Session(Mutex<Handle<Client>>),
    /// The command that carries it.
    #[expect(dead_code, reason = "it is kept, not used")]
    Proxy(ProxyCommand),
}

impl Kept {
    pub(crate) fn session(handle: Handle<Client>) -> Self {
        Self::Session(Mutex::new(handle))
    }

    /// Lets go of it, once the server knows.
    pub(crate) async fn let_go(self) {
        let Self::Session(handle) = self else {
            return;
        };
        let Ok(handle) = handle.into_inner() else {
            return;
        };
        let told = handle.disconnect(Disconnect::ByApplication, "", "").await;
        if told.is_ok() {
            let _ = tokio::time::timeout(GOODBYE, handle).await;
        }
    }
}

fn settings(config: &HostConfig, preferred: russh::Preferred) -> client::Config {
    let rekey = config
        .rekey_bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|&bytes| bytes > 0);
    // Less than a packet would be a new key for each.
    let rekey = rekey.unwrap_or(REKEY).clamp(64 * 1024, REKEY);
    let after = config.rekey_after.filter(|after| !after.is_zero());
    let after = after.unwrap_or(REKEY_AFTER).min(REKEY_AFTER);
    client::Config {
        client_id: russh::SshId::Standard(
            format!("SSH-2.0-Offshoot_{}", env!("CARGO_PKG_VERSION")).into(),
        ),
        limits: Limits::new(rekey, rekey, after),
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
        Fault::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => SshError::NoAlgorithm {
            host,
            kind: algorithm_kind(&kind),
            ours: algorithm_names(ours),
            theirs: algorithm_names(theirs),
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

fn algorithm_kind(kind: &AlgorithmKind) -> Algorithm {
    match kind {
        AlgorithmKind::Kex => Algorithm::KeyExchange,
        AlgorithmKind::Key => Algorithm::HostKey,
        AlgorithmKind::Cipher => Algorithm::Cipher,
        AlgorithmKind::Compression => Algorithm::Compression,
        AlgorithmKind::Mac => Algorithm::Mac,
    }
}

/// The names of a list, without those that are none but say what a side knows.
fn algorithm_names(names: Vec<String>) -> Vec<String> {
    let says = |name: &String| name.starts_with("ext-info-") || name.starts_with("kex-strict-");
    names.into_iter().filter(|name| !says(name)).collect()
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
