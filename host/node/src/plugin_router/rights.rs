//! Which contexts an instance that was granted the router may act on, and send to.
//!
//! What it asks for is done with the authority of its context, which all contexts below obey. They
//! belong to whoever made them, though, and only those that plugins of this context made are a
//! plugin's own.

use offshoot_abi::router::{Request, RequestError};
use offshoot_proto::ContextId;

use crate::driver::Driver;

/// Checks that the request acts only on contexts that plugins of this context made.
pub(super) fn check(driver: &Driver, request: &Request) -> Result<(), RequestError> {
    let Some(id) = acted_on(request) else {
        return Ok(());
    };
    let may_act = {
        let node = &driver.lock().node;
        // What makes no sense in the instance's own context is refused with a better reason later.
        id == node.id() || node.makes(id)
    };
    if may_act {
        return Ok(());
    }
    Err(RequestError::Usage(format!(
        "plugins of this context did not make {}: a plugin acts only on contexts that they made",
        driver.name(id)
    )))
}

/// Checks that an instance may send to every handle of programs in a context: not in one below
/// that somebody else made.
pub(super) fn may_send(driver: &Driver, id: ContextId) -> Result<(), RequestError> {
    let may_send = {
        let node = &driver.lock().node;
        node.parent_of(id).is_none() || node.makes(id)
    };
    if may_send {
        return Ok(());
    }
    Err(RequestError::Usage(format!(
        "plugins of this context did not make {}: a plugin sends there only by a sender that it \
         was handed",
        driver.name(id)
    )))
}

/// The context that a request gives an order to.
fn acted_on(request: &Request) -> Option<ContextId> {
    match request {
        Request::Connect(connect) => connect.via.map(ContextId),
        Request::Call(call) => Some(ContextId(call.context)),
        Request::Shutdown { context, .. } | Request::ResetChain { context, .. } => {
            Some(ContextId(*context))
        }
        // These reach handles of programs, or what the instance has open here.
        Request::Listen(_)
        | Request::Receive(_)
        | Request::Waiting { .. }
        | Request::Post { .. }
        | Request::SendDead { .. }
        | Request::Close { .. } => None,
    }
}
