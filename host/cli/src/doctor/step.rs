//! What can go wrong on the way to a context, one thing at a time.

use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::access::{self, Known};
use super::{Hop, journal, plugin, reach};
use crate::args::ConnectArgs;
use crate::reach::ConnectRequest;
use offshoot::{ChannelErrorKind, Context, Error, Message, Password, Router};
use offshoot_node::BUILD_ID;
use offshoot_node::launch::ChildBinary;

/// How long a program may take to say its version, and contexts to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Round trips whose fastest is told: the first ones wake things up.
const ROUNDS: usize = 10;

/// A handle that nobody listens on: the far end says so, which proves the way there and back.
const NOBODY: u64 = u64::MAX - 1;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is a program to start.
    Binary,
    /// It starts on this machine, and is of our build.
    Program,
    /// The host's name means something.
    Name,
    /// An ssh server answers at the port.
    Port,
    /// The server's key is trusted.
    HostKey,
    /// One is let in, and a shell runs our command.
    Login,
    /// There is a directory for the child.
    Directory,
    /// The child is sent, unless it is there.
    Upload,
    /// The child starts and says hello.
    Handshake,
    /// It becomes a context: start, hello, welcome.
    Connect,
    /// Messages go there and back.
    RoundTrip,
    /// A plugin is compiled for it, shipped, loaded and called.
    Call,
    /// What it costs.
    Memory,
    /// It ends when it is asked to.
    Shutdown,
}

/// Why a step failed, and what to do.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) help: String,
}

pub(super) fn trouble(what: impl ToString, help: &str) -> Trouble {
    Trouble {
        what: what.to_string(),
        help: help.to_owned(),
    }
}

/// What the steps so far have made.
pub(super) struct Patient {
    router: Router,
    /// For the hop whose steps are taken.
    pub(super) password: Option<Password>,
    connect: ConnectArgs,
    binary: Option<ChildBinary>,
    contexts: Vec<Context>,
    /// Where the hop leads.
    place: Option<(reach::Place, Vec<SocketAddr>)>,
    /// What is known of the steps to come, from the last first.
    known: Vec<Known>,
    /// What the last step took, if that is not the time since it began.
    pub(super) took: Option<Option<Duration>>,
    /// Whether all contexts are on this machine, where their processes can be looked at.
    is_local: bool,
}

impl Patient {
    pub(super) fn new(router: Router, connect: ConnectArgs) -> Self {
        Self {
            router,
            password: None,
            connect,
            binary: None,
            contexts: Vec::new(),
            place: None,
            known: Vec::new(),
            took: None,
            is_local: true,
        }
    }

    pub(super) fn has_contexts(&self) -> bool {
        !self.contexts.is_empty()
    }

    fn last(&self) -> Result<&Context, Trouble> {
        let missing = || trouble("there is no context", "report this: a step was left out");
        self.contexts.last().ok_or_else(missing)
    }
}

impl Step {
    /// The steps of a hop; those below the first start from what is there already.
    pub(super) fn of(hop: &Hop, depth: usize) -> &'static [Self] {
        const FIRST: [Step; 6] = [
            Step::Binary,
            Step::Program,
            Step::Connect,
            Step::RoundTrip,
            Step::Call,
            Step::Memory,
        ];
        const SSH: [Step; 11] = [
            Step::Binary,
            Step::Name,
            Step::Port,
            Step::HostKey,
            Step::Login,
            Step::Directory,
            Step::Upload,
            Step::Handshake,
            Step::RoundTrip,
            Step::Call,
            Step::Memory,
        ];
        const BECOME: [Step; 8] = [
            Step::Binary,
            Step::Login,
            Step::Directory,
            Step::Upload,
            Step::Handshake,
            Step::RoundTrip,
            Step::Call,
            Step::Memory,
        ];
        match (hop, depth) {
            (Hop::Local, 0) => &FIRST,
            // A context starts its children from its own program.
            (Hop::Local, _) => &FIRST[2..],
            (Hop::Ssh { .. }, 0) => &SSH,
            // The network of another machine is seen by its client only.
            (Hop::Ssh { .. }, _) => &SSH[3..],
            (_, 0) => &BECOME,
            (_, _) => &BECOME[1..],
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Program => "program",
            Self::Name => "name",
            Self::Port => "port",
            Self::HostKey => "host-key",
            Self::Login => "login",
            Self::Directory => "directory",
            Self::Upload => "upload",
            Self::Handshake => "handshake",
            Self::Connect => "connect",
            Self::RoundTrip => "round-trip",
            Self::Call => "call",
            Self::Memory => "memory",
            Self::Shutdown => "shutdown",
        }
    }

    /// Does it; gives what was found.
    pub(super) async fn run(self, patient: &mut Patient, hop: &Hop) -> Result<String, Trouble> {
        match self {
            Self::Binary => find(patient),
            Self::Program => try_program(patient).await,
            Self::Name => {
                let (hop, connect) = (hop.clone(), patient.connect.clone());
                let found = blocking(move || reach::resolve(&hop, &connect)).await?;
                patient.place = Some((found.0, found.1));
                Ok(found.2)
            }
            Self::Port => {
                let (place, addresses) = patient.place.take().ok_or_else(left_out)?;
                let patience = patient.connect.connect_timeout;
                blocking(move || reach::knock(&place, &addresses, patience)).await
            }
            Self::HostKey => access(patient, hop, &ACCESS, self).await,
            Self::Login => access(patient, hop, &ACCESS[1..], self).await,
            Self::Directory | Self::Upload | Self::Handshake => {
                access(patient, hop, &[], self).await
            }
            Self::Connect => connect(patient, hop).await,
            Self::RoundTrip => round_trip(patient.last()?).await,
            Self::Call => call(patient.last()?).await,
            Self::Memory => memory(patient),
            Self::Shutdown => shutdown(patient).await,
        }
    }
}

