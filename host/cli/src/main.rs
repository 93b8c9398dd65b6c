//! The `offshoot` command; everything is in the library of this crate.

fn main() -> std::process::ExitCode {
    offshoot_cli::main()
}
