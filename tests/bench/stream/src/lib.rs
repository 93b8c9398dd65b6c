//! The plugin that the benchmark of streams calls. It is apart from the other one, since what a
//! plugin needs to send is as large as that one is.

use offshoot_guest::{Blob, Result, Sender, function};

/// So many times so many bytes, one after the other.
#[function]
pub fn pour(out: Sender<Blob>, count: u64, size: u64) -> Result<()> {
    let item = Blob(vec![7; size as usize]);
    for _ in 0..count {
        out.put(&item)?;
    }
    out.close()?;
    Ok(())
}
