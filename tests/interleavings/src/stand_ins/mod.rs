//! What the files under test name of the rest of the library, as far as they use it.

pub mod error;
pub mod messages;

/// Contexts, of which there are none here.
pub mod context {
    #[derive(Debug)]
    pub struct Context;
}