fn find(patient: &mut Patient) -> Result<String, Trouble> {
    const HELP: &str = "set OFFSHOOT_CHILD to the `offshoot-child` of this build, or put it \
                        beside `offshoot`; a build of `cargo install` carries one";
    let binary = ChildBinary::find(None).map_err(|error| trouble(error, HELP))?;
    let path = Path::new(&binary.path);
    let unusable = |why: String| trouble(format!("{}: {why}", binary.name()), HELP);
    let data = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if !data.is_file() {
        return Err(unusable("it is not a file".to_owned()));
    }
    let detail = format!("{}, {}", binary.name(), mebibytes(data.len()));
    patient.binary = Some(binary);
    Ok(detail)
}

async fn try_program(patient: &Patient) -> Result<String, Trouble> {
    let Some(binary) = patient.binary.clone() else {
        return Err(trouble(
            "there is no program",
            "report this: a step was left out",
        ));
    };
    let said = tokio::task::spawn_blocking(move || version_of(&binary)).await;
    said.unwrap_or_else(|error| Err(trouble(error, "report this: a step crashed")))
}

/// Has the program say its version, and looks whether it is one of ours.
fn version_of(binary: &ChildBinary) -> Result<String, Trouble> {
    let name = binary.name();
    let start = Command::new(&binary.path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = start.map_err(|error| {
        trouble(
            format!("cannot start {name}: {error}"),
            "it must be an executable file for this machine's processor, on a file system that \
             allows execution",
        )
    })?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
            late => {
                let _ = child.kill();
                let _ = child.wait();
                let why = match late {
                    Err(error) => error.to_string(),
                    _ => format!("it did not end within {} s", PATIENCE.as_secs()),
                };
                return Err(trouble(
                    format!("{name} --version: {why}"),
                    "it is another program; use the `offshoot-child` of this build",
                ));
            }
        }
    };
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        let _ = output.take(1024).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    let said = said.lines().next().unwrap_or_default().trim();
    if !said.starts_with("offshoot-child ") {
        let found = match said {
            "" => format!("nothing, and ended with {status}"),
            said => format!("`{said}`"),
        };
        return Err(trouble(
            format!("{name} --version says {found}"),
            "it is another program; use the `offshoot-child` of this build",
        ));
    }
    match said.contains(&format!("(build {BUILD_ID})")) {
        true => Ok(said.to_owned()),
        false => Err(trouble(
            format!("{name} is {said}, and this program is of build {BUILD_ID}"),
            "both must be built from the same sources: build them again, or unset OFFSHOOT_CHILD",
        )),
    }
}

/// The steps that are one action of the library's.
const ACCESS: [Step; 5] = [
    Step::HostKey,
    Step::Login,
    Step::Directory,
    Step::Upload,
    Step::Handshake,
];

