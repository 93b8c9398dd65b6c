//! What can go wrong before a plugin's first call.

use offshoot_abi::{Grant, ManifestError};

use super::image::ImageHash;

/// The engine could not be made: no plugin can run in this process.
#[derive(Debug, thiserror::Error)]
#[error("the wasm engine cannot start: {0}")]
pub struct EngineError(pub(super) String);

/// An image that cannot be made ready to run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not those that were promised.
    #[error("the image's hash is {found}, not {expected}: it was damaged or replaced on its way")]
    HashMismatch {
        /// What the bytes hash to.
        found: ImageHash,
        /// What was promised.
        expected: ImageHash,
    },
    /// The bytes are no image.
    #[error("not a plugin image: {0}")]
    NotAnImage(&'static str),
    /// The image is for another machine, engine or layout.
    #[error("the image was compiled for `{image}`, this process runs `{ours}`: compile it again")]
    OtherTarget {
        /// What it was compiled for.
        image: String,
        /// What runs here.
        ours: String,
    },
    /// The engine refused the native code.
    #[error("the engine refuses the image: {0}")]
    Refused(String),
    /// The manifest inside the image is not sound.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The plugin imports what this host does not have.
    #[error(
        "the plugin imports `{module}::{name}`, which this host does not offer: build it for \
         `wasm32-wasip1` with this version's `offshoot-guest`"
    )]
    UnknownImport {
        /// Module of the import.
        module: String,
        /// Name of the import.
        name: String,
    },
    /// An export that the contract asks for is missing or of another type.
    #[error("the plugin does not export `{name}` as {expected}: build it with `offshoot-guest`")]
    BadExport {
        /// The export.
        name: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A granted directory cannot be opened.
    #[error("cannot grant `{grant}`: {reason}")]
    Grant {
        /// The grant.
        grant: Grant,
        /// Why not.
        reason: String,
    },
}
