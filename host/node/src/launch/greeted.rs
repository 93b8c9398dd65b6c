//! A child on the border between launch and the tree.

use std::io::PipeReader;

use offshoot_proto::control::Hello;

use super::login::Terminal;
use crate::transport::LinkParts;

/// A child that said hello and does not know yet who it is.
pub(super) struct HandshakenChild {
    pub hello: Hello,
    pub parts: LinkParts,
    /// What it sent behind its hello.
    pub rest: Vec<u8>,
    /// Its standard error.
    pub errors: PipeReader,
    /// The terminal of the tool that leads to it.
    pub terminal: Option<Terminal>,
    /// The program, for messages.
    pub program: String,
}
