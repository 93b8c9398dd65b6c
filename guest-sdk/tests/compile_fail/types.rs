use offshoot_guest::function;

struct Foreign;

#[function]
fn argument(value: Foreign) {}

#[function]
fn result() -> Foreign {
    Foreign
}

#[function]
fn error() -> Result<u32, Foreign> {
    Ok(1)
}

fn main() {}
