//! The processes that this one started, and theirs: found, measured, and none left behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::CpuSet;

/// How long what a row started may take to notice that it is over.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(2);

/// Makes a process whose parent dies a child of this one, so that none can get out of sight.
pub(crate) fn adopt_orphans() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Keeps this process, and all that it starts from now on, on one core.
///
/// Where the kernel puts the two ends of a pipe decides what a small message costs: on one core
/// it is a switch of contexts, on two it is the waking of a core, about ten times as much. Left
/// alone, each side gets what the moment gives it, and a ratio may compare the one with the other.
pub(crate) fn share_one_core() -> Result<()> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|&core| allowed.is_set(core));
    let mut one = CpuSet::new();
    one.set(first.context("no core to run on")?);
    rustix::thread::sched_setaffinity(None, &one)?;
    Ok(())
}

/// Direct children of this process.
pub(crate) fn children() -> BTreeSet<u32> {
    let own = std::process::id();
    parents()
        .into_iter()
        .filter(|(_, parent)| *parent == own)
        .map(|(pid, _)| pid)
        .collect()
}

/// Waits for what a row started to end by itself, and kills what does not: its names.
pub(crate) fn clean_up() -> Option<String> {
    let deadline = Instant::now() + GRACE;
    loop {
        reap_orphans();
        if descendants().is_empty() {
            return None;
        }
        if Instant::now() >= deadline {
            break;
        }
        std::thread::sleep(POLL);
    }
    let names: Vec<String> = descendants().into_iter().map(name).collect();
    kill_descendants();
    Some(names.join(", "))
}

/// Waits for a child that has been told to end, and kills it when it does not.
pub(crate) fn end(child: &mut Child) {
    let deadline = Instant::now() + GRACE;
    while let Ok(None) = child.try_wait() {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(POLL);
    }
}

/// Kills all that this process started, at whatever depth.
pub(crate) fn kill_descendants() {
    for pid in descendants() {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("no VmRSS in the status of process {pid}"))?;
    Ok(kib / 1024.0)
}

/// Collects the dead whom nobody else waits for. Called between rows, when no side holds a
/// child that it still means to wait for.
fn reap_orphans() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

fn descendants() -> BTreeSet<u32> {
    let parents = parents();
    let mut found = BTreeSet::new();
    let mut frontier = BTreeSet::from([std::process::id()]);
    while !frontier.is_empty() {
        frontier = parents
            .iter()
            .filter(|(pid, parent)| frontier.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        found.extend(frontier.iter().copied());
    }
    found
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before it may hold spaces and parentheses of its own.
            let (_, after_name) = stat.rsplit_once(')')?;
            let parent = after_name.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{} ({pid})", name.trim_end())
}
