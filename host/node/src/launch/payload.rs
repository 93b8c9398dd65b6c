//! The child as another machine or user gets it: its bytes, and what a command promises of them.
//!
//! `platform.rs` says which kinds of machines there are, and where their children come from.

use std::ffi::OsString;
use std::io::Read as _;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use offshoot_proto::bootstrap::{Encoding, Platform};
use sha2::{Digest, Sha256};

use super::binary::ChildBinary;
use super::embedded::embedded;
use super::error::ConnectError;
use super::platform::Kind;

/// Bytes of a child at most: a slip should not fill another machine's disk.
const CHILD_MAX: u64 = 256 << 20;

/// A child for one kind of machine.
pub(super) struct Payload {
    kind: Kind,
    source: Source,
    size: u64,
    sha256: [u8; 32],
    /// Made when it is first wanted, and kept: it takes longer than a connection.
    gzip: OnceLock<Bytes>,
}

enum Source {
    Embedded(&'static [u8]),
    /// Only as it travels.
    Packed(&'static [u8]),
    File(PathBuf),
}

impl Payload {
    /// The child that this context would start itself. With `gzip`, its compressed form is made
    /// ready, too.
    pub(super) async fn own(gzip: bool) -> Result<Arc<Self>, ConnectError> {
        static KEPT: Mutex<Option<(OsString, Arc<Payload>)>> = Mutex::new(None);
        let binary = ChildBinary::find(None)?;
        let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept()
            .as_ref()
            .and_then(|(path, payload)| (*path == binary.path).then(|| payload.clone()));
        if let Some(payload) = known
            && (!gzip || payload.gzip.get().is_some())
        {
            return Ok(payload);
        }
        let name = binary.name();
        let work = move || -> std::io::Result<Arc<Self>> {
            let payload = match &*kept() {
                Some((path, payload)) if *path == binary.path => payload.clone(),
                _ => Arc::new(Self::of(&binary)?),
            };
            if gzip {
                payload.compress()?;
            }
            *kept() = Some((binary.path, payload.clone()));
            Ok(payload)
        };
        // Reading, hashing and packing some megabytes must not hold up the links.
        let made = tokio::task::spawn_blocking(work).await;
        let made = made.map_err(|_| ConnectError::Stopped)?;
        made.map_err(|source| ConnectError::Start {
            program: name,
            source,
        })
    }

    fn of(binary: &ChildBinary) -> std::io::Result<Self> {
        if let Some(programs) = embedded().filter(|_| binary.is_embedded()) {
            return Ok(Self {
                kind: Kind::OWN,
                source: Source::Embedded(programs.child),
                size: programs.child.len() as u64,
                sha256: *programs.child_sha256,
                gzip: OnceLock::from(Bytes::from_static(programs.child_gzip)),
            });
        }
        Self::from_file(Kind::OWN, binary.path.clone().into())
    }

    /// One that lies in a file.
    pub(super) fn from_file(kind: Kind, path: PathBuf) -> std::io::Result<Self> {
        let plain = read(&path)?;
        Ok(Self {
            kind,
            size: plain.len() as u64,
            sha256: Sha256::digest(&plain).into(),
            source: Source::File(path),
            gzip: OnceLock::new(),
        })
    }

    /// One that was packed when this program was built.
    pub(super) fn packed(kind: Kind, size: u64, sha256: [u8; 32], gzip: &'static [u8]) -> Self {
        Self {
            kind,
            source: Source::Packed(gzip),
            size,
            sha256,
            gzip: OnceLock::from(Bytes::from_static(gzip)),
        }
    }

    pub(super) fn compress(&self) -> std::io::Result<()> {
        if self.gzip.get().is_none() {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&self.plain()?)?;
            let _ = self.gzip.set(encoder.finish()?.into());
        }
        Ok(())
    }

    /// What a command says of it.
    pub(super) fn platform(&self, gzip: bool) -> Platform {
        let packed = self.gzip.get().filter(|_| gzip);
        Platform {
            uname: self.kind.unames(),
            sha256: self.sha256,
            size: self.size,
            gzip_size: packed.map(|packed| packed.len() as u64),
        }
    }

    /// The bytes to send.
    pub(super) fn encoded(&self, encoding: Encoding) -> std::io::Result<Bytes> {
        match (encoding, self.gzip.get()) {
            (Encoding::Gzip, Some(packed)) => Ok(packed.clone()),
            _ => self.plain(),
        }
    }

    fn plain(&self) -> std::io::Result<Bytes> {
        match &self.source {
            Source::Embedded(bytes) => Ok(Bytes::from_static(bytes)),
            Source::Packed(gzip) => {
                let mut plain = Vec::new();
                flate2::read::GzDecoder::new(*gzip).read_to_end(&mut plain)?;
                Ok(plain.into())
            }
            Source::File(path) => read(path),
        }
    }
}

fn read(path: &PathBuf) -> std::io::Result<Bytes> {
    let size = std::fs::metadata(path)?.len();
    if size > CHILD_MAX {
        return Err(std::io::Error::other(format!(
            "it has {size} bytes, which is too much for a child"
        )));
    }
    std::fs::read(path).map(Bytes::from)
}
