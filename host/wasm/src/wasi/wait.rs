//! Waiting for one of several things.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::Caller;

use super::types::{CLOCK_MONOTONIC, CLOCK_REALTIME, Errno};
use crate::finish::Stop;
use crate::imports::{self, OUTSIDE};
use crate::sleep::sleep_until;
use crate::state::State;

/// Subscriptions of one call. A guest has no more than a few things to wait for.
const SUBSCRIPTIONS_MAX: u32 = 1024;
/// Wait that stands for one without end.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

// Layout and numbers of `subscription` and `event`.
const SUBSCRIPTION_SIZE: usize = 48;
const EVENT_SIZE: usize = 32;
const TYPE_CLOCK: u8 = 0;
const TYPE_FD_WRITE: u8 = 2;
const FLAG_ABSOLUTE: u16 = 1;

/// What monotonic time counts from.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Monotonic time, as guests read it.
pub(super) fn monotonic() -> Duration {
    EPOCH.elapsed()
}

/// Waits until one of the things happens that the guest named, and tells which did.
pub(super) async fn poll_oneoff(
    caller: &mut Caller<'_, State>,
    [subscriptions, events, count, counted]: [u32; 4],
) -> wasmtime::Result<u32> {
    let memory = imports::memory(caller)?;
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Ok(Errno::INVAL.0.into());
    }
    let waits = match subscribe(memory.data(&*caller), subscriptions, count)? {
        Ok(waits) => waits,
        Err(errno) => return Ok(errno.0.into()),
    };
    let first = waits.iter().map(|wait| wait.until).min().flatten();
    if let Some(until) = first {
        sleep_until(until).await;
    }
    let now = Instant::now();
    let mut at = events as usize;
    let mut written = 0u32;
    let data = memory.data_mut(&mut *caller);
    for wait in &waits {
        if wait.until.is_some_and(|until| until > now) {
            continue;
        }
        let event = data.get_mut(at..at + EVENT_SIZE).ok_or(OUTSIDE)?;
        event.fill(0);
        event[..8].copy_from_slice(&wait.userdata);
        event[10] = wait.kind;
        at += EVENT_SIZE;
        written += 1;
    }
    let counted = counted as usize;
    let counter = data.get_mut(counted..counted + 4).ok_or(OUTSIDE)?;
    counter.copy_from_slice(&written.to_le_bytes());
    Ok(Errno::SUCCESS.0.into())
}

struct Wait {
    userdata: [u8; 8],
    kind: u8,
    /// `None` is ready at once: files and standard streams always are.
    until: Option<Instant>,
}

fn subscribe(data: &[u8], at: u32, count: u32) -> Result<Result<Vec<Wait>, Errno>, Stop> {
    let at = at as usize;
    let bytes = data
        .get(at..at + count as usize * SUBSCRIPTION_SIZE)
        .ok_or(OUTSIDE)?;
    let waits = bytes.chunks_exact(SUBSCRIPTION_SIZE).map(|bytes| {
        let mut wait = Wait {
            userdata: field(bytes, 0),
            kind: bytes[8],
            until: None,
        };
        if wait.kind == TYPE_CLOCK {
            let clock = u32::from_le_bytes(field(bytes, 16));
            let timeout = Duration::from_nanos(u64::from_le_bytes(field(bytes, 24)));
            let absolute = u16::from_le_bytes(field(bytes, 40)) & FLAG_ABSOLUTE != 0;
            let wait_for = match (clock, absolute) {
                (CLOCK_REALTIME | CLOCK_MONOTONIC, false) => timeout,
                (CLOCK_MONOTONIC, true) => timeout.saturating_sub(monotonic()),
                (CLOCK_REALTIME, true) => {
                    let since = SystemTime::now().duration_since(UNIX_EPOCH);
                    timeout.saturating_sub(since.unwrap_or_default())
                }
                _ => return Err(Errno::INVAL),
            };
            wait.until = Some(Instant::now() + wait_for.min(FOREVER));
        } else if wait.kind > TYPE_FD_WRITE {
            return Err(Errno::INVAL);
        }
        Ok(wait)
    });
    Ok(waits.collect())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the slice has the array's length")
}
