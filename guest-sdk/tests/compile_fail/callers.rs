use offshoot_guest::{Function, function};

#[function]
fn free(path: String, unit: u32) -> Result<u64, String> {
    Ok(path.len() as u64 / u64::from(unit))
}

/// Calls as a context does.
fn call<F: Function>(arguments: F::Arguments) -> F::Output {
    unimplemented!("with {} bytes", size_of_val(&arguments))
}

fn main() {
    let right: u64 = call::<free>(("/".to_owned(), 1));
    call::<free>(("/".to_owned(), "1"));
    call::<free>("/".to_owned());
    let wrong: String = call::<free>(("/".to_owned(), 1));
}
