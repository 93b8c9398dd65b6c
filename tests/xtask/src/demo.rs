//! Shows what the project is for, on this machine, in one command.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::artifacts::{self, Profile};
use crate::command::{run, shown, step};
use crate::setup;
use crate::workspace::root;

pub(crate) const HELP: &str = "\
Builds the `offshoot` command, which carries its static child, and two plugins. Then runs both
in child processes: `facts`, in eight of them at once, and `digest`, over a real tree of files.
Prints what they found and what each step took, and the commands, which work by hand as well.

Usage: cargo xtask demo [--release] [--tree DIRECTORY]

  --release         build the command as a user would install it (takes longer)
  --tree DIRECTORY  the tree that `digest` reads (default /usr)

The plugins run in a sandbox, and see only the directories that these commands grant them.";

const CHILDREN: usize = 8;
/// A smaller tree would show little.
const FILES_MIN: u64 = 10_000;

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let (profile, tree) = parse(arguments)?;
    setup::prepare()?;
    let cli = step("building the command and its child", || {
        artifacts::cli(profile)
    })?;
    let offshoot = Offshoot { cli };
    step("building the plugins", || {
        offshoot.build_plugin("plugins/facts")?;
        offshoot.build_plugin("plugins/digest")
    })?;

    let targets = format!("local*{CHILDREN}");
    let facts = offshoot.call(&[
        &targets,
        "facts::all",
        "--grant-wanted",
        "--grant",
        "read:/proc",
    ])?;
    println!("facts::all in {CHILDREN} children: {}", millis(facts.took));
    for answer in &facts.answers {
        println!("   {}", describe_facts(answer));
    }
    if facts.answers.len() != CHILDREN {
        bail!("{} of {CHILDREN} children answered", facts.answers.len());
    }

    let grant = format!("read:{tree}");
    let digest = offshoot.call(&["local", "digest::tree", &tree, "blake3", "--grant", &grant])?;
    let answer = digest.answers.first().context("digest gave no answer")?;
    println!(
        "digest::tree of {tree} in one child: {}",
        millis(digest.took)
    );
    println!("   {}", describe_digest(answer));
    match answer.value["files"].as_u64() {
        Some(files) if files >= FILES_MIN => Ok(()),
        files => {
            let files = files.unwrap_or_default();
            println!("note: {tree} has only {files} files; `--tree` names a larger tree");
            Ok(())
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Profile, String)> {
    let (mut profile, mut tree) = (Profile::Dev, "/usr".to_owned());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--release" => profile = Profile::Release,
            "--tree" => tree = words.next().context("--tree needs a directory")?.clone(),
            other => bail!("demo does not know `{other}`; see `cargo xtask demo --help`"),
        }
    }
    let absolute = std::path::absolute(&tree).with_context(|| format!("bad path {tree}"))?;
    if !absolute.is_dir() {
        bail!("{} is not a directory", absolute.display());
    }
    Ok((profile, absolute.to_string_lossy().into_owned()))
}

/// The command, used as a user would.
struct Offshoot {
    cli: PathBuf,
}

/// What one use of it printed.
struct Called {
    answers: Vec<Answer>,
    /// From typing it to having everything, children started and ended.
    took: Duration,
}

struct Answer {
    target: String,
    value: Value,
    elapsed: Duration,
}

impl Offshoot {
    fn build_plugin(&self, path: &str) -> Result<()> {
        run(self.command()?.args(["plugin", "build", path]))
    }

    fn call(&self, arguments: &[&str]) -> Result<Called> {
        let mut command = self.command()?;
        command.arg("call").args(arguments);
        // Shown as a person would type it, who would not ask for JSON.
        println!("\n$ offshoot call {}", arguments.join(" "));
        command.arg("--json").arg("--quiet").stdin(Stdio::null());
        let start = Instant::now();
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("could not start `{}`", shown(&command)))?;
        let took = start.elapsed();
        if !output.status.success() {
            print!("{}", String::from_utf8_lossy(&output.stdout));
            bail!("`{}` failed with {}", shown(&command), output.status);
        }
        let text = String::from_utf8(output.stdout).context("the answers are not UTF-8")?;
        let mut answers = text.lines().map(answer).collect::<Result<Vec<_>>>()?;
        answers.sort_by(|a, b| a.target.cmp(&b.target));
        Ok(Called { answers, took })
    }

    /// At the top of the checkout, where it finds the plugins that it built.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.cli);
        command.current_dir(root()?);
        Ok(command)
    }
}

fn answer(line: &str) -> Result<Answer> {
    let parsed: Value =
        serde_json::from_str(line).with_context(|| format!("not a line of JSON: {line}"))?;
    let target = parsed["target"].as_str();
    let elapsed = parsed["elapsed_us"].as_u64();
    let (Some(target), Some(elapsed), Some(true)) = (target, elapsed, parsed["ok"].as_bool())
    else {
        bail!("not the answer of a call that succeeded: {line}");
    };
    Ok(Answer {
        target: target.to_owned(),
        value: parsed["value"].clone(),
        elapsed: Duration::from_micros(elapsed),
    })
}

fn describe_facts(answer: &Answer) -> String {
    let facts = &answer.value;
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let days = facts["uptime"]["seconds"].as_f64().unwrap_or_default() / 86_400.0;
    let total = facts["memory"]["total"].as_u64().unwrap_or_default();
    let count = |name: &str| facts[name].as_array().map_or(0, Vec::len);
    format!(
        "{:<9} {}, {}, {} {}, up {days:.1} days, {:.1} GiB, {} mounts, {} users: {}",
        answer.target,
        text(&facts["hostname"]),
        text(&facts["distribution"]["pretty_name"]),
        text(&facts["kernel"]["name"]),
        text(&facts["kernel"]["release"]),
        total as f64 / f64::from(1 << 30),
        count("mounts"),
        count("users"),
        millis(answer.elapsed),
    )
}

fn describe_digest(answer: &Answer) -> String {
    let report = &answer.value;
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let bytes = number("bytes") as f64;
    let digest = report["digest"].as_str().unwrap_or("?");
    format!(
        "{:<9} {} files, {:.2} GB, {} directories, {} skipped, {:.0} MB/s, blake3 {}: {}",
        answer.target,
        number("files"),
        bytes / 1e9,
        number("directories"),
        number("skipped_count"),
        bytes / 1e6 / answer.elapsed.as_secs_f64(),
        digest.get(..16).unwrap_or(digest),
        millis(answer.elapsed),
    )
}

fn millis(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        long if long >= 1000.0 => format!("{:.2} s", long / 1e3),
        short => format!("{short:.1} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_failed_call_is_not_one() {
        let good = r#"{"target":"local#1","ok":true,"value":{"files":3},"elapsed_us":1500}"#;
        let parsed = answer(good).unwrap();
        assert_eq!(parsed.target, "local#1");
        assert_eq!(parsed.elapsed, Duration::from_micros(1500));
        assert_eq!(parsed.value["files"], 3);
        let bad = r#"{"target":"local#1","ok":false,"error":"gone","elapsed_us":1}"#;
        assert!(answer(bad).is_err());
        assert!(answer("noise").is_err());
    }

    #[test]
    fn what_is_missing_is_shown_as_unknown() {
        let empty = Answer {
            target: "local#1".to_owned(),
            value: Value::Null,
            elapsed: Duration::from_micros(1500),
        };
        assert!(describe_facts(&empty).starts_with("local#1   ?, ?, ? ?"));
        assert!(describe_digest(&empty).ends_with("blake3 ?: 1.5 ms"));
    }
}
