//! `offshoot plugin build`: compiles a crate, and puts the module where calls find it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use offshoot_build::{Artifact, Build, BuildError, Profile, TARGET};

use super::size;
use crate::args::BuildArgs;
use crate::output;
use crate::report::Diagnostic;

/// Where plugins are found by name, inside the directory that the build keeps.
const PLUGINS: &str = "plugins";

pub(super) fn run(args: &BuildArgs) -> Result<ExitCode, Diagnostic> {
    let profile = match args.debug {
        true => Profile::Dev,
        false => Profile::Release,
    };
    let artifact = Build::new(&args.path)
        .profile(profile)
        .show_output()
        .build()
        .map_err(|error| refused(&error))?;
    let wasm = publish(&artifact)?;
    let manifest = &artifact.inspection.manifest;
    let functions: Vec<String> = manifest
        .functions
        .iter()
        .map(|function| format!("  {function}"))
        .collect();
    output::text(&crate::printable::printable(&format!(
        "built {} {}: {} ({})\n{}",
        manifest.plugin,
        manifest.version,
        from_here(&wasm).display(),
        size(artifact.inspection.size),
        functions.join("\n")
    )))
}

/// Copies the module to where it is found by its name.
fn publish(artifact: &Artifact) -> Result<PathBuf, Diagnostic> {
    let target = artifact
        .wasm
        .ancestors()
        .find(|path| path.ends_with(TARGET));
    let Some(output) = target.and_then(Path::parent) else {
        return Ok(artifact.wasm.clone());
    };
    let plugins = output.join(PLUGINS);
    let file = plugins.join(format!("{}.wasm", artifact.inspection.manifest.plugin));
    // A call may be reading the old module at this moment, so the new one takes its place whole.
    let copied = fs::create_dir_all(&plugins)
        .and_then(|()| tempfile::NamedTempFile::new_in(&plugins))
        .and_then(|new| {
            fs::copy(&artifact.wasm, new.path())?;
            new.persist(&file).map_err(|error| error.error)
        });
    match copied {
        Ok(_) => Ok(file),
        Err(error) => Err(Diagnostic::failed(format!(
            "cannot write {}: {error}",
            file.display()
        ))),
    }
}

fn refused(error: &BuildError) -> Diagnostic {
    // Cargo has just printed the rest.
    if let BuildError::Compile { package, .. } = error {
        return Diagnostic::failed(format!("plugin `{package}` does not compile"));
    }
    let text = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let problem = Diagnostic::failed(text);
    match error {
        BuildError::NoCrate { .. } => problem
            .help("name the crate's directory, or make a crate with `offshoot plugin new NAME`"),
        _ => problem,
    }
}

/// The path as seen from the current directory, if it is below it.
fn from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok())
        .unwrap_or(path)
}
