use offshoot_guest::function;

#[function]
async fn asynchronous() {}

#[function]
unsafe fn dangerous() {}

#[function]
extern "C" fn foreign() {}

#[function]
async unsafe fn both(text: &str) {}

fn main() {}
