//! The program that runs on other machines. See [`offshoot::child`].

fn main() -> std::process::ExitCode {
    offshoot::child::main()
}
