use offshoot_guest::function;

struct Disk;

impl Disk {
    #[function]
    fn free(path: String) -> u64 {
        path.len() as u64
    }
}

fn main() {}
