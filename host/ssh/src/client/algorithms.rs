//! Which algorithms to offer, and in which order.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

use crate::config::{ConfigError, HostConfig};
use crate::known_hosts::KnownHost;
use crate::pattern::matches;

/// Key exchanges, best first. Those in which the server chooses the group are not among them:
/// checking a group costs more than anybody who lacks all of these is worth.
const KEX: &[&str] = &[
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];

/// Not key exchanges, but said in the same list: that we know the strict order of messages, and
/// want to hear about kinds of signatures.
const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const AES_FIRST: &[&str] = &[
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];

const AES_LAST: &[&str] = &[
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];

const MACS: &[&str] = &[
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
];

const KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// What to offer to a host of which something is known.
pub(crate) fn preferred(config: &HostConfig, known: &KnownHost) -> Result<Preferred, ConfigError> {
    let said = &config.algorithms;
    let mut exchanges = chosen("KexAlgorithms", said.kex.as_deref(), KEX, |name| {
        kex::Name::try_from(name).ok()
    })?;
    exchanges.extend(KEX_EXTENSIONS);
    let ciphers = if has_aes() { AES_FIRST } else { AES_LAST };
    let ciphers = chosen("Ciphers", said.ciphers.as_deref(), ciphers, |name| {
        cipher::Name::try_from(name)
            .ok()
            .filter(|_| name != "none" && name != "clear")
    })?;
    let macs = chosen("MACs", said.macs.as_deref(), MACS, |name| {
        mac::Name::try_from(name).ok().filter(|_| name != "none")
    })?;
    let (keys, mut certificates) = host_keys(said.host_keys.as_deref())?;
    // Without an authority to check it, a certificate is only a longer way to show a key.
    if !known.has_authority() && !keys.is_empty() {
        certificates.clear();
    }
    Ok(Preferred {
        kex: Cow::Owned(exchanges),
        key: Cow::Owned(known_first(keys, known)),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: match config.compression {
            // Only the kind that starts after authentication.
            true => Cow::Borrowed(&[compression::ZLIB_LEGACY, compression::NONE]),
            false => Cow::Borrowed(&[compression::NONE]),
        },
    })
}

/// The kinds of host keys, and of keys with a certificate, of a `HostKeyAlgorithms`.
fn host_keys(list: Option<&str>) -> Result<(Vec<Algorithm>, Vec<Algorithm>), ConfigError> {
    let suffix = "-cert-v01@openssh.com";
    let certified: Vec<String> = KEYS.iter().map(|name| format!("{name}{suffix}")).collect();
    let ours: Vec<&str> = certified
        .iter()
        .map(String::as_str)
        .chain(KEYS.iter().copied())
        .collect();
    let chosen = chosen("HostKeyAlgorithms", list, &ours, |name| {
        let Some(plain) = name.strip_suffix(suffix) else {
            return Some((false, algorithm(name)?));
        };
        // The names of keys on devices end like those of certificates.
        let on_device = || algorithm(&format!("{plain}@openssh.com"));
        Some((true, algorithm(plain).or_else(on_device)?))
    })?;
    let (certificates, keys): (Vec<_>, Vec<_>) = chosen
        .into_iter()
        .partition(|(is_certificate, _)| *is_certificate);
    let kinds = |list: Vec<(bool, Algorithm)>| list.into_iter().map(|(_, kind)| kind).collect();
    Ok((kinds(keys), kinds(certificates)))
}

/// The kinds of the user's keys that may be offered.
pub(crate) fn user_keys(config: &HostConfig) -> Result<Vec<Algorithm>, ConfigError> {
    let said = config.algorithms.public_keys.as_deref();
    chosen("PubkeyAcceptedAlgorithms", said, &signatures(), algorithm)
}

/// The kinds of signatures of those who vouch for a host.
pub(crate) fn authorities(config: &HostConfig) -> Result<Vec<Algorithm>, ConfigError> {
    let said = config.algorithms.authorities.as_deref();
    chosen("CASignatureAlgorithms", said, &signatures(), algorithm)
}

