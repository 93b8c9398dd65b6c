//! Decides whether to go on with a server that has shown its key.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::algorithms;
use super::warnings::Warnings;
use crate::config::{HostConfig, Strict, Unsupported};
use crate::error::{HostKeyProblem, SshError, printable};
use crate::known_hosts::{self, FileError, Hash, KnownHost, LockedFile, Verdict};
use crate::pattern::matches;

/// What is done about host keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// Only a known one will do.
    Enforce,
    /// That of an unknown host is learnt; a changed one is refused.
    Accept,
    /// That of an unknown host is learnt. With a changed or revoked one the connection goes on
    /// without passwords and questions: the server may be anybody.
    Ignore,
}

impl HostKeyPolicy {
    /// What the configuration says; there is nobody to ask.
    fn configured(config: &HostConfig) -> Self {
        match config.strict {
            Strict::Yes | Strict::Ask => Self::Enforce,
            Strict::AcceptNew => Self::Accept,
            Strict::No => Self::Ignore,
        }
    }
}

/// Whether a server that is connected to is the one that was asked for.
#[derive(Debug, Default)]
pub(crate) enum Identity {
    /// It is, as far as is known.
    #[default]
    Verified,
    /// It may be another one, and the policy lets the connection go on all the same.
    Unverified(SshError),
}

/// What a server's key is looked up by.
#[derive(Clone, Debug)]
struct KnownHostsLookup {
    files: Vec<PathBuf>,
    name: String,
    plain: Option<String>,
}

impl KnownHostsLookup {
    fn read(&self) -> Result<KnownHost, FileError> {
        KnownHost::read(&self.files, &self.name, self.plain.as_deref())
    }
}

/// Judges the key of one server.
#[derive(Clone, Debug)]
pub(crate) struct HostKeyCheck {
    policy: HostKeyPolicy,
    /// Whether no key is needed at all.
    skipped: bool,
    looked_up: KnownHostsLookup,
    known: KnownHost,
    /// As the key is known, with the port.
    name: String,
    /// As a certificate calls the host, without it.
    principal: String,
    learn_in: Option<PathBuf>,
    /// `KnownHostsCommand`, which may know a key that the files do not have.
    known_hosts_command: Option<Unsupported>,
    hash: Hash,
    rsa_bits: u32,
    /// How an authority may sign.
    signatures: Vec<Algorithm>,
}

impl HostKeyCheck {
    /// Reads what is known of the host.
    pub(crate) fn new(config: &HostConfig, said: Option<HostKeyPolicy>) -> Result<Self, SshError> {
        let policy = said.unwrap_or_else(|| HostKeyPolicy::configured(config));
        let (name, plain) = match &config.host_key_alias {
            Some(alias) => (alias.clone(), None),
            None => {
                let name = known_hosts::name(&config.hostname, config.port);
                (
                    name,
                    (config.port != 22).then_some(config.hostname.as_str()),
                )
            }
        };
        let looked_up = KnownHostsLookup {
            files: [&config.user_known_hosts[..], &config.global_known_hosts].concat(),
            name: name.clone(),
            plain: plain.map(str::to_owned),
        };
        let known = looked_up.read()?;
        Ok(Self {
            policy,
            skipped: false,
            looked_up,
            known,
            principal: config
                .host_key_alias
                .clone()
                .unwrap_or_else(|| config.hostname.clone()),
            name,
            learn_in: config.user_known_hosts.first().cloned(),
            hash: match config.hash_known_hosts {
                true => Hash::Hashed,
                false => Hash::Plain,
            },
            known_hosts_command: config.deferred("knownhostscommand"),
            rsa_bits: config.rsa_bits,
            signatures: algorithms::authorities(config)?,
        })
    }

    pub(crate) fn known(&self) -> &KnownHost {
        &self.known
    }

    /// Needs no key from here on: the server is this machine itself.
    pub(crate) fn skip_check(&mut self) {
        self.skipped = true;
    }

    /// Judges, and learns if that is wanted.
    pub(crate) fn check(
        &self,
        shown: &PublicKeyOrCertificate,
        warnings: &Warnings,
    ) -> Result<Identity, SshError> {
        let key = shown.public_key();
        self.length(&key)?;
        if self.skipped {
            return Ok(Identity::Verified);
        }
        match (self.judge(shown, &key, warnings), self.policy) {
            (Err(error), HostKeyPolicy::Ignore) if error.is_of_another_server() => {
                Ok(Identity::Unverified(error))
            }
            (judged, _) => judged.map(|()| Identity::Verified),
        }
    }

    fn judge(
        &self,
        shown: &PublicKeyOrCertificate,
        key: &PublicKey,
        warnings: &Warnings,
    ) -> Result<(), SshError> {
        let mut doubt = None;
        if let Some(certificate) = shown.certificate() {
            match self.certificate(certificate, key)? {
                CertificateVerdict::Yes => return Ok(()),
                CertificateVerdict::Nobody => {}
                CertificateVerdict::Invalid(why) => doubt = Some(why),
            }
        }
        // As with OpenSSH, a key with a certificate that is of no use is still a key.
        match self.known.judge(&blob(key)) {
            Verdict::Known => Ok(()),
            Verdict::Unknown => match (doubt, self.policy, &self.known_hosts_command) {
                (_, HostKeyPolicy::Ignore, _) | (None, HostKeyPolicy::Accept, None) => {
                    self.learn(key, warnings)
                }
                (Some(why), ..) => Err(self.problem(HostKeyProblem::Certificate(why))),
                (None, _, Some(command)) => Err(SshError::UnsupportedDirective(command.clone())),
                (None, HostKeyPolicy::Enforce, None) => Err(self.verdict(Verdict::Unknown, key)),
            },
            other => Err(self.verdict(other, key)),
        }
    }

