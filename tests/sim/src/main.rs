//! Runs many schedules: `cargo run -p sim -- --seeds 100000 --from 1`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut seeds = sim::SEEDS;
    let mut from = 1;
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let target = match option.as_str() {
            "--seeds" => &mut seeds,
            "--from" => &mut from,
            _ => bail!("no option `{option}`; there are `--seeds N` and `--from M`"),
        };
        let value = arguments
            .next()
            .with_context(|| format!("`{option}` needs a number"))?;
        *target = value
            .parse()
            .with_context(|| format!("`{value}` is not a number"))?;
    }
    match sim::run_many(from, seeds) {
        Ok(digest) => println!("{seeds} schedules from seed {from} held; digest {digest:016x}"),
        Err(failure) => bail!("{failure}"),
    }
    Ok(())
}
