//! The limit of pipelined calls: frames and wasm calls, without a router.
//!
//! A second process of this program loads the same plugin that our side calls and runs its
//! function for each frame that it reads, by the same contract (docs/ABI.md), in one thread and
//! with nothing else: no ids, no routing, no deadlines, no credit.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use offshoot_abi::{Envelope, Outcome, exports};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Result, Store, TypedFunc, bail};

use crate::row::MESSAGE;

/// Asks this program to be the peer.
pub(crate) const FLAG: &str = "--bare-loop";

const FUNCTION: &str = "add";

/// Frames that call `add`: a length byte, then the arguments, then padding to a small message.
pub(crate) fn calls(count: usize) -> Result<Vec<u8>> {
    let mut frames = Vec::with_capacity(count * MESSAGE);
    for number in 0..count as u64 {
        frames.extend(frame(&postcard::to_allocvec(&(number, 1_u64))?)?);
    }
    Ok(frames)
}

/// Fails unless `answers` are the sums that [`calls`] asked for, in order.
pub(crate) fn check(answers: &[u8]) -> Result<()> {
    for (number, answer) in (0_u64..).zip(answers.chunks_exact(MESSAGE)) {
        let sum: u64 = postcard::from_bytes(payload(answer)?)?;
        if sum != number + 1 {
            bail!("{number} + 1 = {sum}");
        }
    }
    Ok(())
}

/// Serves calls until standard input ends.
pub(crate) fn serve(module: &Path) -> Result<()> {
    let mut plugin = Plugin::load(module)?;
    let mut input: File = io::stdin().as_fd().try_clone_to_owned()?.into();
    let mut output: File = io::stdout().as_fd().try_clone_to_owned()?.into();
    output.write_all(b"!")?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    let mut answers = Vec::with_capacity(buffer.len());
    loop {
        let read = input.read(&mut buffer[filled..])?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = filled - filled % MESSAGE;
        for call in buffer[..whole].chunks_exact(MESSAGE) {
            answers.extend(frame(plugin.call(payload(call)?)?)?);
        }
        output.write_all(&answers)?;
        answers.clear();
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

fn frame(payload: &[u8]) -> Result<[u8; MESSAGE]> {
    let mut frame = [0; MESSAGE];
    let length = u8::try_from(payload.len())?;
    frame[0] = length;
    frame
        .get_mut(1..=payload.len())
        .context("too much for a small message")?
        .copy_from_slice(payload);
    Ok(frame)
}

fn payload(frame: &[u8]) -> Result<&[u8]> {
    let length = usize::from(frame[0]);
    frame.get(1..=length).context("a frame longer than itself")
}

struct Plugin {
    store: Store<()>,
    memory: Memory,
    arguments: TypedFunc<i32, i32>,
    function: TypedFunc<i32, i64>,
}

impl Plugin {
    fn load(module: &Path) -> Result<Self> {
        let engine = Engine::default();
        let module = Module::from_file(&engine, module)?;
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        // `add` asks nothing of its host: what it imports is never called with an effect.
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance = linker.instantiate(&mut store, &module)?;
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, exports::INITIALIZE) {
            initialize.call(&mut store, ())?;
        }
        Self::bind(store, &instance)
    }

    fn bind(mut store: Store<()>, instance: &Instance) -> Result<Self> {
        let memory = instance
            .get_memory(&mut store, exports::MEMORY)
            .context("the plugin exports no memory")?;
        let arguments = instance.get_typed_func(&mut store, exports::ARGUMENTS)?;
        let name = format!("{}{FUNCTION}", exports::CALL_PREFIX);
        let function = instance.get_typed_func(&mut store, &name)?;
        Ok(Self {
            store,
            memory,
            arguments,
            function,
        })
    }

    /// Runs the function and returns the bytes of its value.
    fn call(&mut self, arguments: &[u8]) -> Result<&[u8]> {
        let length = i32::try_from(arguments.len())?;
        let buffer = self.arguments.call(&mut self.store, length)?;
        if buffer == 0 {
            bail!("the plugin refused {length} bytes of arguments");
        }
        // Addresses are unsigned, whatever wasm's i32 says.
        self.memory
            .write(&mut self.store, buffer.cast_unsigned() as usize, arguments)?;
        let result = self.function.call(&mut self.store, length)?.cast_unsigned();
        let (address, length) = ((result >> 32) as usize, (result & 0xffff_ffff) as usize);
        let bytes = self
            .memory
            .data(&self.store)
            .get(address..)
            .and_then(|rest| rest.get(..length))
            .context("a result outside the plugin's memory")?;
        match Envelope::parse(bytes) {
            Some(Envelope {
                outcome: Outcome::Value,
                payload,
            }) => Ok(payload),
            _ => bail!("the plugin returned no value"),
        }
    }
}
