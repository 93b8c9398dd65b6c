//! The client as a program of its own, for machines that have no `ssh`.
//!
//! It knows nothing of contexts. Whoever started it tells it where to connect to ([`Order`]), and
//! from then on its standard streams are those of the command there, as with OpenSSH's client.

mod names;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use offshoot_proto::client::{self, Answer, CONNECT_EVENTS_MAX, HEAD, Misread, Order, Report};
use offshoot_ssh::{Ended, StartedCommand, StdioPipes};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// How long the command may go on when whoever started us has gone.
const GRACE: Duration = Duration::from_secs(2);

/// The status of OpenSSH's client for whatever is not the command's.
const FAILED: u8 = 255;

/// Bytes that pipes should hold: large transfers then need fewer turns.
const PIPE_SIZE: usize = 256 * 1024;

fn main() -> ExitCode {
    names::without_plugins();
    leave_no_core();
    // It has no file whose name process listings could show.
    let _ = rustix::thread::set_name(c"offshoot-ssh");
    match serve() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("offshoot-ssh: {error}; it is started by offshoot, not by hand");
            ExitCode::from(2)
        }
    }
}

/// Has a crash leave no copy of this process's memory: passwords pass through it.
fn leave_no_core() {
    let none = Rlimit {
        current: Some(0),
        maximum: getrlimit(Resource::Core).maximum,
    };
    // It lowers a limit, which is always allowed.
    let _ = setrlimit(Resource::Core, none);
}

fn serve() -> std::io::Result<u8> {
    let order = read_order()?;
    let gone = watch_input()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(async {
        let gone = async {
            let _ = gone.await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            status = execute(order) => status,
            () = gone => Ok(FAILED),
        }
    });
    // A lookup of a name may still be under way in a thread; nobody waits for it.
    runtime.shutdown_background();
    status
}

/// Reads the order, and no byte more: what follows is for the command.
fn read_order() -> std::io::Result<Order> {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let mut head = [0; HEAD];
    input.read_exact(&mut head)?;
    let mut bytes = Zeroizing::new(vec![0; client::length(head).map_err(misread)?]);
    input.read_exact(&mut bytes)?;
    client::body(&bytes).map_err(misread)
}

fn misread(error: Misread) -> std::io::Error {
    std::io::Error::other(error)
}

/// Tells when nobody can write to us any more.
fn watch_input() -> std::io::Result<oneshot::Receiver<()>> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    let (tell, gone) = oneshot::channel();
    let watch = move || {
        // Without events of its own it waits for the end, which is always told.
        let mut ends = [PollFd::new(&input, PollFlags::empty())];
        while poll(&mut ends, None) == Err(rustix::io::Errno::INTR) {}
        let _ = tell.send(());
    };
    let thread = std::thread::Builder::new().name("offshoot-input".to_owned());
    thread.spawn(watch)?;
    Ok(gone)
}

async fn execute(order: Order) -> std::io::Result<u8> {
    let Order {
        mut ssh,
        line,
        patience_ms,
    } = order;
    let patience = Duration::from_millis(patience_ms);
    let sent = AtomicUsize::new(0);
    let on_progress = move |event| {
        if sent.fetch_add(1, Ordering::Relaxed) < CONNECT_EVENTS_MAX {
            // A reader that has gone is noticed at the answer.
            let _ = report(&Report::Progress(event));
        }
    };
    let opened = match offshoot_ssh_helper::connect(&mut ssh, line, patience, on_progress).await {
        Ok(opened) => opened,
        Err(error) => {
            report(&Report::Answer(Answer::Failed(error)))?;
            return Ok(FAILED);
        }
    };
    report(&Report::Answer(Answer::Up {
        banner: opened.banner.clone(),
        warnings: opened.warnings.clone(),
    }))?;
    let words = match run(opened).await? {
        Ended::Exit(status) => return Ok(u8::try_from(status).unwrap_or(FAILED)),
        Ended::Signal(name) => format!("the command there exited due to signal {name}"),
        Ended::Closed => "the server closed the session".to_owned(),
        Ended::Lost(reason) if reason.is_empty() => "the server closed the connection".to_owned(),
        Ended::Lost(reason) => format!("the connection to the server was lost: {reason}"),
    };
    // Nobody may be left to read it.
    let _ = writeln!(std::io::stderr(), "{words}");
    Ok(FAILED)
}

fn report(report: &Report) -> std::io::Result<()> {
    std::io::stderr().write_all(&client::frame(report).map_err(misread)?)
}

async fn run(opened: StartedCommand) -> std::io::Result<Ended> {
    let ends = StdioPipes {
        input: enlarged(std::io::stdin().as_fd().try_clone_to_owned()?)?,
        output: enlarged(std::io::stdout().as_fd().try_clone_to_owned()?)?,
        errors: std::io::stderr().as_fd().try_clone_to_owned()?,
    };
    Ok(opened.attach(ends)?.ended().await)
}

/// Makes room in a pipe for large transfers, as far as the kernel allows.
fn enlarged(pipe: OwnedFd) -> std::io::Result<OwnedFd> {
    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_SIZE);
    Ok(pipe)
}
