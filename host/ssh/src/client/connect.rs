//! From a host's configuration to an authenticated session, over other sessions if need be.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_limiter::Permit;
use offshoot_text::Hop;
use russh::client::{self, Handle};
use russh::{AlgorithmKind, Limits};

use super::algorithms;
use super::attempts::{self, Attempts};
use super::authenticate::{Credentials, authenticate};
use super::dial::ProxyCommand;
use super::handler::{ClientHandler, HandlerError, SharedState, describe, is_disconnect};
use super::host_key::{HostKeyCheck, Identity};
use super::off_runtime::off_runtime;
use super::progress::{ConnectTimer, Event, Progress};
use super::request::Request;
use super::session::{AbortStreamsOnDrop, AuthenticatedSession, SessionGuard};
use super::underlay::{ServerStream, Tunnel, Underlay, in_hop};
use super::warnings::Warnings;
use crate::config::{HostConfig, Overrides, ProxyMethod};
use crate::error::{Algorithm, SshError, Stage, printable};

/// Bytes that may be under way to us. A long line carries this much in each round trip.
const WINDOW: u32 = 4 << 20;

/// The largest packet; OpenSSH's own size.
const PACKET: u32 = 32 * 1024;

/// Bytes after which new session keys are made, unless the configuration wants it sooner.
const REKEY: usize = 1 << 30;

/// After how long they are made in any case.
const REKEY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Machines on the way to another, at most.
const HOPS_MAX: usize = 8;

/// The way of one request.
#[derive(Clone, Copy)]
pub(crate) struct ConnectTask<'a> {
    pub(crate) request: &'a Request,
    pub(crate) progress: &'a Progress,
    pub(crate) warnings: &'a Warnings,
    /// When the request is given up.
    pub(crate) until: Instant,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SshError>> + Send + 'a>>;

/// What becomes of one attempt to shake hands with a server.
enum HandshakeAttempt {
    Done(Box<ServerHandshake>),
    /// It hung up before it said that it is a server.
    HungUp {
        error: SshError,
        said: Vec<u8>,
    },
}

/// A server that has shown who it is.
struct ServerHandshake {
    handle: Handle<ClientHandler>,
    state: SharedState,
    stream_guard: AbortStreamsOnDrop,
    proxy: Option<ProxyCommand>,
    /// Held until the server has accepted the user.
    permit: Option<Permit>,
}

impl<'a> ConnectTask<'a> {
    /// A session with the request's own host.
    pub(crate) async fn target(self, config: HostConfig) -> Result<AuthenticatedSession, SshError> {
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
    ) -> BoxFuture<'b, AuthenticatedSession>
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
    ) -> Result<AuthenticatedSession, SshError> {
        if let Some(unsupported) = config.unsupported.clone() {
            return Err(SshError::UnsupportedDirective(unsupported));
        }
        // What the caller says is about the host, and not about those on the way to it.
        let host_keys = self.request.host_keys.filter(|_| depth == 0);
        let (mut config, check) = off_runtime(move || {
            let check = HostKeyCheck::new(&config, host_keys);
            (config, check)
        })
        .await;
        let check = check?;
        let preferred = algorithms::preferred(&config, check.known())?;
        let russh_config = Arc::new(russh_config(&config, preferred));
        let underlay = self.underlay(&config, depth).await?;
        let handshake_with_retries = self
            .handshake_with_retries(&underlay, &config, &russh_config, &check)
            .await?;
        let ServerHandshake {
            mut handle,
            state,
            stream_guard,
            proxy,
            permit,
        } = handshake_with_retries;
        self.progress.set_stage(Stage::Authentication);
        let identity = std::mem::take(&mut state.lock().identity);
        if let Identity::Verified = identity {
            let host = config.host.clone();
            self.progress.report(Event::HostKeyTrusted { host });
        }
        let scrubber = match identity {
            Identity::Verified => authenticate(&mut handle, &config, credentials, &state).await?,
            Identity::Unverified(doubt) => {
                // A password would be the server's to use. A signature is good for this session
                // only.
                config.password = false;
                config.keyboard_interactive = false;
                let credentials = credentials.without_password();
                let made = authenticate(&mut handle, &config, credentials, &state).await;
                let warning = format!(
                    "{doubt}; going on without passwords, because the configuration lets any host \
                     key pass"
                );
                let scrubber = made.map_err(|error| withheld(doubt, error))?;
                self.warnings.push(warning);
                scrubber
            }
        };
        drop(permit);
        if depth == 0 {
            self.progress.report(Event::Authenticated);
        }
        stream_guard.lift_limit();
        let (mut underlying, mut stream_guards) = underlay.keep();
        underlying.extend(proxy.map(SessionGuard::Proxy));
        stream_guards.extend(stream_guard.keep());
        Ok(AuthenticatedSession {
            handle,
            state,
            underlying,
            stream_guards,
            scrubber,
        })
    }

    /// Shakes hands, with as many attempts as a crowded server needs.
    async fn handshake_with_retries(
        self,
        underlay: &Underlay,
        config: &HostConfig,
        russh_config: &Arc<client::Config>,
        check: &HostKeyCheck,
    ) -> Result<ServerHandshake, SshError> {
        let mut tries = Attempts::until(self.until);
        loop {
            let attempt = self.handshake(underlay, config, Arc::clone(russh_config), check.clone());
            match attempt.await? {
                HandshakeAttempt::Done(handshake_with_retries) => {
                    return Ok(*handshake_with_retries);
                }
                HandshakeAttempt::HungUp { error, said } if attempts::is_worth_another(&said) => {
                    tries.pause(error).await?;
                }
                HandshakeAttempt::HungUp { error, .. } => return Err(error),
            }
        }
    }

    async fn handshake(
        self,
        underlay: &Underlay,
        config: &HostConfig,
        russh_config: Arc<client::Config>,
        mut check: HostKeyCheck,
    ) -> Result<HandshakeAttempt, SshError> {
        let mut timer = ConnectTimer::new(config, self.progress);
        let ServerStream {
            stream,
            stream_guard,
            is_loopback,
            mut proxy,
            permit,
        } = underlay
            .open_stream(config, self.progress, &mut timer)
            .await?;
        let host = config.host.clone();
        self.progress.set_host(&host);
        self.progress.report(Event::Connected { host });
        self.progress.set_stage(Stage::Handshake);
        if is_loopback && config.no_check_for_localhost {
            check.skip_check();
        }
        let cut = AbortStreamsOnDrop::new(vec![Arc::clone(&stream_guard)]);
        let state = SharedState::default();
        let client = ClientHandler {
            check,
            warnings: self.warnings.clone(),
            state: state.clone(),
        };
        let connecting = client::connect_stream(russh_config, stream, client);
        match timer.within(connecting).await? {
            Ok(handle) => Ok(HandshakeAttempt::Done(Box::new(ServerHandshake {
                handle,
                state,
                stream_guard: cut,
                proxy,
                permit,
            }))),
            Err(HandlerError::Russh(error)) if is_disconnect(&error) => {
                if let Some(proxy) = &mut proxy
                    && let Some(failure) = proxy.failure().await
                {
                    return Err(failure);
                }
                let said = stream_guard.before_version();
                let error = SshError::Closed {
                    host: config.host.clone(),
                    stage: Stage::Handshake,
                    reason: printable(&String::from_utf8_lossy(said.as_deref().unwrap_or(&[]))),
                };
                match said {
                    // What a command did is the command's to try again.
                    Some(said) if proxy.is_none() => Ok(HandshakeAttempt::HungUp { error, said }),
                    _ => Err(error),
                }
            }
            Err(fault) => Err(handshake_error(config, fault)),
        }
    }
}

