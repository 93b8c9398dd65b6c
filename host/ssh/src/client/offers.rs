//! Which keys to offer, and in which order.
//!
//! As with OpenSSH: first those of the configuration that an agent holds, then the agent's others
//! unless only configured ones are wanted, then those in files.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use russh::client::Handle;
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PublicKey};

use super::agent;
use super::handler::ClientHandler;
use super::keys::{KeyFile, certificate};
use super::off_runtime::off_runtime;
use crate::config::{Agent, HostConfig};
use crate::error::{IdentityProblem, SshError};
use crate::secret::Secret;

/// Keys of one agent that are looked at.
const AGENT_KEYS_MAX: usize = 256;

/// A key that the server may take.
pub(crate) struct Offer {
    pub(crate) identity: AgentIdentity,
    pub(crate) source: Source,
}

/// What signs.
pub(crate) enum Source {
    /// The agent, by what it lists: a certificate may be for a key that it holds without one.
    Agent(Box<AgentIdentity>),
    File(Arc<KeyFile>),
}

impl Offer {
    pub(crate) fn algorithm(&self) -> Algorithm {
        match &self.identity {
            AgentIdentity::PublicKey { key, .. } => key.algorithm(),
            AgentIdentity::Certificate { certificate, .. } => certificate.public_key().algorithm(),
        }
    }

    /// Where it comes from, for messages.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.source {
            Source::Agent(_) => PathBuf::from("(of the agent)"),
            Source::File(key) => key.path.clone(),
        }
    }
}

/// All that can be offered.
#[derive(Default)]
pub(crate) struct Offers {
    pub(crate) list: VecDeque<Offer>,
    pub(crate) agent: Option<agent::Agent>,
    /// The first thing that kept a configured key away.
    pub(crate) first_problem: Option<SshError>,
}

/// What is in the files of the configuration: keys, and certificates that are named.
async fn read(
    config: &HostConfig,
    passphrase: Option<&Secret>,
) -> (Vec<Result<KeyFile, SshError>>, Vec<Certificate>) {
    let (keys, certificates) = (
        config.identity_files.clone(),
        config.certificate_files.clone(),
    );
    let passphrase = passphrase.cloned();
    off_runtime(move || {
        let keys = keys.iter();
        let keys = keys.map(|path| KeyFile::read(path, passphrase.as_ref()));
        let certificates = certificates.iter().filter_map(|path| certificate(path));
        (keys.collect(), certificates.collect())
    })
    .await
}

impl Offers {
    pub(crate) async fn collect(
        handle: &Handle<ClientHandler>,
        config: &HostConfig,
        passphrase: Option<&Secret>,
    ) -> Result<Self, SshError> {
        let mut offers = Self::default();
        let mut files = Vec::new();
        let (keys, named) = read(config, passphrase).await;
        for key in keys {
            match key {
                Ok(key) => files.push(Arc::new(key)),
                Err(SshError::IdentityFile {
                    why: IdentityProblem::Missing,
                    ..
                }) if config.identities_are_default => {}
                Err(error) => {
                    offers.first_problem.get_or_insert(error);
                }
            }
        }
        // A key that was named is used without an agent wherever that can be.
        let held = match config.identity_is_explicit && files.iter().all(|file| file.is_open()) {
            true => Vec::new(),
            false => offers.ask_agent(handle, config).await,
        };
        for identity in &held {
            let configured = files
                .iter()
                .any(|file| file.public.key_data() == public_of(identity).key_data());
            if configured {
                offers.list.push_back(by_agent(identity));
            }
        }
        if !config.identities_only {
            let others = held.iter().filter(|identity| {
                !files
                    .iter()
                    .any(|file| file.public.key_data() == public_of(identity).key_data())
            });
            offers.list.extend(others.map(by_agent));
        }
        if !config.identities_only {
            let without_file = named.iter().filter(|named| {
                let is_of = |file: &Arc<KeyFile>| file.public.key_data() == named.public_key();
                !files.iter().any(is_of)
            });
            for certificate in without_file {
                if let Some(held) = plain_key(&held, certificate.public_key()) {
                    offers.list.push_front(Offer {
                        identity: certificate.clone().into(),
                        source: Source::Agent(Box::new(held.clone())),
                    });
                }
            }
        }
        for file in files {
            let held = plain_key(&held, file.public.key_data());
            let certificates = named
                .iter()
                .filter(|named| named.public_key() == file.public.key_data());
            for certificate in certificates.cloned().chain(file.certificate.clone()) {
                let source = match held {
                    _ if file.has_private() => Source::File(file.clone()),
                    Some(held) => Source::Agent(Box::new(held.clone())),
                    None => continue,
                };
                // Ahead of the bare keys.
                offers.list.push_front(Offer {
                    identity: certificate.into(),
                    source,
                });
            }
            if held.is_some() {
                continue;
            }
            if file.has_private() {
                let identity = file.public.clone().into();
                offers.list.push_back(Offer {
                    identity,
                    source: Source::File(file),
                });
            } else if !config.identities_are_default {
                offers.first_problem.get_or_insert(SshError::IdentityFile {
                    path: file.path.clone(),
                    why: IdentityProblem::OnlyPublic,
                });
            }
        }
        Ok(offers)
    }

    /// What the agent holds. One that is not there, or does not answer well, holds nothing.
    async fn ask_agent(
        &mut self,
        handle: &Handle<ClientHandler>,
        config: &HostConfig,
    ) -> Vec<AgentIdentity> {
        let socket = match &config.agent {
            Agent::None => None,
            Agent::Socket(path) => Some(path.clone()),
        };
        let Some(socket) = socket else {
            return Vec::new();
        };
        let mut agent = match agent::connect(&socket).await {
            Ok(agent) => agent,
            Err(error) => {
                tracing::debug!(socket = %socket.display(), %error, "no agent");
                return Vec::new();
            }
        };
        if let Some(binding) = handle.agent_session_binding() {
            // Keys that are meant for certain hosts show themselves after this only.
            if let Err(error) = agent.bind_session(binding, false).await {
                tracing::debug!(%error, "the agent does not bind its keys to hosts");
            }
        }
        match agent.request_identities().await {
            Ok(mut identities) => {
                identities.truncate(AGENT_KEYS_MAX);
                self.agent = Some(agent);
                identities
            }
            Err(error) => {
                tracing::debug!(%error, "the agent does not show its keys");
                Vec::new()
            }
        }
    }
}

fn by_agent(identity: &AgentIdentity) -> Offer {
    Offer {
        identity: identity.clone(),
        source: Source::Agent(Box::new(identity.clone())),
    }
}

/// The key among those of an agent, where it is there without a certificate.
fn plain_key<'a>(held: &'a [AgentIdentity], key: &KeyData) -> Option<&'a AgentIdentity> {
    held.iter().find(|identity| match identity {
        AgentIdentity::PublicKey { key: held, .. } => held.key_data() == key,
        AgentIdentity::Certificate { .. } => false,
    })
}

fn public_of(identity: &AgentIdentity) -> PublicKey {
    match identity {
        AgentIdentity::PublicKey { key, .. } => key.clone(),
        AgentIdentity::Certificate { certificate, .. } => {
            PublicKey::new(certificate.public_key().clone(), "")
        }
    }
}
