//! The user's keys: finds them, and signs with them.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_encoding::Encode as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key, signature};
use russh::{SendError, Signer};
use zeroize::Zeroizing;

use super::agent::Agent;
use crate::error::{IdentityProblem, SshError};
use crate::secret::Secret;

/// Bytes that a file with a key may have.
const FILE_MAX: u64 = 64 * 1024;

/// A file that holds a key, or names one that an agent holds.
pub(crate) struct KeyFile {
    pub(crate) path: PathBuf,
    pub(crate) public: PublicKey,
    /// The certificate beside it, if there is one.
    pub(crate) certificate: Option<Certificate>,
    /// Nothing where only the public half is here.
    private: Option<Private>,
}

enum Private {
    Open(Box<PrivateKey>),
    /// To be opened when the server says that it would take it.
    Locked(Zeroizing<String>),
}

impl KeyFile {
    pub(crate) fn has_private(&self) -> bool {
        self.private.is_some()
    }

    /// Whether nothing more is needed to sign with it.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.private, Some(Private::Open(_)))
    }

    /// Reads a file, and the public key and the certificate beside it.
    pub(crate) fn read(path: &Path, passphrase: Option<&Secret>) -> Result<Self, SshError> {
        let useless = |why| SshError::IdentityFile {
            path: path.to_owned(),
            why,
        };
        let beside = sibling(path, ".pub").and_then(|path| public(&path));
        let key = |public, private| Self {
            path: path.to_owned(),
            public,
            certificate: sibling(path, "-cert.pub").and_then(|path| certificate(&path)),
            private,
        };
        let text = match contents(path, Owner::Checked) {
            Ok(text) => text,
            // The other half may be with an agent.
            Err(problem) => {
                return match (beside, problem) {
                    (Some(public), IdentityProblem::Missing) => Ok(key(public, None)),
                    (_, problem) => Err(useless(problem)),
                };
            }
        };
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            return Ok(key(public, None));
        }
        let private = match PrivateKey::from_openssh(text.as_bytes()) {
            Ok(private) if private.is_encrypted() => {
                return Ok(key(
                    private.public_key().clone(),
                    Some(Private::Locked(text)),
                ));
            }
            Ok(private) => private,
            Err(_) => match decode_secret_key(&text, None) {
                Ok(private) => private,
                Err(error) if is_locked(&text) => match (beside, passphrase) {
                    (Some(public), _) => return Ok(key(public, Some(Private::Locked(text)))),
                    // These tell nothing of themselves while they are locked.
                    (None, Some(passphrase)) => unlock(path, &text, passphrase)?,
                    (None, None) => {
                        drop(error);
                        return Err(SshError::PassphraseRequired {
                            path: path.to_owned(),
                        });
                    }
                },
                Err(error) => return Err(useless(IdentityProblem::Format(error.to_string()))),
            },
        };
        Ok(key(
            private.public_key().clone(),
            Some(Private::Open(Box::new(private))),
        ))
    }
}

/// Reads a certificate; nothing if there is none.
pub(crate) fn certificate(path: &Path) -> Option<Certificate> {
    let text = contents(path, Owner::Unchecked).ok()?;
    Certificate::from_openssh(text.trim()).ok()
}

fn public(path: &Path) -> Option<PublicKey> {
    let text = contents(path, Owner::Unchecked).ok()?;
    PublicKey::from_openssh(text.trim()).ok()
}

fn sibling(path: &Path, suffix: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    Some(path.with_file_name(format!("{name}{suffix}")))
}

/// Whether a key of an older form is encrypted.
fn is_locked(text: &str) -> bool {
    text.contains("ENCRYPTED")
}

#[derive(PartialEq, Eq)]
enum Owner {
    Checked,
    Unchecked,
}

