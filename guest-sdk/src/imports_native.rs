//! Stands in for the host where a plugin's crate is compiled natively: for its unit tests and its
//! typed callers.

use offshoot_abi::HostInfo;

/// Natively, errors have no guest stack behind them.
pub(crate) fn backtrace() -> Vec<String> {
    Vec::new()
}

/// A process that runs a plugin's functions directly is its own controller.
pub(crate) fn host_info() -> HostInfo {
    HostInfo {
        context_id: 0,
        parent_ids: Vec::new(),
        name: "controller".to_owned(),
    }
}

// This crate's own tests have a small one.
#[cfg(test)]
pub(crate) use crate::router::tests::host::{exchange, send};

#[cfg(not(test))]
pub(crate) use outside::{exchange, send};

/// There is no router behind a plugin's unit tests.
#[cfg(not(test))]
mod outside {
    use offshoot_abi::router::{Request, RequestError, Response};

    pub(crate) fn exchange(_: &Request) -> Result<Response, RequestError> {
        Err(failure())
    }

    pub(crate) fn send(_: u32, _: u64, _: &[u8]) -> Result<(), RequestError> {
        Err(failure())
    }

    fn failure() -> RequestError {
        RequestError::Usage(
            "there is no router here: the function runs outside of any context, as in a unit test"
                .to_owned(),
        )
    }
}
