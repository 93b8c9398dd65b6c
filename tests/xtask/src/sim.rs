//! Runs simulated trees, more of them than a test run does.

use anyhow::Result;

use crate::command::run;
use crate::workspace::cargo_here;

pub(crate) const HELP: &str = "\
Runs trees of real nodes over a simulated network: random contexts, calls, cancels, kills, cuts
at any byte, stalls and evil processes, compared with a model after every step. A schedule that
goes wrong is printed with `SIM_SEED=N`; `SIM_SEED=N cargo test -p sim` replays it.

Usage: cargo xtask sim [--seeds N] [--from M]

  --seeds N   how many schedules (default 1000000)
  --from M    the first seed (default: the seconds since 1970, so that each run sees others)";

pub(crate) fn main(arguments: &[String]) -> Result<()> {
    let mut sim = cargo_here()?;
    sim.args(["run", "--quiet", "--release", "--package", "sim", "--"]);
    sim.args(["--seeds", "1000000"]);
    if !arguments.iter().any(|argument| argument == "--from") {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        sim.args(["--from", &now.as_secs().to_string()]);
    }
    run(sim.args(arguments))
}
