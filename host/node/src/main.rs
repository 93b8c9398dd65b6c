//! The program that runs on other machines: one context of a tree.

fn main() -> std::process::ExitCode {
    offshoot_node::serve::main()
}
