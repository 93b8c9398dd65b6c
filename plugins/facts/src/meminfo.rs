//! Memory and swap: `/proc/meminfo`.

use offshoot_guest::data;

/// Memory and swap, in bytes.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Memory that the kernel manages.
    pub total: u64,
    /// Memory that holds nothing.
    pub free: u64,
    /// Memory that a new program could get without swapping. Unknown to kernels before 3.14.
    pub available: Option<u64>,
    /// Memory that caches raw block devices.
    pub buffers: u64,
    /// Memory that caches files.
    pub cached: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that holds nothing.
    pub swap_free: u64,
}

pub(crate) fn parse(text: &str) -> Result<Memory, &'static str> {
    let field = |name| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(bytes)
    };
    Ok(Memory {
        total: field("MemTotal").ok_or("no MemTotal")?,
        free: field("MemFree").ok_or("no MemFree")?,
        available: field("MemAvailable"),
        // Absent where the kernel was built without block devices or swap.
        buffers: field("Buffers").unwrap_or(0),
        cached: field("Cached").unwrap_or(0),
        swap_total: field("SwapTotal").unwrap_or(0),
        swap_free: field("SwapFree").unwrap_or(0),
    })
}

/// The kernel writes `kB` and means 1024 bytes.
fn bytes(value: &str) -> Option<u64> {
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "\
MemTotal:       24668916 kB
MemFree:        22113180 kB
MemAvailable:   23517424 kB
Buffers:           59204 kB
Cached:          1540960 kB
SwapCached:            7 kB
SwapTotal:             0 kB
SwapFree:              0 kB
HugePages_Total:       0
";

    #[test]
    fn meminfo_as_linux_writes_it() {
        let memory = parse(MEMINFO).unwrap();
        assert_eq!(memory.total, 24_668_916 * 1024);
        assert_eq!(memory.available, Some(23_517_424 * 1024));
        assert_eq!(memory.cached, 1_540_960 * 1024, "not SwapCached");
    }

    #[test]
    fn an_old_kernel_has_no_available() {
        let memory = parse("MemTotal: 4 kB\nMemFree: 1 kB\n").unwrap();
        assert_eq!(memory.available, None);
        assert_eq!(memory.swap_total, 0);
    }

    #[test]
    fn what_is_not_meminfo_is_refused() {
        assert_eq!(parse(""), Err("no MemTotal"));
        assert_eq!(parse("MemTotal: 4 kB"), Err("no MemFree"));
        assert_eq!(
            parse("MemTotal: 18446744073709551615 kB\nMemFree: 1 kB"),
            Err("no MemTotal"),
            "a product that overflows is not a size"
        );
    }
}
