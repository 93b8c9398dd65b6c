//! The `offshoot` command; everything is in [`offshoot::cli`].

fn main() -> std::process::ExitCode {
    offshoot::cli::main()
}