/// Makes the context in the first of these steps, and tells what came of the others in turn.
async fn access(
    patient: &mut Patient,
    hop: &Hop,
    steps: &[Step],
    step: Step,
) -> Result<String, Trouble> {
    if patient.known.is_empty() && !steps.is_empty() {
        patient.is_local &= !matches!(hop, Hop::Ssh { .. });
        let _ = journal::take();
        let began = Instant::now();
        let wanted = ConnectRequest {
            hop,
            parent: patient.contexts.last(),
            name: None,
            password: patient.password.as_ref(),
            connect: &patient.connect,
        };
        let made = wanted.make(&patient.router).await;
        let said = journal::take();
        patient.known = access::results(steps, began, &said, made.as_ref().map(|_| ()));
        patient.known.reverse();
        patient.contexts.extend(made);
    }
    match patient.known.pop() {
        Some((known, took, result)) if known == step => {
            patient.took = Some(took);
            result
        }
        _ => Err(left_out()),
    }
}

fn left_out() -> Trouble {
    trouble("it was not looked at", "report this: a step was left out")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(trouble(error, "report this: a step crashed")))
}

async fn connect(patient: &mut Patient, hop: &Hop) -> Result<String, Trouble> {
    let wanted = ConnectRequest {
        hop,
        parent: patient.contexts.last(),
        name: None,
        password: patient.password.as_ref(),
        connect: &patient.connect,
    };
    let context = wanted.make(&patient.router).await.map_err(|error| {
        trouble(
            error,
            "the program above starts by itself, so look at what this machine allows: \
             `ulimit -a`, the log with `-v`, and `--connect-timeout` if it is slow",
        )
    })?;
    let detail = format!("context {} is up: {}", context.id(), context.name());
    patient.contexts.push(context);
    Ok(detail)
}

async fn round_trip(context: &Context) -> Result<String, Trouble> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let message = Message::from_bytes(NOBODY, Vec::new());
        let answer = context.send_await::<()>(message, Some(ANSWER)).await;
        let wrong = match answer {
            Err(Error::Channel(error)) if error.kind == ChannelErrorKind::NoHandle => None,
            Err(error) => Some(error.to_string()),
            Ok(()) => Some("someone listens where nobody should".to_owned()),
        };
        if let Some(wrong) = wrong {
            return Err(trouble(
                wrong,
                "the context came up and does not answer: see its log with `-v`, and whether its \
                 process still runs",
            ));
        }
        fastest = fastest.min(began.elapsed());
    }
    let micros = fastest.as_micros();
    Ok(format!(
        "{ROUNDS} there and back, the fastest in {micros} us"
    ))
}

async fn call(context: &Context) -> Result<String, Trouble> {
    let failed = |what: String| {
        trouble(
            what,
            "messages arrive, so look at memory and its limits there (`ulimit -v`), and at the \
             cache of compiled plugins, `~/.cache/offshoot`",
        )
    };
    let plugin = plugin::plugin().map_err(|error| failed(error.to_string()))?;
    let context = context.with_timeout(ANSWER);
    let call = context.call_raw(&plugin, plugin::FUNCTION, &[]);
    let answer = call.await.map_err(|error| failed(error.to_string()))?;
    match answer[..] == plugin::ANSWER {
        true => Ok("a plugin was shipped, called, and answered".to_owned()),
        false => Err(failed("the plugin's answer is wrong".to_owned())),
    }
}

/// What the process occupies, where we can see it.
fn memory(patient: &Patient) -> Result<String, Trouble> {
    let context = patient.last()?;
    // A name that we did not choose ends with the process.
    let process = context.name().rsplit('.').next().unwrap_or_default();
    let is_process = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    if !patient.is_local || !is_process {
        return Ok("not seen from here".to_owned());
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| {
        trouble(
            format!("process {process} cannot be looked at: {error}"),
            "see whether it was killed: `dmesg`, and the limits of memory here",
        )
    })?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    match kib {
        Some(kib) => Ok(format!(
            "process {process} occupies {}",
            mebibytes(kib * 1024)
        )),
        None => Ok("not told by this system".to_owned()),
    }
}

async fn shutdown(patient: &mut Patient) -> Result<String, Trouble> {
    let contexts = std::mem::take(&mut patient.contexts);
    let end = async {
        for context in contexts.iter().rev() {
            context.shutdown_wait().await;
        }
    };
    match tokio::time::timeout(PATIENCE, end).await {
        Ok(()) => Ok(match contexts.len() {
            1 => "the context ended in order".to_owned(),
            count => format!("all {count} contexts ended in order"),
        }),
        Err(_) => Err(trouble(
            format!("a context still runs after {} s", PATIENCE.as_secs()),
            "its process may hang in the system: look for `offshoot:` in `ps -ef`",
        )),
    }
}

fn mebibytes(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "it is rounded for people anyway"
    )]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    format!("{mebibytes:.1} MiB")
}
