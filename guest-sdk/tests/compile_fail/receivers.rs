use offshoot_guest::{function, functions};

struct Disk {
    free: u64,
}

#[functions]
impl Disk {
    #[function]
    fn by_value(self) -> u64 {
        self.free
    }

    #[function]
    fn by_reference(&self, unit: &str) -> u64 {
        self.free + unit.len() as u64
    }

    #[function]
    fn by_mut(&mut self) {
        self.free = 0;
    }

    #[function]
    fn by_box(self: Box<Self>) {}
}

fn main() {}
