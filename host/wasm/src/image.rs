//! The image of a plugin: native code with the manifest and the target in front.
//!
//! The engine keeps no custom sections in native code, so the manifest travels beside it; the
//! child then checks names, signatures and concurrency by itself.
//!
//! ```text
//! magic | target length: u32 | manifest length: u32 | target | manifest | native code
//! ```

use std::fmt;

use wasmtime::{Engine, Module};

use super::error::LoadError;
use super::target::Target;

const MAGIC: &[u8; 8] = b"OFFSHIM1";
#[cfg(feature = "compiler")]
const HEADER: usize = MAGIC.len() + 2 * size_of::<u32>();

/// Name of an image: BLAKE3 of all its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageHash(pub [u8; 32]);

impl ImageHash {
    /// The name of these bytes.
    pub fn of(image: &[u8]) -> Self {
        Self(*blake3::hash(image).as_bytes())
    }
}

impl fmt::Display for ImageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ImageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageHash({self})")
    }
}

/// An image split into its parts; nothing in it is believed yet.
pub(super) struct Parts<'a> {
    pub(super) target: &'a str,
    pub(super) manifest: &'a [u8],
    pub(super) code: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(super) fn split(image: &'a [u8]) -> Result<Self, LoadError> {
        let short = || LoadError::NotAnImage("it ends too early");
        let rest = image
            .strip_prefix(MAGIC)
            .ok_or(LoadError::NotAnImage("it does not start like one"))?;
        let (target_len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (manifest_len, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (target, rest) = rest
            .split_at_checked(u32::from_le_bytes(*target_len) as usize)
            .ok_or_else(short)?;
        let (manifest, code) = rest
            .split_at_checked(u32::from_le_bytes(*manifest_len) as usize)
            .ok_or_else(short)?;
        let target = std::str::from_utf8(target)
            .map_err(|_| LoadError::NotAnImage("its target is not text"))?;
        Ok(Self {
            target,
            manifest,
            code,
        })
    }

    #[cfg(feature = "compiler")]
    pub(super) fn join(&self) -> Vec<u8> {
        let length = |part: &[u8]| {
            let length = u32::try_from(part.len()).expect("targets and manifests are bounded");
            length.to_le_bytes()
        };
        let mut image =
            Vec::with_capacity(HEADER + self.target.len() + self.manifest.len() + self.code.len());
        image.extend_from_slice(MAGIC);
        image.extend_from_slice(&length(self.target.as_bytes()));
        image.extend_from_slice(&length(self.manifest));
        image.extend_from_slice(self.target.as_bytes());
        image.extend_from_slice(self.manifest);
        image.extend_from_slice(self.code);
        image
    }
}

/// Checks the image's name and target, and loads its code.
///
/// The caller answers for where the image came from: an ancestor, over the link. Native code can
/// do all that this process can.
pub(super) fn load<'a>(
    engine: &Engine,
    ours: &Target,
    image: &'a [u8],
    expected: &ImageHash,
) -> Result<(Module, &'a [u8]), LoadError> {
    let found = ImageHash::of(image);
    if found != *expected {
        return Err(LoadError::HashMismatch {
            found,
            expected: *expected,
        });
    }
    let parts = Parts::split(image)?;
    let ours = ours.to_string();
    if parts.target != ours {
        return Err(LoadError::OtherTarget {
            image: parts.target.chars().take(128).collect(),
            ours,
        });
    }
    // SAFETY: the bytes are those that an ancestor named by a collision-resistant hash, and an
    // ancestor may run any code here anyway: it started this process. They were written by
    // `compile` for this very target, and are copied before they are used, so that nobody can
    // change them afterwards.
    let module = unsafe { Module::deserialize(engine, parts.code) };
    let module = module.map_err(|error| LoadError::Refused(format!("{error:#}")))?;
    Ok((module, parts.manifest))
}
