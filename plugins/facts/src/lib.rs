//! Tells what a machine is, without running a program on it.
//!
//! Everything is read from the files in which Linux and its distributions publish it, so the
//! plugin needs no more than the directories that hold them:
//!
//! ```text
//! offshoot call local facts::uptime --grant read:/proc
//! offshoot call web1,web2 facts::all --grant read:/proc --grant read:/etc \
//!     --grant read:/usr/lib --grant read:/sys
//! ```
//!
//! A function that is missing a grant fails with an error that names it; [`all()`] goes on without
//! that part and reports it under `missing`.
//!
//! Each function below reads a file and hands its text to a parser that does no I/O, which is
//! why every parser can be tested on the text of machines that we do not have.

mod error;
mod meminfo;
mod mount_table;
mod network;
mod os;
mod passwd;
mod read;
mod time;

pub use error::{Error, Result};
pub use meminfo::Memory;
pub use mount_table::Mount;
pub use network::{Interface, Network};
pub use os::{Distribution, Kernel};
pub use passwd::User;
pub use time::{Load, Uptime};

use offshoot_guest::{data, function, wants};

wants! {
    "read:/proc" = "host name, kernel, uptime, load, memory, mounts, addresses",
    "read:/etc" = "users, and the distribution where it keeps its name there",
    "read:/usr/lib" = "the distribution, to which /etc usually has but a link",
    "read:/sys" = "network interfaces: /sys/class/net has links into all of /sys",
}

/// The machine's host name.
#[function]
pub fn hostname() -> Result<String> {
    read::line("/proc/sys/kernel/hostname").or_else(|error| {
        // A machine without /proc, or a caller that granted only /etc.
        read::line("/etc/hostname").map_err(|_| error)
    })
}

/// The running kernel and the architecture it was built for.
#[function]
pub fn kernel() -> Result<Kernel> {
    Ok(Kernel {
        name: read::line("/proc/sys/kernel/ostype")?,
        release: read::line("/proc/sys/kernel/osrelease")?,
        version: read::line("/proc/sys/kernel/version")?,
        architecture: read::line("/proc/sys/kernel/arch")
            .ok()
            .or_else(|| os::architecture(&read::head("/proc/cpuinfo").ok()?)),
    })
}

/// The distribution, as its os-release file describes it.
#[function]
pub fn distribution() -> Result<Distribution> {
    // The first is usually a link to the second, which a plugin that was granted only /etc
    // cannot follow. The second is therefore the one to ask for when both fail.
    let text = read::text("/etc/os-release").or_else(|_| read::text("/usr/lib/os-release"))?;
    Ok(os::distribution(&text))
}

/// Time since the machine started.
#[function]
pub fn uptime() -> Result<Uptime> {
    read::parsed("/proc/uptime", time::uptime)
}

/// Load averages and the number of tasks.
#[function]
pub fn load() -> Result<Load> {
    read::parsed("/proc/loadavg", time::load)
}

/// Memory and swap, in bytes.
#[function]
pub fn memory() -> Result<Memory> {
    read::parsed("/proc/meminfo", meminfo::parse)
}

/// File systems mounted where the plugin's process sees them, in mount order.
#[function]
pub fn mounts() -> Result<Vec<Mount>> {
    Ok(mount_table::parse(&read::text("/proc/self/mounts")?))
}

/// Network interfaces, with their addresses and traffic so far.
#[function]
pub fn interfaces() -> Result<Network> {
    network::gather()
}

/// User accounts of the machine's own `/etc/passwd`; a directory service's are not in it.
#[function]
pub fn users() -> Result<Vec<User>> {
    Ok(passwd::parse(&read::text("/etc/passwd")?))
}

/// What [`all()`] found.
#[data]
#[derive(Clone, Debug)]
pub struct Facts {
    /// See [`hostname()`].
    pub hostname: Option<String>,
    /// See [`kernel()`].
    pub kernel: Option<Kernel>,
    /// See [`distribution()`].
    pub distribution: Option<Distribution>,
    /// See [`uptime()`].
    pub uptime: Option<Uptime>,
    /// See [`load()`].
    pub load: Option<Load>,
    /// See [`memory()`].
    pub memory: Option<Memory>,
    /// See [`mounts()`].
    pub mounts: Option<Vec<Mount>>,
    /// See [`interfaces()`].
    pub interfaces: Option<Network>,
    /// See [`users()`].
    pub users: Option<Vec<User>>,
    /// The parts that are not there, and why.
    pub missing: Vec<Missing>,
}

/// A part of [`Facts`] that could not be read.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// Name of the function that gathers the part.
    pub part: String,
    /// The error it gave.
    pub reason: String,
}

/// Everything above in one call. What cannot be read is reported, and does not fail the rest.
#[function]
pub fn all() -> Facts {
    let mut missing = Vec::new();
    Facts {
        hostname: part(&mut missing, "hostname", hostname()),
        kernel: part(&mut missing, "kernel", kernel()),
        distribution: part(&mut missing, "distribution", distribution()),
        uptime: part(&mut missing, "uptime", uptime()),
        load: part(&mut missing, "load", load()),
        memory: part(&mut missing, "memory", memory()),
        mounts: part(&mut missing, "mounts", mounts()),
        interfaces: part(&mut missing, "interfaces", interfaces()),
        users: part(&mut missing, "users", users()),
        missing,
    }
}

fn part<T>(missing: &mut Vec<Missing>, name: &str, outcome: Result<T>) -> Option<T> {
    outcome
        .map_err(|error| {
            missing.push(Missing {
                part: name.to_owned(),
                reason: error.to_string(),
            });
        })
        .ok()
}

#[cfg(test)]
mod tests;
