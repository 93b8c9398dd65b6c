//! Everything a developer of this project types, in one place: `cargo xtask COMMAND`.
//!
//! CI types the same words, so what passes here passes there. Each command checks before it
//! acts, and one that fails says which command to run by hand.

mod artifacts;
mod bench;
mod child;
mod ci;
mod command;
mod demo;
mod lint;
mod machines;
mod python;
mod setup;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Sets up, shows, tests and measures Offshoot.

Usage: cargo xtask COMMAND [OPTIONS]

  setup    make this machine ready: a guest target for plugins, a C compiler
  demo     build everything, start eight children, run two plugins in them
  machines hold machines with sshd and sudo, to try things on by hand
  test     run all tests
  lint     formatting, clippy, rustdoc, licences, and the rules of `tidy`
  tidy     the project's own rules: crate edges, file sizes, unsafe, documents
  sim      run many simulated trees, each from a seed that replays it
  bench    measure beside Mitogen and beside the machine's own limit
  child    build the child for another kind of machine, such as aarch64
  ci       what .ci/run does: setup, lint, test

`cargo xtask COMMAND --help` says what a command does and what it accepts.";

type Run = fn(&[String]) -> Result<()>;

const COMMANDS: &[(&str, &str, Run)] = &[
    ("setup", setup::HELP, setup::main),
    ("demo", demo::HELP, demo::main),
    ("machines", machines::HELP, machines::main),
    ("test", test::HELP, test::main),
    ("lint", lint::HELP, lint::main),
    ("tidy", tidy::HELP, tidy::main),
    ("sim", sim::HELP, sim::main),
    ("bench", bench::HELP, bench::main),
    ("child", child::HELP, child::main),
    ("ci", ci::HELP, ci::main),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<()> {
    let wants_help = |word: &String| word == "--help" || word == "-h";
    let Some((name, rest)) = arguments.split_first() else {
        println!("{HELP}");
        return Ok(());
    };
    if wants_help(name) || name == "help" {
        println!("{HELP}");
        return Ok(());
    }
    let Some((_, help, run)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        bail!("no command `{name}`; `cargo xtask --help` lists them");
    };
    if rest.iter().any(wants_help) {
        println!("{help}");
        return Ok(());
    }
    run(rest)
}