fn contents(path: &Path, owner: Owner) -> Result<Zeroizing<String>, IdentityProblem> {
    let read = |error: io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => IdentityProblem::Missing,
        _ => IdentityProblem::Read(error),
    };
    // What is no file, such as a pipe, could keep us waiting.
    let about = std::fs::metadata(path).map_err(read)?;
    if !about.is_file() {
        return Err(IdentityProblem::Format("it is no file".to_owned()));
    }
    let file = File::open(path).map_err(read)?;
    let about = file.metadata().map_err(read)?;
    let mut text = Zeroizing::new(String::with_capacity(8 * 1024));
    let taken = file.take(FILE_MAX).read_to_string(&mut text);
    taken.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => IdentityProblem::Format("it is no text".to_owned()),
        _ => IdentityProblem::Read(error),
    })?;
    let own = about.uid() == rustix::process::getuid().as_raw();
    let is_private = text.contains("PRIVATE KEY");
    if owner == Owner::Checked && is_private && own && about.mode() & 0o077 != 0 {
        return Err(IdentityProblem::Permissions(about.mode() & 0o777));
    }
    Ok(text)
}

fn unlock(path: &Path, text: &str, passphrase: &Secret) -> Result<PrivateKey, SshError> {
    decode_secret_key(text, Some(passphrase.expose())).map_err(|_| SshError::PassphraseIncorrect {
        path: path.to_owned(),
    })
}

/// Signs to show that a key is ours, when the server has said that it would do.
pub(crate) enum KeySigner<'a> {
    Agent {
        agent: &'a mut Agent,
        /// The key, as the agent lists it.
        held: &'a AgentIdentity,
    },
    File {
        key: &'a KeyFile,
        passphrase: Option<&'a Secret>,
    },
}

/// Why there is no signature.
pub(crate) enum SignError {
    /// The session is over.
    Gone,
    /// The agent does not sign.
    Agent(russh::keys::Error),
    /// The key cannot be used.
    Key(SshError),
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for KeySigner<'_> {
    type Error = SignError;

    async fn auth_sign(
        &mut self,
        _identity: &AgentIdentity,
        hash: Option<HashAlg>,
        text: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Agent { agent, held } => {
                let signed = agent.sign_request(held, hash, text).await;
                signed.map_err(SignError::Agent)
            }
            Self::File { key, passphrase } => {
                let private = open(key, *passphrase).await.map_err(SignError::Key)?;
                let signature = sign(&private, hash, &text).map_err(|error| {
                    SignError::Key(SshError::IdentityFile {
                        path: key.path.clone(),
                        why: IdentityProblem::Format(error.to_string()),
                    })
                })?;
                let mut signed = text;
                let encoded = signature.encode_prefixed(&mut signed);
                encoded.map_err(|error| SignError::Agent(error.into()))?;
                Ok(signed)
            }
        }
    }
}

async fn open(key: &KeyFile, passphrase: Option<&Secret>) -> Result<PrivateKey, SshError> {
    let path = key.path.clone();
    match (&key.private, passphrase) {
        (Some(Private::Open(private)), _) => Ok(PrivateKey::clone(private)),
        (Some(Private::Locked(_)), None) => Err(SshError::PassphraseRequired { path }),
        (Some(Private::Locked(text)), Some(passphrase)) => {
            // Making a key of a passphrase takes long on purpose.
            let (text, passphrase) = (text.clone(), passphrase.clone());
            let failed = path.clone();
            let unlocking = tokio::task::spawn_blocking(move || unlock(&path, &text, &passphrase));
            unlocking
                .await
                .unwrap_or(Err(SshError::PassphraseIncorrect { path: failed }))
        }
        (None, _) => Err(SshError::IdentityFile {
            path,
            why: IdentityProblem::OnlyPublic,
        }),
    }
}

fn sign(
    key: &PrivateKey,
    hash: Option<HashAlg>,
    text: &[u8],
) -> Result<Signature, signature::Error> {
    use signature::Signer as _;
    match key.key_data() {
        KeypairData::Rsa(rsa) => (rsa, hash).try_sign(text),
        other => other.try_sign(text),
    }
}
