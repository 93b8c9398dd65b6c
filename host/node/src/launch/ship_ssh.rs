//! Brings an ssh client to a machine that has none: this program carries one, as it carries its
//! child (`docs/design/0010-a-client-for-machines-without-one.md`).

use std::sync::Arc;

use bytes::Bytes;
use offshoot_proto::ContextId;
use offshoot_proto::control::{ImageHash, Method};

use super::embedded::embedded;
use super::error::ConnectError;
use super::request::{ConnectRequest, NewContextError};
use super::ssh::wants_program;
use crate::driver::Driver;

/// The client that this program carries, gzipped; empty for none.
fn carried() -> &'static [u8] {
    embedded().map_or(&[], |programs| programs.ssh_gzip)
}

/// The same once more, for the case that there is no client there; nothing where no other one
/// would do.
pub(super) fn spare(
    via: ContextId,
    wanted: &ConnectRequest<Method>,
) -> Option<ConnectRequest<Method>> {
    let Method::Ssh(ssh) = &wanted.spec else {
        return None;
    };
    (!wants_program(ssh) && !carried().is_empty()).then(|| ConnectRequest {
        via: Some(via),
        ..wanted.clone()
    })
}

/// Whether a context failed because there is no client on its machine.
pub(super) fn is_missing(error: &NewContextError) -> bool {
    let NewContextError::Connect(ConnectError::Via { error, .. }) = error else {
        return false;
    };
    matches!(&**error, ConnectError::ToolMissing { tool, .. } if tool == "ssh")
}

/// Sends ours there, and asks for it; says whether it can be.
pub(super) fn send(driver: &Arc<Driver>, wanted: &mut ConnectRequest<Method>) -> bool {
    let (Some(via), Method::Ssh(ssh)) = (wanted.via, &mut wanted.spec) else {
        return false;
    };
    let image = Bytes::from_static(carried());
    let hash: ImageHash = *blake3::hash(&image).as_bytes();
    let sent = driver.drive(|state, _| {
        state.node.provide_image(hash, &image)?;
        state.node.send_image(hash, via)
    });
    match sent {
        Ok(()) => {
            tracing::debug!(
                bytes = image.len(),
                "sends an ssh client, for there is none"
            );
            ssh.client = Some(hash);
            true
        }
        Err(error) => {
            tracing::debug!(%error, "cannot send an ssh client");
            false
        }
    }
}

/// Checks an image that an ancestor has named, and puts the program in it where it can run and
/// nobody can change it.
#[cfg(any(test, not(feature = "ssh")))]
pub(super) fn unpack(image: &Bytes, hash: ImageHash) -> std::io::Result<std::os::fd::OwnedFd> {
    use std::io::Read as _;

    /// Bytes of the program at most.
    const PROGRAM_MAX: u64 = 64 << 20;

    if *blake3::hash(image).as_bytes() != hash {
        return Err(std::io::Error::other("it changed on its way here"));
    }
    let mut program = Vec::new();
    let mut unpacked = flate2::read::GzDecoder::new(&image[..]).take(PROGRAM_MAX + 1);
    unpacked.read_to_end(&mut program)?;
    if program.len() as u64 > PROGRAM_MAX {
        return Err(std::io::Error::other("it is too large"));
    }
    super::binary::in_memory("offshoot-ssh", &program)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn packed(program: &[u8]) -> (Bytes, ImageHash) {
        let fast = flate2::Compression::fast();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
        encoder.write_all(program).unwrap();
        let image = Bytes::from(encoder.finish().unwrap());
        let hash = *blake3::hash(&image).as_bytes();
        (image, hash)
    }

    #[test]
    fn t17_a_client_is_what_its_hash_says_and_cannot_be_changed() {
        let (image, hash) = packed(b"a program");
        let mut file = std::fs::File::from(unpack(&image, hash).unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a program");
        assert!(file.write_all(b"x").is_err());
        let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
        assert!(seals.contains(rustix::fs::SealFlags::WRITE));

        let error = unpack(&image, [0; 32]).unwrap_err().to_string();
        assert!(error.contains("changed on its way"), "{error}");
        let noise = Bytes::from_static(b"noise");
        assert!(unpack(&noise, *blake3::hash(&noise).as_bytes()).is_err());
        let (bomb, hash) = packed(&vec![0; (64 << 20) + 1]);
        let error = unpack(&bomb, hash).unwrap_err().to_string();
        assert!(error.contains("too large"), "{error}");
    }
}
