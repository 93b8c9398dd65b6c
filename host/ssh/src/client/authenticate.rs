//! Shows the server who we are, in the order in which OpenSSH tries.

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse as Reply};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg};
use russh::{MethodKind, MethodSet};

use super::agent::Agent;
use super::algorithms;
use super::handler::{ClientHandler, SharedState};
use super::keys::{KeySigner, SignError};
use super::offers::{Offer, Offers, Source};
use super::password_scrubber::{PasswordScrubber, transient};
use super::prompts::{names_closed_account, names_other_secret, names_password};
use crate::config::HostConfig;
use crate::error::{IdentityProblem, SshError, Stage, printable};
use crate::secret::Secret;

/// Questions in a row that are answered: those that ask nothing, and one for the password.
const QUESTIONS_MAX: usize = 8;

/// What the user can show.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) password: Option<&'a Secret>,
    pub(crate) passphrase: Option<&'a Secret>,
}

impl Credentials<'_> {
    /// The same for a server that is shown no password.
    pub(crate) fn without_password(self) -> Self {
        Self {
            password: None,
            ..self
        }
    }
}

/// The order without `PreferredAuthentications`.
const ORDER: &[MethodKind] = &[
    MethodKind::PublicKey,
    MethodKind::KeyboardInteractive,
    MethodKind::Password,
];

/// Authenticates a session.
pub(crate) async fn authenticate(
    handle: &mut Handle<ClientHandler>,
    config: &HostConfig,
    credentials: Credentials<'_>,
    state: &SharedState,
) -> Result<PasswordScrubber, SshError> {
    let order = order(config);
    let mut offers = Offers::default();
    if order.contains(&MethodKind::PublicKey) {
        offers = Offers::collect(handle, config, credentials.passphrase).await?;
    }
    let first_problem = offers.first_problem.take();
    let attempt = Attempt {
        allowed: algorithms::user_keys(config)?,
        handle,
        config,
        credentials,
        state,
        left: None,
        first_problem,
        password_used: false,
        banner_read: 0,
        asked: false,
        rsa: None,
        scrubber: PasswordScrubber::default(),
    };
    attempt.run(&order, offers).await
}

fn order(config: &HostConfig) -> Vec<MethodKind> {
    let by_password = config.password_prompts > 0;
    let enabled = |kind: &MethodKind| match kind {
        MethodKind::PublicKey => config.public_key,
        MethodKind::KeyboardInteractive => config.keyboard_interactive && by_password,
        MethodKind::Password => config.password && by_password,
        _ => false,
    };
    let named = config.preferred.as_deref().map(|list| {
        let kinds = list.split(',').filter_map(|name| name.parse().ok());
        kinds.collect::<Vec<MethodKind>>()
    });
    let all = named.unwrap_or_else(|| ORDER.to_vec());
    all.into_iter().filter(enabled).collect()
}

struct Attempt<'a> {
    handle: &'a mut Handle<ClientHandler>,
    config: &'a HostConfig,
    credentials: Credentials<'a>,
    state: &'a SharedState,
    allowed: Vec<Algorithm>,
    /// The methods that the server would still take; nothing until it said so.
    left: Option<Vec<MethodKind>>,
    /// The first thing that kept a key from being used.
    first_problem: Option<SshError>,
    password_used: bool,
    /// Bytes of the server's banner that came before its last refusal.
    banner_read: usize,
    /// Whether the server was let ask.
    asked: bool,
    /// Which signatures of RSA keys the server takes, once that was asked.
    rsa: Option<Option<HashAlg>>,
    scrubber: PasswordScrubber,
}

/// What became of a method.
enum Outcome {
    In,
    NotYet,
    /// It cannot be tried.
    Skipped,
}

