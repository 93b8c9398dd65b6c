//! Waiting, for guests.
//!
//! The WASI library's own `poll_oneoff` either blocks the thread or needs an I/O reactor. Ours
//! waits in the worker thread that runs the call, which needs neither, and which a cancel or a
//! deadline wakes.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::LazyLock;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offshoot_abi::exports;
use wasmtime::{Caller, Extern, Linker, Memory};
use wasmtime_wasi::HostMonotonicClock;

use super::finish::Stop;
use super::state::State;

/// Module of WASI preview 1.
pub(super) const WASI_MODULE: &str = "wasi_snapshot_preview1";

/// Subscriptions of one call. A guest has no more than a few things to wait for.
const SUBSCRIPTIONS_MAX: u32 = 1024;
/// Wait that stands for one without end.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

// Layout and numbers of WASI preview 1 (witx `subscription`, `event`, `errno`, `clockid`).
const SUBSCRIPTION_SIZE: usize = 48;
const EVENT_SIZE: usize = 32;
const TYPE_CLOCK: u8 = 0;
const TYPE_FD_WRITE: u8 = 2;
const CLOCK_REALTIME: u32 = 0;
const CLOCK_MONOTONIC: u32 = 1;
const FLAG_ABSOLUTE: u16 = 1;
const ERRNO_SUCCESS: u16 = 0;
const ERRNO_INVAL: u16 = 28;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static WAKE_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// When the future that was just polled on this thread wants to be polled again.
pub(super) fn take_wake_up() -> Option<Instant> {
    WAKE_AT.take()
}

/// The clock that guests read, with the origin that `poll_oneoff` counts from.
pub(super) struct MonotonicClock;

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Puts our `poll_oneoff` in the place of the library's.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap_async(
        WASI_MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, State>,
         (subscriptions, events, count, counted): (u32, u32, u32, u32)| {
            Box::new(async move {
                let memory = caller
                    .get_export(exports::MEMORY)
                    .and_then(Extern::into_memory)
                    .ok_or(Stop::BadGuest("it exports no memory"))?;
                poll_oneoff(&mut caller, memory, [subscriptions, events, count, counted]).await
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

async fn poll_oneoff(
    caller: &mut Caller<'_, State>,
    memory: Memory,
    [subscriptions, events, count, counted]: [u32; 4],
) -> wasmtime::Result<u32> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Ok(u32::from(ERRNO_INVAL));
    }
    let waits = match subscribe(memory.data(&*caller), subscriptions, count)? {
        Ok(waits) => waits,
        Err(errno) => return Ok(u32::from(errno)),
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
    Ok(u32::from(ERRNO_SUCCESS))
}

const OUTSIDE: Stop = Stop::BadGuest("it passed a pointer outside its memory");

struct Wait {
    userdata: [u8; 8],
    kind: u8,
    /// `None` is ready at once: files and standard streams always are.
    until: Option<Instant>,
}

fn subscribe(data: &[u8], at: u32, count: u32) -> Result<Result<Vec<Wait>, u16>, Stop> {
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
                (CLOCK_MONOTONIC, true) => timeout.saturating_sub(EPOCH.elapsed()),
                (CLOCK_REALTIME, true) => {
                    let since = SystemTime::now().duration_since(UNIX_EPOCH);
                    timeout.saturating_sub(since.unwrap_or_default())
                }
                _ => return Err(ERRNO_INVAL),
            };
            wait.until = Some(Instant::now() + wait_for.min(FOREVER));
        } else if wait.kind > TYPE_FD_WRITE {
            return Err(ERRNO_INVAL);
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

async fn sleep_until(until: Instant) {
    poll_fn(|_| {
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        WAKE_AT.set(Some(until));
        Poll::Pending
    })
    .await;
}
