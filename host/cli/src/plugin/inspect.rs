//! `offshoot plugin inspect`: what a module says about itself, without running it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use offshoot_abi::{FunctionInfo, IMPORT_MODULE, Inspection};
use serde_json::{Value, json};

use super::size;
use crate::args::InspectArgs;
use crate::finder::{self, Finder};
use crate::printable::printable;
use crate::report::Diagnostic;
use crate::{output, types};

pub(super) fn run(args: &InspectArgs) -> Result<ExitCode, Diagnostic> {
    let path = locate(args)?;
    let plugin = finder::open(&path)?;
    let inspection = plugin.inspection();
    match args.json {
        true => output::text(&output::json(&to_json(&path, inspection))),
        false => output::text(&printable(&to_text(&path, inspection))),
    }
}

/// A file, or the plugin of that name.
fn locate(args: &InspectArgs) -> Result<PathBuf, Diagnostic> {
    let is_name = args.file.components().count() == 1 && args.file.extension().is_none();
    match args.file.to_str() {
        Some(name) if is_name && !args.file.exists() => Finder::new(&args.search).find(name),
        _ => Ok(args.file.clone()),
    }
}

fn to_text(path: &Path, inspection: &Inspection) -> String {
    let manifest = &inspection.manifest;
    let mut text = format!(
        "plugin   {} {}\nfile     {}, {}\nbuilt    by SDK {} for ABI {}\nimports  {}\n",
        manifest.plugin,
        manifest.version,
        path.display(),
        size(inspection.size),
        manifest.sdk,
        manifest.abi,
        imports(inspection)
    );
    let section = |text: &mut String, title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            *text += &format!("\n{title}\n");
            lines
                .iter()
                .for_each(|line| *text += &format!("  {line}\n"));
        }
    };
    let functions = manifest.functions.iter().flat_map(function_lines).collect();
    section(&mut text, "functions", functions);
    section(&mut text, "types", types::of_functions(&manifest.functions));
    let width = manifest
        .wants
        .iter()
        .map(|want| want.grant.to_string().len())
        .max();
    let wants = manifest.wants.iter().map(|want| {
        let grant = want.grant.to_string();
        format!(
            "{grant:width$}  {}",
            want.reason,
            width = width.unwrap_or(0)
        )
    });
    section(&mut text, "needs to be granted", wants.collect());
    text
}

fn function_lines(function: &FunctionInfo) -> Vec<String> {
    let mut lines = vec![function.to_string()];
    lines.extend(
        function
            .docs
            .lines()
            .map(|line| format!("    {}", line.trim_end())),
    );
    if function.concurrent {
        lines.push("    Calls run side by side, each on a fresh instance.".to_owned());
    }
    lines
}

/// The imports by module; those of WASI are many and say little, so they are counted.
fn imports(inspection: &Inspection) -> String {
    let of_module = |ours: bool| {
        let imports = inspection.imports.iter();
        imports.filter(move |(module, _)| (module == IMPORT_MODULE) == ours)
    };
    let ours: Vec<&str> = of_module(true).map(|(_, name)| name.as_str()).collect();
    let mut parts = Vec::new();
    if !ours.is_empty() {
        parts.push(format!("{IMPORT_MODULE} ({})", ours.join(", ")));
    }
    match of_module(false).count() {
        0 => {}
        1 => parts.push("1 function of WASI preview 1".to_owned()),
        count => parts.push(format!("{count} functions of WASI preview 1")),
    }
    match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join(", "),
    }
}

fn to_json(path: &Path, inspection: &Inspection) -> Value {
    let manifest = &inspection.manifest;
    let function = |function: &FunctionInfo| {
        let argument = |argument: &offshoot_abi::Argument| json!({"name": argument.name, "type": argument.ty.to_string()});
        json!({
            "name": function.name,
            "signature": function.to_string(),
            "docs": function.docs,
            "concurrent": function.concurrent,
            "arguments": function.arguments.iter().map(argument).collect::<Vec<_>>(),
            "result": function.result.to_string(),
            "error": function.fallible.then_some(&function.error),
        })
    };
    let import = |(module, name): &(String, String)| json!({"module": module, "name": name});
    let want =
        |want: &offshoot_abi::Want| json!({"grant": want.grant.to_string(), "reason": want.reason});
    json!({
        "plugin": manifest.plugin,
        "version": manifest.version,
        "file": path.display().to_string(),
        "size": inspection.size,
        "sdk": manifest.sdk,
        "abi": manifest.abi,
        "functions": manifest.functions.iter().map(function).collect::<Vec<_>>(),
        "types": types::of_functions(&manifest.functions),
        "imports": inspection.imports.iter().map(import).collect::<Vec<_>>(),
        "wants": manifest.wants.iter().map(want).collect::<Vec<_>>(),
    })
}
