//! What a router and its contexts share.

use std::sync::Arc;

use offshoot_node::driver::Driver;

use crate::blocking::Broker;
use crate::plugin::Registry;

/// What a router and its contexts share.
pub(crate) struct Tree {
    pub(crate) driver: Arc<Driver>,
    pub(crate) plugins: Registry,
    /// Where the driver's tasks run, if not in the program's own runtime. Dropped after the driver.
    pub(crate) _broker: Option<Broker>,
}