impl Attempt<'_> {
    async fn run(
        mut self,
        order: &[MethodKind],
        offers: Offers,
    ) -> Result<PasswordScrubber, SshError> {
        match self.try_methods(order, offers).await {
            Ok(()) => Ok(self.scrubber),
            Err(error) => {
                self.scrubber.disconnect(self.handle).await;
                Err(error)
            }
        }
    }

    async fn try_methods(
        &mut self,
        order: &[MethodKind],
        mut offers: Offers,
    ) -> Result<(), SshError> {
        // What the server takes is also learnt from the first refusal, which saves a round trip.
        let guess = order.first() == Some(&MethodKind::PublicKey) && !offers.list.is_empty();
        if !guess && let Outcome::In = self.try_none().await? {
            return Ok(());
        }
        loop {
            let outcome = match self.next(order, &offers) {
                Some(MethodKind::PublicKey) => match offers.list.pop_front() {
                    Some(offer) => self.key(&offer, &mut offers.agent).await?,
                    None => Outcome::Skipped,
                },
                Some(MethodKind::KeyboardInteractive) => self.questions().await?,
                Some(_) => self.password().await?,
                // No key was refused: none could be used.
                None if self.left.is_none() => self.try_none().await?,
                None => break,
            };
            if let Outcome::In = outcome {
                return Ok(());
            }
        }
        Err(self.refused())
    }

    /// Shows nothing, which tells what the server wants to see.
    async fn try_none(&mut self) -> Result<Outcome, SshError> {
        let user = self.config.user.as_str();
        let result = self.handle.authenticate_none(user).await;
        self.result(result)
    }

    /// The first method that the server takes and that is not used up.
    fn next(&self, order: &[MethodKind], offers: &Offers) -> Option<MethodKind> {
        let usable = |kind: &&MethodKind| {
            let taken = match &self.left {
                Some(left) => left.contains(kind),
                None => **kind == MethodKind::PublicKey,
            };
            let fresh = match kind {
                MethodKind::PublicKey => !offers.list.is_empty(),
                MethodKind::KeyboardInteractive => !self.asked && !self.password_used,
                _ => self.credentials.password.is_some() && !self.password_used,
            };
            taken && fresh
        };
        order.iter().find(usable).copied()
    }

    async fn key(&mut self, offer: &Offer, agent: &mut Option<Agent>) -> Result<Outcome, SshError> {
        let algorithm = offer.algorithm();
        let hash = match algorithm {
            Algorithm::Rsa { .. } => match self.rsa_hash().await? {
                Some(hash) => Some(hash),
                None => {
                    self.note_problem(|| SshError::IdentityFile {
                        path: offer.path(),
                        why: IdentityProblem::Sha1,
                    });
                    return Ok(Outcome::Skipped);
                }
            },
            _ => None,
        };
        let kind = match algorithm {
            Algorithm::Rsa { .. } => Algorithm::Rsa { hash },
            other => other,
        };
        if !self.allowed.contains(&kind) {
            return Ok(Outcome::Skipped);
        }
        let mut signer = match &offer.source {
            Source::Agent(held) => match agent {
                Some(agent) => KeySigner::Agent { agent, held },
                None => return Ok(Outcome::Skipped),
            },
            Source::File(key) => KeySigner::File {
                key,
                passphrase: self.credentials.passphrase,
            },
        };
        let user = self.config.user.as_str();
        let result = match &offer.identity {
            AgentIdentity::PublicKey { key, .. } => {
                let key = key.clone();
                self.handle
                    .authenticate_publickey_with(user, key, hash, &mut signer)
                    .await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                let certificate = certificate.clone();
                self.handle
                    .authenticate_certificate_with(user, certificate, hash, &mut signer)
                    .await
            }
        };
        match result {
            Ok(result) => self.result(Ok(result)),
            // The server keeps waiting for the next attempt; what it takes has not changed.
            Err(SignError::Key(error)) => {
                self.note_problem(|| error);
                Ok(Outcome::Skipped)
            }
            Err(SignError::Agent(error)) => {
                tracing::debug!(%error, "the agent did not sign");
                Ok(Outcome::Skipped)
            }
            Err(SignError::Gone) => Err(self.on_disconnect()),
        }
    }

    /// Which signatures of RSA keys the server takes: not SHA-1, whatever it says.
    async fn rsa_hash(&mut self) -> Result<Option<HashAlg>, SshError> {
        if let Some(known) = self.rsa {
            return Ok(known);
        }
        let said = self.handle.best_supported_rsa_hash().await;
        let hash = match said {
            Ok(Some(hash)) => hash,
            // It does not say: servers of the last ten years take this.
            Ok(None) => Some(HashAlg::Sha512),
            Err(_) => return Err(self.on_disconnect()),
        };
        let mine = |hash: &HashAlg| self.allowed.contains(&Algorithm::Rsa { hash: Some(*hash) });
        let hash = match hash {
            Some(HashAlg::Sha512) if !mine(&HashAlg::Sha512) => Some(HashAlg::Sha256),
            other => other,
        };
        self.rsa = Some(hash);
        Ok(hash)
    }

    async fn password(&mut self) -> Result<Outcome, SshError> {
        let Some(password) = self.credentials.password else {
            return Ok(Outcome::Skipped);
        };
        self.password_used = true;
        let user = self.config.user.as_str();
        self.scrubber.add_password(user, password);
        // The library wipes its copy.
        let result = self
            .handle
            .authenticate_password(user, password.expose())
            .await;
        self.result(result)
    }

    async fn questions(&mut self) -> Result<Outcome, SshError> {
        self.asked = true;
        let user = self.config.user.as_str();
        let started = self
            .handle
            .authenticate_keyboard_interactive_start(user, None);
        let mut reply = started.await;
        for _ in 0..QUESTIONS_MAX {
            let prompts = match reply {
                Ok(Reply::Success) => return Ok(Outcome::In),
                Ok(Reply::Failure {
                    remaining_methods, ..
                }) => {
                    return self.left(&remaining_methods);
                }
                Ok(Reply::InfoRequest { prompts, .. }) => prompts,
                Err(_) => return Err(self.on_disconnect()),
            };
            let answers = match prompts.as_slice() {
                [] => Vec::new(),
                [one] if !one.echo => vec![self.answer(&one.prompt)?],
                several => {
                    let texts: Vec<&str> = several.iter().map(|one| one.prompt.as_str()).collect();
                    return Err(self.prompt(&texts.join(" ")));
                }
            };
            reply = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await;
        }
        Err(SshError::Protocol {
            host: self.config.hostname.clone(),
            reason: "it does not stop asking".to_owned(),
        })
    }

    /// The password, once, for a question that can be about it.
    fn answer(&mut self, prompt: &str) -> Result<String, SshError> {
        match self.credentials.password {
            _ if names_other_secret(prompt) => Err(self.prompt(prompt)),
            // It asks again: that was not the password, or it wants something new.
            Some(_) if self.password_used => match names_password(prompt) {
                true => Err(self.incorrect()),
                false => Err(self.prompt(prompt)),
            },
            Some(password) => {
                self.password_used = true;
                self.scrubber.add_answer(password);
                Ok(transient(password))
            }
            None if names_password(prompt) => {
                Err(self.first_problem.take().unwrap_or_else(|| self.required()))
            }
            None => Err(self.prompt(prompt)),
        }
    }

    fn result(&mut self, result: Result<AuthResult, russh::Error>) -> Result<Outcome, SshError> {
        match result {
            Ok(AuthResult::Success) => Ok(Outcome::In),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => self.left(&remaining_methods),
            Err(_) => Err(self.on_disconnect()),
        }
    }

    fn left(&mut self, methods: &MethodSet) -> Result<Outcome, SshError> {
        // No methods at all: it hung up, or gave up.
        if methods.is_empty() {
            return Err(self.on_disconnect());
        }
        self.left = Some(methods.to_vec());
        self.banner_read = self.state.lock().banner.len();
        Ok(Outcome::NotYet)
    }

    fn note_problem(&mut self, error: impl FnOnce() -> SshError) {
        self.first_problem.get_or_insert_with(error);
    }

    /// Why nothing worked.
    fn refused(&mut self) -> SshError {
        let left = self.left.clone().unwrap_or_default();
        let takes = |kind| left.contains(&kind);
        if self.password_used {
            return self.incorrect();
        }
        if let Some(first_problem) = self.first_problem.take() {
            return first_problem;
        }
        // What would have been another way in, and is not done here.
        for (name, method) in [
            ("gssapiauthentication", MethodKind::GssapiWithMic),
            ("pkcs11provider", MethodKind::PublicKey),
        ] {
            if let Some(unsupported) = self.config.deferred(name).filter(|_| takes(method)) {
                return SshError::UnsupportedDirective(unsupported);
            }
        }
        let by_password = self.config.password && takes(MethodKind::Password);
        if self.credentials.password.is_none() && by_password {
            return self.required();
        }
        self.auth_refused(String::new())
    }

    /// The session ended. A server that hangs up on us, or on everybody, says why at best.
    fn on_disconnect(&mut self) -> SshError {
        let last_words = self.last_words();
        let said = self.state.ended().unwrap_or_default();
        let said = match said.is_empty() {
            true => last_words,
            false => said,
        };
        if names_closed_account(&said) {
            return SshError::AccountClosed {
                user: self.config.user.clone(),
                host: self.config.hostname.clone(),
                said,
            };
        }
        if self.password_used {
            return self.incorrect();
        }
        match self.left {
            Some(_) => self
                .first_problem
                .take()
                .unwrap_or_else(|| self.auth_refused(said)),
            None => SshError::Closed {
                host: self.config.hostname.clone(),
                stage: Stage::Authentication,
                reason: said,
            },
        }
    }

    /// What the server has said since it refused something: it has no other way to say why it
    /// hangs up on somebody who has shown the right key.
    fn last_words(&self) -> String {
        let state = self.state.lock();
        printable(state.banner.get(self.banner_read..).unwrap_or_default())
    }

    fn auth_refused(&self, said: String) -> SshError {
        let left = self.left.iter().flatten();
        SshError::AuthRefused {
            user: self.config.user.clone(),
            host: self.config.hostname.clone(),
            methods: left.map(String::from).collect(),
            said,
        }
    }

    fn incorrect(&self) -> SshError {
        SshError::PasswordIncorrect {
            user: self.config.user.clone(),
            host: self.config.hostname.clone(),
        }
    }

    fn required(&self) -> SshError {
        SshError::PasswordRequired {
            user: self.config.user.clone(),
            host: self.config.hostname.clone(),
        }
    }

    fn prompt(&self, prompt: &str) -> SshError {
        SshError::Prompt {
            user: self.config.user.clone(),
            host: self.config.hostname.clone(),
            prompt: printable(prompt),
        }
    }
}
