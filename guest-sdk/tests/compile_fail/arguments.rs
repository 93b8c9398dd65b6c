use offshoot_guest::{Host, data, function, functions};

#[data]
struct Range {
    from: u32,
    to: u32,
}

#[function]
fn patterns((a, b): (u32, u32), Range { from, to }: Range, _: u32) {}

#[function]
fn too_many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) {}

#[function]
fn host_is_late(name: String, host: &Host) {}

#[function]
fn two_hosts(host: &Host, other: &Host) {}

struct Router;

#[function]
fn routes(router: &mut Router) {}

#[function]
fn owns(host: Host, router: Router) {}

#[function]
fn two_routers(host: &Host, router: &Router, other: &Router) {}

#[function]
fn router_is_late(name: String, router: &Router) {}

#[functions]
impl Range {
    #[function]
    fn own(range: Self) -> Self {
        range
    }
}

fn main() {}
