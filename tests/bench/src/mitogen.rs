//! Mitogen's side: a Python process that measures itself and prints what it measured.
//!
//! It holds its own clock, so that what it takes to ask it is not in the figures.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::processes::end;
use crate::row::{
    BESIDE, BESIDE_BULK, BULK, CHAIN, CHAIN_ROUND_TRIPS, ECHO, IDLE, MANY, OUTSTANDING, PAUSE,
    ROUND_TRIPS, Row, SCATTERED, STREAM_ITEM, SshRow, WINDOW, WINDOWS,
};
use crate::side::{Sample, Side};
use crate::site::{PASSWORD, Site, USER};

const SCRIPT: &str = include_str!("mitogen_side.py");
const FUNCTIONS: &str = include_str!("bench_functions.py");

pub(crate) struct Mitogen {
    python: PathBuf,
    script: PathBuf,
    peer: PathBuf,
}

impl Mitogen {
    /// Lays the scripts beside this program: Mitogen ships modules that it finds as files.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let program = std::env::current_exe()?;
        let folder = program.with_file_name("bench-mitogen");
        fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        let script = folder.join("mitogen_side.py");
        fs::write(&script, SCRIPT)?;
        fs::write(folder.join("bench_functions.py"), FUNCTIONS)?;
        Ok(Self {
            python: arguments.python.clone(),
            script,
            peer: arguments.peer.clone(),
        })
    }
}

impl Side for Mitogen {
    fn name(&self) -> &'static str {
        "mitogen"
    }

    fn prepare(&self, row: Row) -> Result<Option<Sample>> {
        // It has no binary to ship: it needs a Python on the other side.
        if row == Row::ChildBinaryGz {
            return Ok(None);
        }
        let site = match row {
            Row::Ssh(_, line) => Some(Site::new(line, &self.peer)?),
            _ => None,
        };
        let round_trips = match row {
            Row::Ssh(_, line) => line.round_trips(),
            _ => ROUND_TRIPS,
        };
        let mut helper = Helper::start(&self.python, &self.script)?;
        helper.write(&json!({
            "row": row.name(),
            "sizes": {
                "chain": CHAIN,
                "chain_round_trips": CHAIN_ROUND_TRIPS,
                "beside": BESIDE,
                "beside_bulk": BESIDE_BULK,
                "bulk": BULK,
                "stream_item": STREAM_ITEM,
                "echo": ECHO,
                "idle": IDLE,
                "many": MANY,
                "outstanding": OUTSTANDING,
                "pause": PAUSE,
                "scattered": SCATTERED,
                "round_trips": round_trips,
                "window": WINDOW,
                "windows": WINDOWS,
            },
            "site": site.as_ref().map(|site| json!({
                "port": site.port(),
                "username": USER,
                "identity_file": site.identity(),
                "password": PASSWORD,
            })),
        }))?;
        Ok(Some(Box::new(move || {
            let value = helper.sample()?;
            if let (Some(site), Row::Ssh(SshRow::Warm | SshRow::Cold | SshRow::Many, _)) =
                (&site, row)
            {
                site.settle()?;
            }
            Ok(value)
        })))
    }
}

struct Helper {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    fn start(python: &Path, script: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", python.display()))?;
        let requests = child.stdin.take();
        let answers = child.stdout.take().context("a child without pipes")?;
        Ok(Self {
            child,
            requests,
            answers: BufReader::new(answers),
        })
    }

    fn write(&mut self, request: &Value) -> Result<()> {
        let requests = self.requests.as_mut().context("closed")?;
        writeln!(requests, "{request}").context("the Python side ended")
    }

    fn sample(&mut self) -> Result<f64> {
        self.write(&Value::Null)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value =
            serde_json::from_str(&line).context("the Python side ended; its complaint is above")?;
        answer["value"]
            .as_f64()
            .context("an answer without a value")
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // The end of its input is what tells it to shut its children down.
        self.requests = None;
        end(&mut self.child);
    }
}
