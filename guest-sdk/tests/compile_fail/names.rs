use offshoot_guest::{function, functions};

#[function]
fn free() {}

mod disk {
    use offshoot_guest::function;

    #[function]
    fn free() {}
}

#[function(name = "free")]
fn available() {}

#[function(name = "no spaces")]
fn spaced() {}

#[function(name = "")]
fn empty() {}

#[function(parallel)]
fn unknown() {}

#[function(concurrent, concurrent)]
fn twice() {}

#[function("concurrent")]
fn quoted() {}

struct Disk;

#[functions(concurrent)]
impl Disk {
    #[function]
    fn used() {}
}

fn main() {}
