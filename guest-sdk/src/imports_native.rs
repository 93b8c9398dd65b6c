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
