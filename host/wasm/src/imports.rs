//! The host functions of `offshoot/v1`.
//!
//! Every pointer is the guest's word: it is checked against the guest's memory, and the length is
//! bounded before anything is copied.

use offshoot_abi::{IMPORT_MODULE, imports};
use wasmtime::{Caller, Extern, Linker, Memory, WasmBacktrace};

use super::finish::{Stop, frame_names};
use super::log_sink;
use super::state::State;

/// Bytes of a log record or a panic's text; the rest is cut off.
const TEXT_MAX: usize = 8 << 10;
/// Bytes of a log record's target.
const TARGET_MAX: usize = 256;
/// Levels of a log record.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=5;

/// Adds the functions to what modules may import.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap_async(
            IMPORT_MODULE,
            imports::LOG,
            |mut caller: Caller<'_, State>,
             (level, target, target_len, text, text_len): (i32, u32, u32, u32, u32)| {
                Box::new(async move {
                    log(&mut caller, level, (target, target_len), (text, text_len)).await
                })
            },
        )?
        .func_wrap(IMPORT_MODULE, imports::LOG_LEVEL, log_level)?
        .func_wrap(IMPORT_MODULE, imports::PANIC, panic)?
        .func_wrap(IMPORT_MODULE, imports::BACKTRACE, backtrace)?
        .func_wrap(IMPORT_MODULE, imports::HOST_INFO, host_info)?;
    Ok(())
}

async fn log(
    caller: &mut Caller<'_, State>,
    level: i32,
    target: (u32, u32),
    text: (u32, u32),
) -> wasmtime::Result<()> {
    if !LEVELS.contains(&level) {
        return Err(Stop::BadGuest("it logged at a level that does not exist").into());
    }
    let memory = memory(caller)?;
    let target = read(caller, memory, target, TARGET_MAX)?;
    let text = read(caller, memory, text, TEXT_MAX)?;
    let level = level as u8;
    let sink = &caller.data().sink;
    log_sink::until_room(&**sink, level).await;
    if level <= sink.level() {
        sink.log(level, &target, &text);
    }
    Ok(())
}

fn log_level(caller: Caller<'_, State>) -> i32 {
    i32::from(caller.data().sink.level())
}

fn panic(
    mut caller: Caller<'_, State>,
    text: u32,
    text_len: u32,
    place: u32,
    place_len: u32,
) -> wasmtime::Result<()> {
    let memory = memory(&mut caller)?;
    let text = read(&caller, memory, (text, text_len), TEXT_MAX)?;
    let place = read(&caller, memory, (place, place_len), TEXT_MAX)?;
    caller.data_mut().panic = Some(if place.is_empty() {
        format!("panicked: {text}")
    } else {
        format!("panicked at {place}: {text}")
    });
    Ok(())
}

fn backtrace(mut caller: Caller<'_, State>, buffer: u32, capacity: u32) -> wasmtime::Result<u32> {
    let names = frame_names(&WasmBacktrace::force_capture(&caller));
    let memory = memory(&mut caller)?;
    let buffer = slice_mut(&mut caller, memory, (buffer, capacity))?;
    let mut at = 0;
    for name in names {
        // A name that does not fit ends the list: half a name would be another one.
        let Some(room) = buffer.get_mut(at..at + name.len() + 1) else {
            break;
        };
        let (last, room) = room.split_last_mut().expect("it holds the line's end");
        room.copy_from_slice(name.as_bytes());
        *last = b'\n';
        at += name.len() + 1;
    }
    Ok(at as u32)
}

fn host_info(mut caller: Caller<'_, State>, buffer: u32, capacity: u32) -> wasmtime::Result<u32> {
    let info = caller.data().host.clone();
    let memory = memory(&mut caller)?;
    let buffer = slice_mut(&mut caller, memory, (buffer, capacity))?;
    if let Some(room) = buffer.get_mut(..info.len()) {
        room.copy_from_slice(&info);
    }
    Ok(info.len() as u32)
}

pub(super) fn memory(caller: &mut Caller<'_, State>) -> wasmtime::Result<Memory> {
    // Looked up each time: a start function calls before anyone could have kept it.
    caller
        .get_export(offshoot_abi::exports::MEMORY)
        .and_then(Extern::into_memory)
        .ok_or_else(|| Stop::BadGuest("it exports no memory").into())
}

fn read(
    caller: &Caller<'_, State>,
    memory: Memory,
    (at, length): (u32, u32),
    max: usize,
) -> wasmtime::Result<String> {
    let bytes = range(at, length)
        .and_then(|range| memory.data(caller).get(range))
        .ok_or(OUTSIDE)?;
    Ok(String::from_utf8_lossy(&bytes[..bytes.len().min(max)]).into_owned())
}

pub(super) fn slice_mut<'a>(
    caller: &'a mut Caller<'_, State>,
    memory: Memory,
    (at, length): (u32, u32),
) -> wasmtime::Result<&'a mut [u8]> {
    let bytes = range(at, length).and_then(|range| memory.data_mut(caller).get_mut(range));
    Ok(bytes.ok_or(OUTSIDE)?)
}

pub(super) const OUTSIDE: Stop = Stop::BadGuest("it passed a pointer outside its memory");

pub(super) fn range(at: u32, length: u32) -> Option<std::ops::Range<usize>> {
    let at = at as usize;
    Some(at..at.checked_add(length as usize)?)
}
