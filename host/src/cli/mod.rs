//! The `offshoot` command.
//!
//! Everything here turns words into the library's types and back. An error becomes text in one
//! place only, `report.rs`: what is wrong, and what to do about it.

mod args;
mod call;
mod failure;
mod finder;
mod fleet;
mod grants;
mod interrupt;
mod logging;
mod output;
mod passwords;
mod plan;
mod plugin;
mod report;
mod target;
mod types;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use failure::Detail;

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbosity());
    let detail = match cli.verbosity() {
        1.. => Detail::Full,
        _ => Detail::Brief,
    };
    let done = match cli.command {
        Command::Call(call) => call::run(&call, detail),
        Command::Plugin(command) => plugin::run(&command),
    };
    match done {
        Ok(code) => code,
        Err(problem) => {
            report::print(&problem);
            problem.status().into()
        }
    }
}
