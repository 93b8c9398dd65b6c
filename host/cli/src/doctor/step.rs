//! The steps to a context: what each does, and why it can fail.

use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::access::{self, Known};
use super::step_log::StepLog;
use super::{Hop, plugin, reach};
use crate::args::ConnectArgs;
use crate::reach::ConnectRequest;
use offshoot::{ChannelErrorKind, Context, Error, Message, Password, Router};
use offshoot_node::BUILD_ID;
use offshoot_node::launch::ChildBinary;

/// How long a program may take to print its version, and contexts to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// Round trips, of which the fastest is reported: the first ones wake processes up.
const ROUNDS: usize = 10;

/// A handle without a subscriber: the far end refuses it, which proves the way there and back.
const UNUSED_HANDLE: u64 = u64::MAX - 1;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is a program to start.
    Binary,
    /// It starts on this machine, and is of the same build.
    Program,
    /// The host's name resolves.
    Name,
    /// An ssh server answers at the port.
    Port,
    /// The server's key is trusted.
    HostKey,
    /// The user is authenticated, and a shell runs the command.
    Login,
    /// There is a directory for the child.
    Directory,
    /// The child is sent, unless it is there already.
    Upload,
    /// The child starts and says hello.
    Handshake,
    /// It becomes a context: start, hello, welcome.
    Connect,
    /// Messages go there and back.
    RoundTrip,
    /// A plugin is compiled for it, shipped, loaded and called.
    Call,
    /// Its memory is measured.
    Memory,
    /// It ends when it is asked to.
    Shutdown,
}

/// Why a step failed, and what to do.
#[derive(Debug)]
pub(super) struct StepFailure {
    pub(super) what: String,
    pub(super) help: String,
}

pub(super) fn failure(what: impl ToString, help: &str) -> StepFailure {
    StepFailure {
        what: what.to_string(),
        help: help.to_owned(),
    }
}

/// What the steps so far have made and found.
pub(super) struct Checkup {
    router: Router,
    /// For the hop whose steps run.
    pub(super) password: Option<Password>,
    connect: ConnectArgs,
    binary: Option<ChildBinary>,
    contexts: Vec<Context>,
    /// The address of the hop.
    endpoint: Option<(reach::Endpoint, Vec<SocketAddr>)>,
    /// Results of the steps to come, the last one first.
    known: Vec<Known>,
    /// What the last step took, if that is not the time since it started.
    pub(super) took: Option<Option<Duration>>,
    /// Whether all contexts are on this machine, where their processes can be looked at.
    is_local: bool,
}

impl Checkup {
    pub(super) fn new(router: Router, connect: ConnectArgs) -> Self {
        Self {
            router,
            password: None,
            connect,
            binary: None,
            contexts: Vec::new(),
            endpoint: None,
            known: Vec::new(),
            took: None,
            is_local: true,
        }
    }

    pub(super) fn has_contexts(&self) -> bool {
        !self.contexts.is_empty()
    }

    /// The context of a hop behind those that there are.
    fn request<'a>(&'a self, hop: &'a Hop) -> ConnectRequest<'a> {
        ConnectRequest {
            hop,
            parent: self.contexts.last(),
            name: None,
            password: self.password.as_ref(),
            connect: &self.connect,
            on_progress: Box::new(|_| ()),
        }
    }

