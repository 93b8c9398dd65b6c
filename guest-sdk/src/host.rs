//! Who and where the running context is.

use offshoot_abi::HostInfo;

use crate::imports;

/// The context that a function runs in.
///
/// A function that takes a leading `&Host` gets it from the runtime. A unit test makes one with
/// [`Host::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(HostInfo);

impl Host {
    /// A stand-in for unit tests; a running plugin is given the real one.
    pub fn new(context_id: u32, parent_ids: impl Into<Vec<u32>>, name: impl Into<String>) -> Self {
        Self(HostInfo {
            context_id,
            parent_ids: parent_ids.into(),
            name: name.into(),
        })
    }

    /// This context's id; 0 is the controller.
    pub fn context_id(&self) -> u32 {
        self.0.context_id
    }

    /// Id of the parent; the controller has none.
    pub fn parent_id(&self) -> Option<u32> {
        self.0.parent_ids.first().copied()
    }

    /// Ids from the nearest parent to the controller; empty in the controller.
    pub fn parent_ids(&self) -> &[u32] {
        &self.0.parent_ids
    }

    /// This context's name, such as `local.4711`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether this is the process that the user started.
    pub fn is_controller(&self) -> bool {
        self.0.context_id == 0
    }
}

/// The running context, as the runtime hands it to functions.
pub fn current() -> Host {
    Host(imports::host_info())
}

/// Id of the running context; 0 is the controller.
pub fn context_id() -> u32 {
    current().context_id()
}

/// Id of the running context's parent; the controller has none.
pub fn parent_id() -> Option<u32> {
    current().parent_id()
}

/// Ids from the running context's nearest parent to the controller.
pub fn parent_ids() -> Vec<u32> {
    current().0.parent_ids
}

/// Whether the running context is the process that the user started.
pub fn is_controller() -> bool {
    current().is_controller()
}
