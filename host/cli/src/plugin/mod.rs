//! `offshoot plugin`: from nothing to a module, and what is in one.

mod build;
mod inspect;
mod new;

use std::process::ExitCode;

use super::args::PluginCommand;
use super::report::Diagnostic;

pub(super) fn run(command: &PluginCommand) -> Result<ExitCode, Diagnostic> {
    match command {
        PluginCommand::New(args) => new::run(args),
        PluginCommand::Build(args) => build::run(args),
        PluginCommand::Inspect(args) => inspect::run(args),
    }
}

/// A size as people read it.
fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} KB", bytes.div_ceil(1_000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
