//! How much an instance may take.

use wasmtime::ResourceLimiter;

/// Bounds of a plugin's instances and calls.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of linear memory of an instance.
    pub memory: usize,
    /// Elements of an instance's tables.
    pub table_elements: usize,
    /// Bytes of a result.
    pub result: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            // Two orders of magnitude above a large Rust program's.
            table_elements: 1 << 20,
            result: 16 << 20,
        }
    }
}

/// Refuses growth beyond the limits, and remembers that it did: a guest that meets the refusal
/// dies of its own panic, whose text would not say why.
pub(super) struct Limiter {
    memory: usize,
    table_elements: usize,
    refused: Option<String>,
}

impl Limiter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            memory: limits.memory,
            table_elements: limits.table_elements,
            refused: None,
        }
    }

    /// What was refused since the last time this was asked.
    pub(super) fn take_refused(&mut self) -> Option<String> {
        self.refused.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory;
        if !fits {
            self.refused = Some(format!(
                "the plugin wanted {desired} bytes of memory, the limit is {}",
                self.memory
            ));
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        // Also called after our own refusal, whose text is the better one.
        self.refused
            .get_or_insert_with(|| format!("the machine has no memory for the plugin: {error:#}"));
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.table_elements;
        if !fits {
            self.refused = Some(format!(
                "the plugin wanted a table of {desired} elements, the limit is {}",
                self.table_elements
            ));
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        4
    }
}
