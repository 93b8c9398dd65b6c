//! Ctrl-C, requests to end and terminals that go away: the first one ends the contexts in order,
//! the second one ends this process. Ctrl-Z stops it, with the terminal as the shell wants it.

use std::sync::{Mutex, PoisonError, mpsc};

use rustix::process::{
    Pid, Signal as Number, getpgid, getpgrp, getpid, getppid, getsid, kill_process,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::report::Status;
use super::{passwords, screen};
use offshoot_node::launch::parent_of;

type First = Box<dyn FnOnce(Status) + Send>;

/// What to do on the first one. As long as there is nothing to end in order, this process ends.
static FIRST: Mutex<Option<First>> = Mutex::new(None);

/// Listens from now on.
///
/// It does so in a thread of its own: the main one may be stuck in a write to a pipe that nobody
/// reads, or wait for a password, which is when people reach for the keyboard.
pub(super) fn listen() {
    let (ready, is_ready) = mpsc::sync_channel::<()>(1);
    let listen = async move {
        let (mut interrupt, mut terminate, mut hang_up) = (
            heard(SignalKind::interrupt()),
            heard(SignalKind::terminate()),
            heard(SignalKind::hangup()),
        );
        let (mut stop, mut go_on) = (
            heard(SignalKind::from_raw(Number::TSTP.as_raw())),
            heard(SignalKind::from_raw(Number::CONT.as_raw())),
        );
        let _ = ready.send(());
        loop {
            let status = tokio::select! {
                () = next(&mut stop) => {
                    self::stop();
                    continue;
                }
                () = next(&mut go_on) => {
                    passwords::resume();
                    continue;
                }
                () = next(&mut interrupt) => Status::Interrupted,
                () = next(&mut terminate) => Status::Terminated,
                () = next(&mut hang_up) => Status::HungUp,
            };
            let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
            match first {
                Some(first) => first(status),
                None => {
                    passwords::leave();
                    screen::leave();
                    kill_children();
                    std::process::exit(status as i32);
                }
            }
        }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        if let Ok(runtime) = runtime {
            runtime.block_on(listen);
        }
    });
    // An error is a thread that could not listen: the system's own handling stays in place.
    let _ = is_ready.recv();
}

/// Stops this process until the shell continues it, as Ctrl-Z does to those that do not listen:
/// only where there is a shell to do so.
fn stop() {
    if has_job_control() {
        passwords::pause();
        let _ = kill_process(getpid(), Number::STOP);
    }
}

/// Whether our process group is one of several in a session, and another one has started it. That
/// is what POSIX calls a group that is not orphaned.
fn has_job_control() -> bool {
    let group = getpgrp();
    let leader = u32::try_from(group.as_raw_pid()).ok();
    let of_leader = leader
        .and_then(parent_of)
        .and_then(|pid| i32::try_from(pid).ok());
    let parents = [getppid(), of_leader.and_then(Pid::from_raw)];
    let mut parents = parents.into_iter().flatten();
    parents.any(|it| getpgid(Some(it)) != Ok(group) && getsid(Some(it)) == getsid(None))
}

/// Ends what would not end by itself, such as a client whose server does not answer any more.
fn kill_children() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children"));
        for child in children.unwrap_or_default().split_whitespace() {
            // They are not waited for any more, so each number is still its own.
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(child, Number::KILL);
            }
        }
    }
}

/// Says what to do on the first one.
pub(super) fn first(first: impl FnOnce(Status) + Send + 'static) {
    *FIRST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(first));
}

/// What whoever started us had ignored, as `nohup` does, stays so.
fn heard(kind: SignalKind) -> Option<Signal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    match is_ignored(&status, kind.as_raw_value()) {
        true => None,
        false => signal(kind).ok(),
    }
}

fn is_ignored(status: &str, number: i32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_nohup_ignores_is_seen() {
        let status = "Name:\tx\nSigIgn:\t0000000000000001\n";
        assert!(super::is_ignored(status, 1));
        assert!(!super::is_ignored(status, 2));
        assert!(!super::is_ignored("", 1));
    }
}
