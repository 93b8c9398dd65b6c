//! The program at the other end: a context that is not the controller.
//!
//! It says hello on its standard output, learns from its standard input who it is, and then moves
//! messages and runs functions until its input ends. It outlives its parent by no more than the
//! time that takes to notice.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::Duration;

use offshoot_proto::Node;
use offshoot_proto::control::Hello;
use offshoot_proto::handshake::{ExpectWelcome, NONCE_LEN, Welcomed, first_frame, greeting};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use zeroize::Zeroizing;

use crate::identity::{self, Identity};
use crate::{BUILD_ID, context, descriptors, launch};
use offshoot_wasm::{Profile, Target};

/// How long our own children may take to end before we do. They are killed before that.
const CHILDREN_END: Duration = Duration::from_secs(4);

/// How often a context that has outlived its parent looks whether it is done.
const ALONE: Duration = Duration::from_millis(100);

/// Runs the child program to its end.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", nonce, ref more @ ..] if nonce.len() == NONCE_LEN && more.len() <= 2 => {
            if let Some(directory) = more.first() {
                // A child that was found in a cache starts there, and is told where it was called
                // from. That may be a place that nobody may enter, which is no reason to give up.
                let _ = std::env::set_current_dir(directory);
            }
            if let Some(name) = more.get(1) {
                start_again_as(name, nonce);
            }
            match serve(nonce) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("offshoot-child: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        ["--version"] => {
            println!(
                "offshoot-child {} (build {BUILD_ID})",
                env!("CARGO_PKG_VERSION")
            );
            ExitCode::SUCCESS
        }
        [launch::LEND] => launch::lend(),
        [prompt] if let Some(status) = launch::help(prompt) => status,
        _ => {
            eprintln!(
                "offshoot-child is the part of offshoot that runs on other machines.\nIt is \
                 started by `offshoot`, which talks to it over its standard input and output; \
                 there is nothing to do with it by hand. Try `offshoot --help`."
            );
            ExitCode::from(2)
        }
    }
}

/// Becomes the same program under the name that process listings are to show: a shell
/// cannot give one. What it is called is no reason to give up.
fn start_again_as(name: &str, nonce: &str) {
    let _ = std::process::Command::new("/proc/self/exe")
        .arg0(format!("offshoot:{name}"))
        .args(["serve", nonce])
        .exec();
}

#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot set up the connection to the parent: {0}")]
    Setup(#[from] std::io::Error),
    #[error("the parent sent no welcome: {0}")]
    Welcome(String),
}

impl From<Errno> for ServeError {
    fn from(error: Errno) -> Self {
        Self::Setup(error.into())
    }
}

fn serve(nonce: &str) -> Result<(), ServeError> {
    identity::become_child();
    descriptors::close_inherited();
    leave_no_core();
    close_memory();
    wake_when_orphaned();
    // The program usually has no file of its own, and the system would show a number for a name.
    let _ = rustix::thread::set_name(c"offshoot-child");
    let (input, output) = take_stdio()?;
    let mut hello = greeting(nonce, BUILD_ID).into_bytes();
    hello.extend_from_slice(&first_frame(&Hello {
        target: Target::native(Profile::detect()).to_string(),
        pid: std::process::id(),
    }));
    write_all(&output, &hello)?;
    let Some((welcome, rest)) = read_welcome(&input)? else {
        // The parent changed its mind. That is no fault of ours.
        return Ok(());
    };
    identity::set(Identity {
        id: welcome.id.0,
        parents: welcome.parents.iter().map(|parent| parent.0).collect(),
        name: welcome.name.clone(),
    });
    let mut seed = [0; 8];
    // Without randomness handles are easier to guess, and still bound to who may use them.
    let _ = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::NONBLOCK);
    let (node, link) = Node::child(&welcome, u64::from_le_bytes(seed));
    let driver = context::start(node, welcome.log_level, None);
    driver.start_traces(welcome.traces);
    rustix::io::ioctl_fionbio(&output, true)?;
    let lost_after = Duration::from_millis(welcome.lost_after_ms.into());
    let lost_after = Some(lost_after).filter(|wait| !wait.is_zero());
    driver.serve_parent(link, &input, output, rest, lost_after);
    while driver.goes_on_alone() {
        std::thread::sleep(ALONE);
    }
    driver.write_profile("main");
    driver.end_children(CHILDREN_END);
    driver.close_before_exit();
    // A function may still run in a thread that nothing can stop. It ends here, with the process.
    std::process::exit(0)
}

/// Has a crash leave no copy of this process's memory: passwords pass through it. One byte is less
/// than any such copy, and unlike none it also counts where the system pipes copies to a program
/// (`do_coredump` in the kernel).
pub fn leave_no_core() {
    let limits = rustix::process::getrlimit(Resource::Core);
    let least = limits.maximum.map_or(1, |maximum| maximum.min(1));
    let none = Rlimit {
        current: Some(least),
        maximum: limits.maximum,
    };
    // It is not above the hard limit, so this is always allowed.
    let _ = rustix::process::setrlimit(Resource::Core, none);
}

/// Closes this process to others of the same user: its memory, environment and descriptors in
/// procfs become root's, and no one but root traces it.
fn close_memory() {
    // What starts a program of ours anew opens this again, so each start comes here.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Has the system continue this process when its parent dies: while it is stopped, it does not
/// see that its input has ended. To one that is not stopped this means nothing.
fn wake_when_orphaned() {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::CONT));
}

/// Takes standard input and output for the link, and leaves in their place what cannot disturb
/// it: nothing to read, and the error stream to write to.
fn take_stdio() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let input = rustix::io::fcntl_dupfd_cloexec(std::io::stdin().as_fd(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(std::io::stdout().as_fd(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(null)?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    Ok((input, output))
}

fn write_all(output: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(output, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn read_welcome(input: &OwnedFd) -> Result<Option<Welcomed>, ServeError> {
    let mut expect = ExpectWelcome::default();
    let mut buffer = Zeroizing::new([0; 4096]);
    loop {
        match rustix::io::read(input, &mut *buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => {
                let welcome = expect.on_bytes(&buffer[..count]);
                let welcome = welcome.map_err(|error| ServeError::Welcome(error.to_string()))?;
                if welcome.is_some() {
                    return Ok(welcome);
                }
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
