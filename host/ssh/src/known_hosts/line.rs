//! One line of a `known_hosts` file.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

use crate::pattern::{Case, matches_list};

/// What a line says of the key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// It is the host's.
    Host,
    /// It signs certificates of the host's.
    Authority,
    /// Nobody is to believe it.
    Revoked,
}

/// A line with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) marker: Marker,
    hosts: &'a str,
    pub(crate) key_type: &'a str,
    /// The key as it goes over the wire.
    pub(crate) key: Vec<u8>,
}

impl<'a> Entry<'a> {
    /// Reads a line; nothing where it has no key that makes sense, which OpenSSH passes over.
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        let mut words = line
            .split([' ', '\t', '\r'])
            .filter(|word| !word.is_empty());
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, hosts) = match first {
            "@cert-authority" => (Marker::Authority, words.next()?),
            "@revoked" => (Marker::Revoked, words.next()?),
            marker if marker.starts_with('@') => return None,
            hosts => (Marker::Host, hosts),
        };
        let key_type = words.next()?;
        let key = BASE64.decode(words.next()?.as_bytes()).ok()?;
        // A key says itself of which type it is.
        let (length, rest) = key.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let inner = rest.get(..length)?;
        (inner == key_type.as_bytes()).then_some(())?;
        Some(Self {
            marker,
            hosts,
            key_type,
            key,
        })
    }

    /// Whether it is about a host.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        match self.hosts.strip_prefix("|1|") {
            Some(hashed) => is_hash_of(hashed, name),
            None => matches_list(name, self.hosts, Case::Lower),
        }
    }
}

fn is_hash_of(hashed: &str, name: &str) -> bool {
    let decoded = hashed.split_once('|').and_then(|(salt, hash)| {
        let salt = BASE64.decode(salt.as_bytes()).ok()?;
        Some((salt, BASE64.decode(hash.as_bytes()).ok()?))
    });
    decoded.is_some_and(|(salt, hash)| digest(&salt, name) == hash)
}

fn digest(salt: &[u8], name: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("a key of any length will do");
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Salt of a hashed name.
pub(crate) const SALT: usize = 20;

/// A name in a form that does not tell it.
pub(crate) fn hashed(name: &str, salt: &[u8; SALT]) -> String {
    let hash = BASE64.encode(&digest(salt, name));
    format!("|1|{}|{hash}", BASE64.encode(salt))
}

#[cfg(test)]
mod tests {
    use super::{Entry, Marker, hashed};

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIPM8Ywt2DyFZ7TFbTXVZeQXk3d7HhNy8T0GkCzw/2Nn5";

    #[test]
    fn t12_lines_that_say_nothing_are_passed_over() {
        for line in [
            "",
            "# a ssh-ed25519 AAAA",
            "a",
            "a ssh-ed25519",
            "a ssh-ed25519 !",
            "a ssh-ed25519 AAAA",
            "@unknown a ssh-ed25519 AAAA",
            "a 1024 35 1234567",
        ] {
            assert_eq!(Entry::read(line), None, "{line}");
        }
        let wrong_type = format!("a ssh-rsa {KEY}");
        assert_eq!(Entry::read(&wrong_type), None);
    }

    #[test]
    fn t12_markers_tabs_and_comments() {
        for (line, marker) in [
            (format!("a,b ssh-ed25519 {KEY} me@here"), Marker::Host),
            (format!("  a,b\tssh-ed25519\t{KEY}\r"), Marker::Host),
            (format!("@revoked a,b ssh-ed25519 {KEY}"), Marker::Revoked),
            (
                format!("@cert-authority\ta,b ssh-ed25519 {KEY}"),
                Marker::Authority,
            ),
        ] {
            let entry = Entry::read(&line).expect(&line);
            assert_eq!(entry.marker, marker);
            assert!(entry.is_for("b"));
            assert!(!entry.is_for("c"));
        }
    }

    #[test]
    fn t12_a_hashed_name_is_found_and_not_told() {
        let hidden = hashed("[web1]:2222", &[7; 20]);
        assert!(!hidden.contains("web1"));
        let line = format!("{hidden} ssh-ed25519 {KEY}");
        let entry = Entry::read(&line).unwrap();
        assert!(entry.is_for("[web1]:2222"));
        assert!(!entry.is_for("web1"));
    }
}
