//! The `offshoot` command, for tests that attack it.

fn main() -> std::process::ExitCode {
    offshoot_cli::main()
}