    fn length(&self, key: &PublicKey) -> Result<(), SshError> {
        let KeyData::Rsa(rsa) = key.key_data() else {
            return Ok(());
        };
        let bits = rsa.key_size();
        match bits < self.rsa_bits {
            true => Err(self.problem(HostKeyProblem::Short {
                bits,
                wanted: self.rsa_bits,
            })),
            false => Ok(()),
        }
    }

    fn certificate(
        &self,
        certificate: &Certificate,
        key: &PublicKey,
    ) -> Result<CertificateVerdict, SshError> {
        let authority = PublicKey::new(certificate.signature_key().clone(), "");
        match self.known.judge_certificate(&blob(key), &blob(&authority)) {
            Verdict::Known => {}
            Verdict::Revoked { file, line } => {
                return Err(self.verdict(Verdict::Revoked { file, line }, key));
            }
            Verdict::Unknown | Verdict::Changed { .. } => return Ok(CertificateVerdict::Nobody),
        }
        let invalid = |why: &str| Ok(CertificateVerdict::Invalid(why.to_owned()));
        if certificate.cert_type() != CertType::Host {
            return invalid("it is not one for hosts");
        }
        if !self
            .signatures
            .contains(&certificate.signature().algorithm())
        {
            return invalid(
                "its signature is of a kind that is broken, or not among CASignatureAlgorithms",
            );
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let fingerprint = certificate.signature_key().fingerprint(HashAlg::Sha256);
        if certificate.validate_at(now, [&fingerprint]).is_err() {
            return invalid("its time is over or yet to come, or its signature is wrong");
        }
        if !certificate.critical_options().is_empty() {
            return invalid("it has conditions that are not known here");
        }
        let names = certificate.valid_principals();
        let host = self.principal.to_ascii_lowercase();
        if !names.is_empty()
            && !names
                .iter()
                .any(|name| matches(&host, &name.to_ascii_lowercase()))
        {
            let names = printable(&names.join(", "));
            return Ok(CertificateVerdict::Invalid(format!(
                "it is for {names}, not for {host}"
            )));
        }
        Ok(CertificateVerdict::Yes)
    }

    /// Writes the key down, unless another connection has done so, or has learnt another one.
    fn learn(&self, key: &PublicKey, warnings: &Warnings) -> Result<(), SshError> {
        let Some(path) = &self.learn_in else {
            return Ok(());
        };
        let not_learnt = |error: std::io::Error| {
            warnings.push(format!(
                "{}: its host key {} is not learnt: cannot write {}: {error}",
                self.name,
                fingerprint(key),
                path.display()
            ));
        };
        let file = match LockedFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                not_learnt(error);
                return Ok(());
            }
        };
        match self.looked_up.read()?.judge(&blob(key)) {
            Verdict::Known => return Ok(()),
            Verdict::Unknown => {}
            other => return Err(self.verdict(other, key)),
        }
        // Without the comment, which the server did not send.
        let line = PublicKey::new(key.key_data().clone(), "").to_openssh();
        let line = line.map_err(|error| SshError::Protocol {
            host: self.name.clone(),
            reason: format!("a host key that cannot be written: {error}"),
        })?;
        match file.append(&self.name, line.trim_end(), self.hash) {
            Ok(()) => {
                tracing::info!(host = self.name, file = %path.display(), fingerprint = %fingerprint(key), "learnt a host key");
            }
            Err(error) => not_learnt(error),
        }
        Ok(())
    }

    fn verdict(&self, verdict: Verdict, key: &PublicKey) -> SshError {
        let key_type = key.algorithm().to_string();
        let fingerprint = fingerprint(key);
        self.problem(match verdict {
            Verdict::Changed { file, line } => HostKeyProblem::Changed {
                key_type,
                fingerprint,
                file,
                line,
            },
            Verdict::Revoked { file, line } => HostKeyProblem::Revoked {
                key_type,
                fingerprint,
                file,
                line,
            },
            Verdict::Known | Verdict::Unknown => HostKeyProblem::Unknown {
                key_type,
                fingerprint,
            },
        })
    }

    fn problem(&self, problem: HostKeyProblem) -> SshError {
        SshError::HostKey {
            host: self.name.clone(),
            problem,
        }
    }
}

/// What a certificate is worth.
enum CertificateVerdict {
    Yes,
    /// No authority that is known for the host has signed it.
    Nobody,
    /// One has, and it is of no use.
    Invalid(String),
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn blob(key: &PublicKey) -> Vec<u8> {
    // What was read from the wire can be written there.
    key.to_bytes().unwrap_or_default()
}