    fn last(&self) -> Result<&Context, StepFailure> {
        let missing = || failure("no context was made", "report this: a step was left out");
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

    /// Runs the step; gives what it has found.
    pub(super) async fn run(self, checkup: &mut Checkup, hop: &Hop) -> Result<String, StepFailure> {
        match self {
            Self::Binary => find(checkup),
            Self::Program => try_program(checkup).await,
            Self::Name => {
                let (hop, connect) = (hop.clone(), checkup.connect.clone());
                let found = blocking(move || reach::resolve(&hop, &connect)).await?;
                checkup.endpoint = Some((found.0, found.1));
                Ok(found.2)
            }
            Self::Port => {
                let (endpoint, addresses) = checkup.endpoint.take().ok_or_else(left_out)?;
                let patience = checkup.connect.connect_timeout;
                blocking(move || reach::probe_port(&endpoint, &addresses, patience)).await
            }
            Self::HostKey => access(checkup, hop, &ACCESS, self).await,
            Self::Login => access(checkup, hop, &ACCESS[1..], self).await,
            Self::Directory | Self::Upload | Self::Handshake => {
                access(checkup, hop, &[], self).await
            }
            Self::Connect => connect(checkup, hop).await,
            Self::RoundTrip => round_trip(checkup.last()?).await,
            Self::Call => call(checkup.last()?).await,
            Self::Memory => memory(checkup),
            Self::Shutdown => shutdown(checkup).await,
        }
    }
}

fn find(checkup: &mut Checkup) -> Result<String, StepFailure> {
    const HELP: &str = "set OFFSHOOT_CHILD to the `offshoot-child` of this build, or put it \
                        beside `offshoot`; a build of `cargo install` carries one";
    let binary = ChildBinary::find(None).map_err(|error| failure(error, HELP))?;
    let path = Path::new(&binary.path);
    let unusable = |why: String| failure(format!("{}: {why}", binary.name()), HELP);
    let data = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if !data.is_file() {
        return Err(unusable("it is not a file".to_owned()));
    }
    let detail = format!("{}, {}", binary.name(), mebibytes(data.len()));
    checkup.binary = Some(binary);
    Ok(detail)
}

async fn try_program(checkup: &Checkup) -> Result<String, StepFailure> {
    let Some(binary) = checkup.binary.clone() else {
        return Err(failure(
            "no program was found",
            "report this: a step was left out",
        ));
    };
    let said = tokio::task::spawn_blocking(move || version_of(&binary)).await;
    said.unwrap_or_else(|error| Err(failure(error, "report this: a step crashed")))
}

/// Runs the program for its version, and checks that it is a child of this build.
fn version_of(binary: &ChildBinary) -> Result<String, StepFailure> {
    let name = binary.name();
    let start = Command::new(&binary.path)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut child = start.map_err(|error| {
        failure(
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
                return Err(failure(
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
        return Err(failure(
            format!("{name} --version says {found}"),
            "it is another program; use the `offshoot-child` of this build",
        ));
    }
    match said.contains(&format!("(build {BUILD_ID})")) {
        true => Ok(said.to_owned()),
        false => Err(failure(
            format!("{name} is {said}, and this program is of build {BUILD_ID}"),
            "both must be built from the same sources: build them again, or unset OFFSHOOT_CHILD",
        )),
    }
}

/// The steps that the library takes in one connection.
const ACCESS: [Step; 5] = [
    Step::HostKey,
    Step::Login,
    Step::Directory,
    Step::Upload,
    Step::Handshake,
];

/// Makes the context in the first of these steps, and gives the results of the others in turn.
async fn access(
    checkup: &mut Checkup,
    hop: &Hop,
    steps: &[Step],
    step: Step,
) -> Result<String, StepFailure> {
    if checkup.known.is_empty() && !steps.is_empty() {
        checkup.is_local &= !matches!(hop, Hop::Ssh { .. });
        let began = Instant::now();
        let log = StepLog::default();
        let request = ConnectRequest {
            on_progress: Box::new({
                let log = log.clone();
                move |event| log.record(event)
            }),
            ..checkup.request(hop)
        };
        let made = request.make(&checkup.router).await;
        let events = log.entries();
        checkup.known = access::results(steps, began, &events, made.as_ref().map(|_| ()));
        checkup.known.reverse();
        checkup.contexts.extend(made);
    }
    match checkup.known.pop() {
        Some((known, took, result)) if known == step => {
            checkup.took = Some(took);
            result
        }
        _ => Err(left_out()),
    }
}

fn left_out() -> StepFailure {
    failure("the step was not run", "report this: a step was left out")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StepFailure> + Send + 'static,
) -> Result<T, StepFailure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(failure(error, "report this: a step crashed")))
}

async fn connect(checkup: &mut Checkup, hop: &Hop) -> Result<String, StepFailure> {
    let request = checkup.request(hop);
    let context = request.make(&checkup.router).await.map_err(|error| {
        failure(
            error,
            "the program above starts by itself, so look at what this machine allows: \
             `ulimit -a`, the log with `-v`, and `--connect-timeout` if it is slow",
        )
    })?;
    let detail = format!("context {} is up: {}", context.id(), context.name());
    checkup.contexts.push(context);
    Ok(detail)
}

async fn round_trip(context: &Context) -> Result<String, StepFailure> {
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let message = Message::from_bytes(UNUSED_HANDLE, Vec::new());
        let answer = context.send_await::<()>(message, Some(ANSWER)).await;
        let wrong = match answer {
            Err(Error::Channel(error)) if error.kind == ChannelErrorKind::NoHandle => None,
            Err(error) => Some(error.to_string()),
            Ok(()) => Some("a handle that should be unused has a subscriber".to_owned()),
        };
        if let Some(wrong) = wrong {
            return Err(failure(
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

async fn call(context: &Context) -> Result<String, StepFailure> {
    let failed = |what: String| {
        failure(
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

/// What the process occupies, where it is on this machine.
fn memory(checkup: &Checkup) -> Result<String, StepFailure> {
    let context = checkup.last()?;
    // A name that the library chose ends with the process.
    let process = context.name().rsplit('.').next().unwrap_or_default();
    let is_process = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    if !checkup.is_local || !is_process {
        return Ok("not known here".to_owned());
    }
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| {
        failure(
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
        None => Ok("not known to this system".to_owned()),
    }
}

async fn shutdown(checkup: &mut Checkup) -> Result<String, StepFailure> {
    let contexts = std::mem::take(&mut checkup.contexts);
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
        Err(_) => Err(failure(
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
