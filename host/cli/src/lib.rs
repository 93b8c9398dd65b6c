//! The `offshoot` command.
//!
//! Everything here turns words into the library's types and back. An error becomes text in one
//! place only, `report.rs`: what is wrong, and what to do about it.

mod args;
mod call;
mod doctor;
mod failure;
mod finder;
mod grants;
mod interrupt;
mod inventory;
mod logging;
mod output;
mod passwords;
mod plan;
mod plugin;
mod printable;
mod progress;
mod reach;
mod report;
mod runner;
mod screen;
mod summary;
mod target;
mod targets;
mod types;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbosity = cli.verbosity();
    logging::start(verbosity);
    let done = match cli.command {
        Command::Call(call) => call::run(&call, verbosity),
        Command::Doctor(doctor) => doctor::run(&doctor),
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
