//! Measures Offshoot beside Mitogen and beside the machine's own limit.
//!
//! Every row is measured for all sides in the same run, and the sides take turns sample by
//! sample, so that whatever else the machine does falls on all of them. What matters is the
//! ratio; an absolute time says more about the machine than about us.

mod arguments;
mod bare_loop;
mod limit;
mod limit_ssh;
mod mitogen;
mod ours;
mod ours_ssh;
mod processes;
mod report;
mod row;
mod side;
mod site;
mod statistics;
mod watchdog;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::arguments::Arguments;
use crate::report::Measured;
use crate::row::Row;
use crate::side::{Sample, Side};
use crate::watchdog::Watchdog;

fn main() -> ExitCode {
    // The limit of pipelined calls needs a second process of this program.
    let mut words = std::env::args().skip(1);
    if let (Some(first), Some(module)) = (words.next(), words.next())
        && first == bare_loop::FLAG
    {
        let served = bare_loop::serve(module.as_ref());
        return finish(served.map_err(|error| anyhow::anyhow!("{error:#}")));
    }
    finish(Arguments::parse(std::env::args().skip(1)).and_then(|arguments| measure(&arguments)))
}

fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    processes::adopt_orphans().context("could not become the reaper of what this starts")?;
    let sides = side::all(arguments)?;
    let machine = machine();
    let placement = if arguments.one_core {
        processes::share_one_core().context("could not keep to one core")?;
        "all processes on one core"
    } else {
        "processes wherever the kernel puts them, which alone moves small calls tenfold: \
         compare with --one-core before you trust those rows"
    };
    let watchdog = Watchdog::start();
    let rows = Row::ALL.iter().filter(|row| arguments.wants(row));
    let mut table = Vec::new();
    for row in rows {
        eprint!("{} ", row.name());
        table.push(measure_row(*row, &sides, arguments.rounds, &watchdog));
        eprintln!();
    }
    println!("{machine}; {placement}\n\n{}", report::table(&table));
    if let Some(path) = &arguments.json {
        std::fs::write(path, report::json_lines(&table))
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    // Whoever looks only at the status must not take a gap for a result.
    match table
        .iter()
        .filter(|measured| !measured.is_complete())
        .count()
    {
        0 => Ok(()),
        failed => bail!("{failed} rows are not complete; the notes below the table say why"),
    }
}

/// What a reader must know about the machine to judge the spread.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load: Option<f64> = std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok());
    match load {
        Some(load) if load > cores as f64 / 2.0 => format!(
            "{cores} cores, load {load} before the run: the machine is busy with other things, \
             and the ratios are rough"
        ),
        Some(load) => format!("{cores} cores, load {load} before the run"),
        None => format!("{cores} cores"),
    }
}

/// Measures one row; a side that fails is noted and left out, and the others go on.
fn measure_row(row: Row, sides: &[Box<dyn Side>], rounds: usize, watchdog: &Watchdog) -> Measured {
    let mut measured = Measured::new(row);
    let mut samplers: Vec<(&'static str, Sample)> = Vec::new();
    for side in sides {
        let prepared = watchdog.guard(row.sample_max(), || {
            let Some(mut sample) = side.prepare(row)? else {
                return Ok(None);
            };
            // The first one pays for what later ones find ready.
            sample()?;
            Ok(Some(sample))
        });
        match prepared {
            Ok(Some(sample)) => samplers.push((side.name(), sample)),
            Ok(None) => {}
            Err(error) => measured.note(side.name(), &error),
        }
    }
    for round in 0..row.rounds(rounds) {
        // Nobody always goes first.
        if !samplers.is_empty() {
            let shift = round % samplers.len();
            samplers.rotate_left(shift);
        }
        samplers.retain_mut(
            |(name, sample)| match watchdog.guard(row.sample_max(), sample) {
                Ok(value) => {
                    measured.push(name, value);
                    true
                }
                Err(error) => {
                    measured.note(name, &error);
                    false
                }
            },
        );
        eprint!(".");
    }
    drop(samplers);
    if let Some(left) = processes::clean_up() {
        measured.note(
            "harness",
            &anyhow::anyhow!("processes left and killed: {left}"),
        );
    }
    measured
}
