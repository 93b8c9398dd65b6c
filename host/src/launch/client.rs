//! Brings an ssh client to a machine that has none: this program carries one, as it carries its
//! child (`docs/design/0010-a-client-for-machines-without-one.md`).

use std::sync::Arc;

use bytes::Bytes;
use offshoot_proto::ContextId;
use offshoot_proto::control::{ImageHash, Method};

use super::connect::{ConnectError, Wanted};
use super::error::StreamError;
use crate::hub::Hub;

/// The client that was embedded when this program was built, gzipped, if one was.
#[cfg(feature = "controller")]
const EMBEDDED: &[u8] = include_bytes!(env!("OFFSHOOT_EMBEDDED_CLIENT_GZIP"));
#[cfg(not(feature = "controller"))]
const EMBEDDED: &[u8] = &[];

/// The same once more, for the case that there is no client there; nothing where no other one
/// would do.
pub(super) fn spare(via: ContextId, wanted: &Wanted<Method>) -> Option<Wanted<Method>> {
    let Method::Ssh(ssh) = &wanted.spec else {
        return None;
    };
    // What only a program has is asked of a program.
    let plain = ssh.ssh_path.is_none() && ssh.ssh_args.is_empty() && ssh.debug_level == 0;
    (plain && !EMBEDDED.is_empty()).then(|| Wanted {
        via: Some(via),
        name: wanted.name.clone(),
        log_level: wanted.log_level,
        traces: wanted.traces,
        timeout: wanted.timeout,
        spec: wanted.spec.clone(),
    })
}

/// Whether a context failed because there is no client on its machine.
pub(super) fn is_missing(error: &ConnectError) -> bool {
    let ConnectError::Stream(StreamError::Via { error, .. }) = error else {
        return false;
    };
    matches!(&**error, StreamError::ToolMissing { tool, .. } if tool == "ssh")
}

/// Sends ours there, and asks for it; says whether it can be.
pub(super) fn send(hub: &Arc<Hub>, wanted: &mut Wanted<Method>) -> bool {
    let (Some(via), Method::Ssh(ssh)) = (wanted.via, &mut wanted.spec) else {
        return false;
    };
    let image = Bytes::from_static(EMBEDDED);
    let hash: ImageHash = *blake3::hash(&image).as_bytes();
    let sent = hub.drive(|state, _| {
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