/// Those of keys, also of keys that never leave a device.
fn signatures() -> Vec<&'static str> {
    let devices = [
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    KEYS.iter().copied().chain(devices).collect()
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "ssh-ed25519" => Algorithm::Ed25519,
        "ecdsa-sha2-nistp256" => Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        "ecdsa-sha2-nistp384" => Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP384,
        },
        "ecdsa-sha2-nistp521" => Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP521,
        },
        "rsa-sha2-512" => Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        "rsa-sha2-256" => Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
        "sk-ssh-ed25519@openssh.com" => Algorithm::SkEd25519,
        "sk-ecdsa-sha2-nistp256@openssh.com" => Algorithm::SkEcdsaSha2NistP256,
        // `ssh-rsa`, with SHA-1, is not among them.
        _ => return None,
    })
}

/// Puts first what a server could sign with that has one of the known keys: a server with several
/// would otherwise seem to have changed its key.
fn known_first(mut keys: Vec<Algorithm>, known: &KnownHost) -> Vec<Algorithm> {
    let types = known.key_types();
    keys.sort_by_key(|key| {
        let key_type = match key {
            Algorithm::Rsa { .. } => "ssh-rsa",
            other => other.as_str(),
        };
        !types.contains(&key_type)
    });
    keys
}

/// The algorithms of a list as a configuration has it: in place of ours, or added, removed or put
/// first with `+`, `-` or `^`. Those that this client does not know are never used, which is all
/// that such a list can promise; one that leaves nothing is an error.
fn chosen<T>(
    directive: &'static str,
    said: Option<&str>,
    ours: &[&str],
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ConfigError> {
    let Some(said) = said else {
        return Ok(ours.iter().filter_map(|name| read(name)).collect());
    };
    let (sign, list) = match said.chars().next() {
        Some(sign @ ('+' | '-' | '^')) => (sign, &said[1..]),
        _ => ('=', said),
    };
    let listed = || list.split(',').filter(|name| !name.is_empty());
    let names: Vec<&str> = match sign {
        '+' => ours.iter().copied().chain(listed()).collect(),
        '^' => listed().chain(ours.iter().copied()).collect(),
        '-' => {
            let stays = |name: &&str| !listed().any(|pattern| matches(name, pattern));
            ours.iter().copied().filter(stays).collect()
        }
        _ => listed().collect(),
    };
    let mut seen = Vec::new();
    let mut chosen = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
            chosen.extend(read(name));
        }
    }
    match chosen.is_empty() {
        false => Ok(chosen),
        true => Err(ConfigError::Algorithms {
            directive,
            value: said.to_owned(),
        }),
    }
}

/// Whether the processor has instructions for AES in counter mode with authentication.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, chosen, host_keys};

    #[test]
    fn m12_certificates_of_hosts_are_chosen_by_their_own_names() {
        let count = |list| {
            let (keys, certificates) = host_keys(list).unwrap();
            (keys.len(), certificates.len())
        };
        assert_eq!(count(None), (6, 6));
        assert_eq!(count(Some("ssh-ed25519")), (1, 0));
        assert_eq!(count(Some("-*-cert-*")), (6, 0));
        assert_eq!(count(Some("+ssh-ed25519")), (6, 6));
        let only = host_keys(Some("ssh-ed25519-cert-v01@openssh.com")).unwrap();
        assert_eq!(only, (vec![], vec![Algorithm::Ed25519]));
        let device = "sk-ssh-ed25519-cert-v01@openssh.com";
        assert_eq!(host_keys(Some(device)).unwrap().1, [Algorithm::SkEd25519]);
        assert!(host_keys(Some("no-such-cert-v01@openssh.com")).is_err());
    }

    #[test]
    fn b001_lists_of_algorithms() {
        let read = |name: &str| (!name.starts_with('?')).then(|| name.to_owned());
        let check = |said: Option<&str>, want: Option<&str>| {
            let got = chosen("X", said, &["a1", "a2", "b"], read);
            assert_eq!(
                got.ok().map(|list| list.join(",")).as_deref(),
                want,
                "{said:?}"
            );
        };
        check(None, Some("a1,a2,b"));
        check(Some("b,?x,a1"), Some("b,a1"));
        check(Some("+c,a1"), Some("a1,a2,b,c"));
        check(Some("^b"), Some("b,a1,a2"));
        check(Some("-a*"), Some("b"));
        check(Some("-*"), None);
        check(Some("?x"), None);
    }
}
