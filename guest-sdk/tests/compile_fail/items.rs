use offshoot_guest::{data, function, functions};

#[function]
struct Disk;

#[function]
impl Disk {
    fn free() {}
}

#[function]
const ZERO: u32 = 0;

trait Sized {
    #[function]
    fn size() -> u64;
}

#[functions]
struct Memory;

#[functions]
impl Memory {
    fn nothing_is_marked() {}
}

#[functions]
impl Clone for Memory {
    #[function]
    fn clone(&self) -> Self {
        Memory
    }
}

struct Wrapper<T>(T);

#[functions]
impl<T> Wrapper<T> {
    #[function]
    fn size() -> u64 {
        0
    }
}

#[data]
fn not_data() {}

fn main() {}