impl ConnectTask<'_> {
    /// Makes what a host's lines are made over: a session with the machine on the way, if there is
    /// one.
    pub(crate) async fn underlay(
        self,
        config: &HostConfig,
        depth: usize,
    ) -> Result<Underlay, SshError> {
        match &config.proxy {
            ProxyMethod::Direct => Ok(Underlay::Network),
            ProxyMethod::Command(command) => Ok(Underlay::Command(command.clone())),
            ProxyMethod::Jump(hops) => {
                let tunnel = self.tunnel(hops, config, depth).await?;
                Ok(Underlay::Tunnel(Box::new(tunnel)))
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
        let overrides = Overrides {
            user: last.user.clone(),
            port: last.port,
            jump: (!before.is_empty()).then(|| before.to_vec()),
            keepalive_interval: self.request.overrides.keepalive_interval,
            keepalive_count: self.request.overrides.keepalive_count,
            connect_timeout: self.request.overrides.connect_timeout,
            ..Overrides::default()
        };
        let (host, env) = (last.host.clone(), self.request.env.clone());
        let resolved = off_runtime(move || HostConfig::resolve(&host, &overrides, &env)).await;
        let mut hop = resolved.map_err(|error| in_hop(&last.host, error.into()))?;
        // A rule for all hosts that names the jump host is not for the jump host.
        if let ProxyMethod::Jump(own) = &hop.proxy
            && before.is_empty()
            && own.iter().any(|hop| hop.host == last.host)
        {
            hop.proxy = ProxyMethod::Direct;
        }
        let place = format!("{}:{}", hop.hostname, hop.port);
        // The password is for the host itself.
        let credentials = Credentials {
            password: None,
            passphrase: self.request.passphrase.as_ref(),
        };
        let session = self.session(hop, credentials, depth + 1).await;
        let session = session.map_err(|error| in_hop(&last.host, error))?;
        Ok(Tunnel::new(session, last.host.clone(), place))
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

fn russh_config(config: &HostConfig, preferred: russh::Preferred) -> client::Config {
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

fn handshake_error(config: &HostConfig, fault: HandlerError) -> SshError {
    let host = config.host.clone();
    match fault {
        HandlerError::Ours(error) => error,
        HandlerError::Russh(russh::Error::NoCommonAlgo { kind, ours, theirs }) => {
            SshError::NoAlgorithm {
                host,
                kind: algorithm_kind(&kind),
                ours: algorithm_names(ours),
                theirs: algorithm_names(theirs),
            }
        }
        HandlerError::Russh(russh::Error::Version) => SshError::Protocol {
            host,
            reason: format!("what listens on port {} is no ssh server", config.port),
        },
        HandlerError::Russh(russh::Error::Kex) => SshError::Protocol {
            host,
            reason: "its key exchange fails, or has no strict order where the cipher needs it"
                .to_owned(),
        },
        fault => SshError::Protocol {
            host,
            reason: describe(&fault),
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
