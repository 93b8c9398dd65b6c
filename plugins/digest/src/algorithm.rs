//! The hash functions, behind one face.

use offshoot_guest::data;
use sha2::Digest;
use xxhash_rust::xxh3::Xxh3Default;

/// A hash function.
#[data]
#[serde(rename_all = "lowercase")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// BLAKE3: cryptographic and the fastest of these that is. The one to take.
    Blake3,
    /// SHA-256: to compare with lists that others made.
    Sha256,
    /// SHA-512: the same, and faster in a plugin than SHA-256.
    Sha512,
    /// XXH3, 64 bits: finds accidents, not attackers. As fast as memory.
    Xxh3,
}

/// A hash function at work. One serves many files in turn.
pub(crate) enum Hasher {
    Blake3(Box<blake3::Hasher>),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Xxh3(Box<Xxh3Default>),
}

impl Hasher {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
            Algorithm::Xxh3 => Self::Xxh3(Box::default()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Xxh3(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all since the last call of this function, in hexadecimal.
    pub(crate) fn finish(&mut self) -> String {
        match self {
            Self::Blake3(hasher) => {
                let digest = hasher.finalize();
                hasher.reset();
                hex(digest.as_bytes())
            }
            Self::Sha256(hasher) => hex(&hasher.finalize_reset()),
            Self::Sha512(hasher) => hex(&hasher.finalize_reset()),
            Self::Xxh3(hasher) => {
                let digest = hasher.digest();
                hasher.reset();
                hex(&digest.to_be_bytes())
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published test vectors for the empty input and for `abc`.
    const VECTORS: [(Algorithm, &str, &str); 4] = [
        (
            Algorithm::Blake3,
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
        (
            Algorithm::Sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            Algorithm::Sha512,
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (Algorithm::Xxh3, "2d06800538d394c2", "78af5f94892f3950"),
    ];

    #[test]
    fn published_vectors_and_reuse() {
        for (algorithm, empty, abc) in VECTORS {
            let mut hasher = Hasher::new(algorithm);
            assert_eq!(hasher.finish(), empty, "{algorithm:?}");
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), abc, "{algorithm:?}");
            assert_eq!(hasher.finish(), empty, "{algorithm:?} starts afresh");
        }
    }
}
