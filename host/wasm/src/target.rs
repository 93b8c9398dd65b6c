//! What an image is compiled for.
//!
//! A child says it in its hello, and the controller compiles for exactly that. The text is also
//! part of the cache's key.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Resource, getrlimit};

/// Version of the engine. An image of another version is refused.
const ENGINE_VERSION: &str = "48.0.8";

/// Address space below which 4 GiB of reservation for each memory would not leave room for the
/// instances that may run at once.
const WIDE_SPACE: u64 = 1 << 40;

/// How memories are laid out in the address space. It is baked into the compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Each memory reserves 4 GiB, and accesses need no bounds check.
    Wide,
    /// Memories take what they use: for a process under `ulimit -v`.
    Narrow,
}

impl Profile {
    /// The profile that this process has room for.
    pub fn detect() -> Self {
        match getrlimit(Resource::As).current {
            Some(limit) if limit < WIDE_SPACE => Self::Narrow,
            _ => Self::Wide,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// Which instructions the compiler may use beyond those that every CPU of the kind has.
///
/// The levels are those of the x86-64 psABI, so that hosts of one fleet share an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cpu {
    /// What every CPU of the architecture has.
    Baseline,
    /// Up to SSE 4.2 and POPCNT.
    X86V2,
    /// Up to AVX2, BMI and FMA.
    X86V3,
}

impl Cpu {
    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        use std::arch::is_x86_feature_detected as has;
        let v2 = has!("sse3")
            && has!("ssse3")
            && has!("sse4.1")
            && has!("sse4.2")
            && has!("popcnt")
            && has!("cmpxchg16b");
        let v3 = v2
            && has!("avx")
            && has!("avx2")
            && has!("bmi1")
            && has!("bmi2")
            && has!("fma")
            && has!("lzcnt");
        match (v2, v3) {
            (_, true) => Self::X86V3,
            (true, false) => Self::X86V2,
            (false, false) => Self::Baseline,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn detect() -> Self {
        Self::Baseline
    }

    /// The code generator's names for what the level adds.
    #[cfg(feature = "compiler")]
    pub(super) const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Baseline => &[],
            Self::X86V2 => V3_FLAGS.split_at(V2_COUNT).0,
            Self::X86V3 => V3_FLAGS,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::X86V2 => "x86-64-v2",
            Self::X86V3 => "x86-64-v3",
        }
    }
}

#[cfg(feature = "compiler")]
const V2_COUNT: usize = 6;
#[cfg(feature = "compiler")]
const V3_FLAGS: &[&str] = &[
    "has_sse3",
    "has_ssse3",
    "has_sse41",
    "has_sse42",
    "has_popcnt",
    "has_cmpxchg16b",
    "has_avx",
    "has_avx2",
    "has_bmi1",
    "has_bmi2",
    "has_fma",
    "has_lzcnt",
];

/// The kind of machine, engine and layout that an image runs on.
///
/// Its text is `wasmtime-VERSION/TRIPLE/CPU/PROFILE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    triple: String,
    pub(super) cpu: Cpu,
    pub(super) profile: Profile,
}

impl Target {
    /// This process's own target.
    pub fn native(profile: Profile) -> Self {
        let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
        Self {
            triple: match os {
                "macos" => format!("{arch}-apple-darwin"),
                _ => format!("{arch}-unknown-{os}-gnu"),
            },
            cpu: Cpu::detect(),
            profile,
        }
    }

    #[cfg(feature = "compiler")]
    pub(super) fn triple(&self) -> &str {
        &self.triple
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "wasmtime-{ENGINE_VERSION}/{}/{}/{}",
            self.triple,
            self.cpu.name(),
            self.profile.name()
        )
    }
}

/// Text that names no target of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a target that this build compiles for (wasmtime {ENGINE_VERSION})")]
pub struct ParseTargetError(String);

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text comes from another process and ends up in errors.
        let refused = || {
            let start = text.chars().take(128);
            ParseTargetError(start.flat_map(char::escape_debug).collect())
        };
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or_else(refused);
        let (version, triple, cpu, profile) = (next()?, next()?, next()?, next()?);
        let cpus = [Cpu::Baseline, Cpu::X86V2, Cpu::X86V3];
        let profiles = [Profile::Wide, Profile::Narrow];
        let target = Self {
            triple: triple.to_owned(),
            cpu: cpus
                .into_iter()
                .find(|known| known.name() == cpu)
                .ok_or_else(refused)?,
            profile: profiles
                .into_iter()
                .find(|known| known.name() == profile)
                .ok_or_else(refused)?,
        };
        let version = version.strip_prefix("wasmtime-");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let sound = version == Some(ENGINE_VERSION)
            && parts.next().is_none()
            && triple.len() <= 64
            && triple.chars().all(plain)
            && (target.cpu == Cpu::Baseline || triple.starts_with("x86_64-"));
        if sound { Ok(target) } else { Err(refused()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_targets_text_reads_back() {
        let target = Target::native(Profile::Narrow);
        assert_eq!(target.to_string().parse(), Ok(target));
    }

    #[test]
    fn targets_of_other_builds_are_refused() {
        for text in [
            "",
            "wasmtime-48.0.8",
            "wasmtime-47.0.0/x86_64-unknown-linux-gnu/baseline/wide",
            "wasmtime-48.0.8/x86_64-unknown-linux-gnu/baseline/wide/more",
            "wasmtime-48.0.8/x86_64-unknown-linux-gnu/x86-64-v9/wide",
            "wasmtime-48.0.8/aarch64-unknown-linux-gnu/x86-64-v3/wide",
            "wasmtime-48.0.8/x86_64-unknown-linux-gnu/baseline/tall",
            "wasmtime-48.0.8/..%2f\n/baseline/wide",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_in_an_error_is_short_and_commands_no_terminal() {
        let error = "\x1b[2J\u{202e}"
            .repeat(1000)
            .parse::<Target>()
            .unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(r"`\u{1b}[2J\u{202e}"), "{text}");
        assert!(text.len() < 1000, "{} bytes", text.len());
    }
}
