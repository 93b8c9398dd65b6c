//! Functions that have nothing to do with files: arguments, environment, clocks, random numbers,
//! the end of the process, and sockets, of which there are none.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};

use super::memory::Memory;
use super::types::{self, Errno};
use super::{Result, Wasi, wait};

impl Wasi {
    /// Makes a variable of the environment visible.
    pub(crate) fn add_variable(&mut self, name: &str, value: &str) {
        self.environment
            .push(format!("{name}={value}\0").into_bytes());
    }

    pub(super) fn args_get(&mut self, _: &mut Memory<'_>, _list: u32, _text: u32) -> Result {
        // There are no arguments to write.
        Ok(())
    }

    pub(super) fn args_sizes_get(
        &mut self,
        memory: &mut Memory<'_>,
        count: u32,
        size: u32,
    ) -> Result {
        memory.put(count, 0u32.to_le_bytes())?;
        memory.put(size, 0u32.to_le_bytes())
    }

    pub(super) fn environ_get(
        &mut self,
        memory: &mut Memory<'_>,
        mut list: u32,
        mut text: u32,
    ) -> Result {
        for variable in &self.environment {
            let length = variable.len() as u32;
            memory.put(list, text.to_le_bytes())?;
            memory.bytes_mut(text, length)?.copy_from_slice(variable);
            // An address past the end is refused where it is written to.
            list = list.saturating_add(4);
            text = text.saturating_add(length);
        }
        Ok(())
    }

    pub(super) fn environ_sizes_get(
        &mut self,
        memory: &mut Memory<'_>,
        count: u32,
        size: u32,
    ) -> Result {
        let bytes: usize = self.environment.iter().map(Vec::len).sum();
        memory.put(count, (self.environment.len() as u32).to_le_bytes())?;
        memory.put(size, (bytes as u32).to_le_bytes())
    }

    pub(super) fn clock_res_get(
        &mut self,
        memory: &mut Memory<'_>,
        clock: u32,
        resolution: u32,
    ) -> Result {
        match clock {
            types::CLOCK_REALTIME | types::CLOCK_MONOTONIC => {
                memory.put(resolution, 1u64.to_le_bytes())
            }
            _ => Err(Errno::INVAL.into()),
        }
    }

    pub(super) fn clock_time_get(
        &mut self,
        memory: &mut Memory<'_>,
        clock: u32,
        _precision: u64,
        time: u32,
    ) -> Result {
        let now = match clock {
            types::CLOCK_REALTIME => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            types::CLOCK_MONOTONIC => wait::monotonic(),
            _ => return Err(Errno::INVAL.into()),
        };
        let nanoseconds = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        memory.put(time, nanoseconds.to_le_bytes())
    }

    pub(super) fn proc_raise(&mut self, _: &mut Memory<'_>, _signal: u32) -> Result {
        Err(Errno::NOTSUP.into())
    }

    pub(super) fn sched_yield(&mut self, _: &mut Memory<'_>) -> Result {
        Ok(())
    }

    pub(super) fn random_get(
        &mut self,
        memory: &mut Memory<'_>,
        buffer: u32,
        length: u32,
    ) -> Result {
        let mut room = memory.bytes_mut(buffer, length)?;
        while !room.is_empty() {
            match getrandom(&mut *room, GetRandomFlags::empty()) {
                Ok(filled) => room = &mut room[filled..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn sock_accept(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _flags: u32,
        _accepted: u32,
    ) -> Result {
        self.refuse_socket(fd)
    }

    #[expect(clippy::too_many_arguments, reason = "as many as WASI's function has")]
    pub(super) fn sock_recv(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _buffers: u32,
        _count: u32,
        _flags: u32,
        _received: u32,
        _answer: u32,
    ) -> Result {
        self.refuse_socket(fd)
    }

    pub(super) fn sock_send(
        &mut self,
        _: &mut Memory<'_>,
        fd: u32,
        _buffers: u32,
        _count: u32,
        _flags: u32,
        _sent: u32,
    ) -> Result {
        self.refuse_socket(fd)
    }

    pub(super) fn sock_shutdown(&mut self, _: &mut Memory<'_>, fd: u32, _how: u32) -> Result {
        self.refuse_socket(fd)
    }

    fn refuse_socket(&self, fd: u32) -> Result {
        self.descriptor(fd)?;
        Err(Errno::NOTSOCK.into())
    }
}
