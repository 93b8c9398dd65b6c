//! What the tools say that let one in: `ssh`, `sudo`, `su` and `doas`.
//!
//! Each asks for a password in its own way and has its own words for a refusal. [`Prompt`] knows
//! when a password is asked for, and [`classify`] knows what the words mean. Neither looks at what
//! the far end prints on its standard output: only what the tool itself says counts.

mod error;
mod prompt;
mod words;

pub use error::{AccessError, HostKeyError, LoginError, NetworkError, PasswordError, ToolOutput};
pub use prompt::{Asked, Prompt};
pub use words::{Question, Tool, classify, classify_question, wants_terminal};
