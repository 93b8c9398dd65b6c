//! Keeps plugin images by content hash and relays them down the tree.
//!
//! An image travels from neighbour to neighbour: each hop keeps the one copy that it received
//! and makes all further ones from it. Behind a hop that has the image already, only the word to
//! pass it on travels. The child checks the hash before it runs a byte.

use bytes::{BufMut, Bytes, BytesMut};

use crate::control::ImageHash;
use crate::id::ContextId;
use crate::limits::DEPOT_BYTES_MAX;
use crate::{Map, Set};

#[derive(Debug, Default)]
pub(crate) struct Depot {
    images: Map<ImageHash, Bytes>,
    bytes: usize,
    /// Images that were announced to us and that we will not get.
    missing: Set<ImageHash>,
    /// Images whose arrival the driver wants to hear of.
    awaited: Set<ImageHash>,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageState {
    /// Here.
    Here(Bytes),
    /// It was announced, and will not come.
    Missing,
    /// It has not come yet.
    OnItsWay,
}

impl Depot {
    /// Keeps an image; says whether there was room.
    pub(crate) fn insert(&mut self, hash: ImageHash, image: Bytes) -> bool {
        if self.images.contains_key(&hash) {
            return true;
        }
        if self.bytes + image.len() > DEPOT_BYTES_MAX {
            return false;
        }
        self.missing.remove(&hash);
        self.bytes += image.len();
        self.images.insert(hash, image);
        true
    }

    /// Drops an image that proved not to be what its hash says.
    pub(crate) fn remove(&mut self, hash: &ImageHash) {
        if let Some(image) = self.images.remove(hash) {
            self.bytes -= image.len();
        }
    }

    pub(crate) fn get(&self, hash: &ImageHash) -> Option<&Bytes> {
        self.images.get(hash)
    }

    /// Where an image is. If it has not come yet, its arrival is to be told.
    pub(crate) fn expect(&mut self, hash: &ImageHash) -> ImageState {
        if let Some(image) = self.images.get(hash) {
            return ImageState::Here(image.clone());
        }
        if self.missing.contains(hash) {
            return ImageState::Missing;
        }
        self.awaited.insert(*hash);
        ImageState::OnItsWay
    }

    /// Whether somebody wants to hear that it has come, or will not.
    pub(crate) fn was_awaited(&mut self, hash: &ImageHash) -> bool {
        self.awaited.remove(hash)
    }

    pub(crate) fn remove_waiting(&mut self, hash: ImageHash) {
        self.missing.insert(hash);
    }

    pub(crate) fn is_missing(&self, hash: &ImageHash) -> bool {
        self.missing.contains(hash)
    }
}

/// Body of a `LOAD_IMAGE` message: an image that goes to `toward`, or just the word to pass on
/// the copy that the receiver has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) hash: ImageHash,
    pub(crate) toward: ContextId,
    /// Empty when the receiver has it.
    pub(crate) image: Bytes,
}

const FIXED_LEN: usize = 32 + 4;

impl Delivery {
    /// Bytes of a body that carries `image`.
    pub(crate) fn len_with(image: &Bytes) -> usize {
        FIXED_LEN + image.len()
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(FIXED_LEN + self.image.len());
        out.put_slice(&self.hash);
        out.put_u32_le(self.toward.0);
        out.put_slice(&self.image);
        out.freeze()
    }

    pub(crate) fn parse(bytes: &Bytes) -> Option<Self> {
        let (hash, rest) = bytes.split_first_chunk::<32>()?;
        let (toward, _) = rest.split_first_chunk::<4>()?;
        Some(Self {
            hash: *hash,
            toward: ContextId(u32::from_le_bytes(*toward)),
            image: bytes.slice(FIXED_LEN..),
        })
    }
}
