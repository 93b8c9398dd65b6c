//! What tells one connection from all others.

use offshoot_proto::handshake::NONCE_LEN;

use super::error::ConnectError;

/// Hexadecimal digits that no other connection has.
pub(super) fn random() -> Result<String, ConnectError> {
    let mut bytes = [0; NONCE_LEN / 2];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        let got = rustix::rand::getrandom(&mut bytes[filled..], flags);
        filled += got.map_err(|error| ConnectError::Start {
            program: "the child".to_owned(),
            source: error.into(),
        })?;
    }
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
