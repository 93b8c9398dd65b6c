//! What `cargo xtask bench` passes on.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::row::Row;

const ROUNDS: usize = 30;

pub(crate) struct Arguments {
    /// A Python that can import Mitogen.
    pub(crate) python: PathBuf,
    /// The static peer that stands for the machine's limit.
    pub(crate) peer: PathBuf,
    /// The benchmark's plugin, compiled to wasm from the crate that is named.
    pub(crate) plugin: PathBuf,
    /// The same of the one that sends a stream.
    pub(crate) stream: PathBuf,
    pub(crate) json: Option<PathBuf>,
    pub(crate) rounds: usize,
    /// Whether all processes share one core; see `processes::share_one_core`.
    pub(crate) one_core: bool,
    sides: Option<String>,
    filter: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut python, mut peer, mut plugin, mut stream) = (None, None, None, None);
        let mut one_core = false;
        let (mut json, mut sides, mut filter, mut rounds) = (None, None, None, ROUNDS);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--python" => python = Some(value()?),
                "--peer" => peer = Some(value()?),
                "--plugin" => plugin = Some(value()?),
                "--stream" => stream = Some(value()?),
                "--json" => json = Some(value()?.into()),
                "--sides" => sides = Some(value()?),
                "--one-core" => one_core = true,
                "--rounds" => {
                    rounds = value()?.parse().context("--rounds takes a number")?;
                }
                other if other.starts_with('-') => bail!("unknown option `{other}`"),
                _ => filter = Some(word),
            }
        }
        let needed = |path: Option<String>, name| {
            path.map(PathBuf::from)
                .with_context(|| format!("{name} is missing; run this as `cargo xtask bench`"))
        };
        Ok(Self {
            python: needed(python, "--python")?,
            peer: needed(peer, "--peer")?,
            plugin: compiled(needed(plugin, "--plugin")?)?,
            stream: compiled(needed(stream, "--stream")?)?,
            json,
            rounds: rounds.max(1),
            one_core,
            sides,
            filter,
        })
    }

    /// A filter that is the name of a row is not a part of others.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        let Some(filter) = self.filter.as_deref() else {
            return true;
        };
        let name = row.name();
        match Row::ALL.iter().any(|row| row.name() == filter) {
            true => name == filter,
            false => name.contains(filter),
        }
    }

    pub(crate) fn wants_side(&self, name: &str) -> bool {
        let sides = self.sides.as_deref();
        sides.is_none_or(|sides| sides.split(',').any(|side| side == name))
    }
}

fn compiled(plugin: PathBuf) -> Result<PathBuf> {
    let built = offshoot_build::Build::new(plugin).show_output().build();
    Ok(built.context("could not compile the plugin")?.wasm)
}
