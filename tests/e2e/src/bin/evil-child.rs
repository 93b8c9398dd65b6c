//! The program that tests start in a child's place.

fn main() {
    e2e::evil::main();
}
