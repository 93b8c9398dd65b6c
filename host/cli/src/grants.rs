//! What the user lets a plugin use.

use std::path::{Component, Path};

use offshoot_abi::{Grant, Manifest, Want};

use super::args::CallArgs;
use super::report::{self, Diagnostic};

/// The grants of a call. Those that come from the plugin's own wishes are printed first: a wish
/// is not a right, and the user should see what was given.
///
/// # Errors
///
/// Fails before any is printed if the plugin wishes for a whole machine that the user did not name.
pub(super) fn chosen(args: &CallArgs, manifest: &Manifest) -> Result<Vec<Grant>, Diagnostic> {
    let mut grants = args.grants.clone();
    if args.grant_wanted {
        let sweeping: Vec<&Want> = missing(manifest, &args.grants)
            .into_iter()
            .filter(|want| is_sweeping(&want.grant))
            .collect();
        if !sweeping.is_empty() {
            return Err(too_much(&manifest.plugin, &sweeping));
        }
        for want in &manifest.wants {
            report::note(&format!("granting {} {}", manifest.plugin, describe(want)));
            grants.push(want.grant.clone());
        }
    }
    grants.sort();
    grants.dedup();
    Ok(grants)
}

/// Whether a wish is for all of a machine: its files, or what it tells of all its processes and
/// devices. No plugin gets that for the asking.
fn is_sweeping(grant: &Grant) -> bool {
    let (Grant::Read(path) | Grant::Write(path)) = grant else {
        return false;
    };
    let mut names = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => names.push(name),
            // What lies behind `..` depends on links.
            Component::ParentDir => return true,
            _ => {}
        }
    }
    match names[..] {
        [] => true,
        [first, ..] if first == "proc" => {
            // Settings are no processes.
            matches!(grant, Grant::Write(_)) || names.get(1).is_none_or(|name| *name != "sys")
        }
        [first, ..] if first == "sys" => matches!(grant, Grant::Write(_)),
        [first, ..] => first == "dev",
    }
}

fn too_much(plugin: &str, wants: &[&Want]) -> Diagnostic {
    let options: Vec<String> = wants
        .iter()
        .map(|want| format!("--grant {}", want.grant))
        .collect();
    let refused = "which `--grant-wanted` does not give";
    let shown: Vec<String> = wants.iter().map(|want| describe(want)).collect();
    Diagnostic::usage(format!("{plugin} wants {}, {refused}", shown.join(", ")))
        .note("it is, or leads to, all files, processes or devices of a machine")
        .help(format!(
            "if it is to have that, add `{}`",
            options.join(" ")
        ))
}

/// The wishes that no grant fulfils.
pub(super) fn missing<'a>(manifest: &'a Manifest, grants: &[Grant]) -> Vec<&'a Want> {
    let is_missing = |want: &&Want| !grants.iter().any(|grant| covers(grant, &want.grant));
    manifest.wants.iter().filter(is_missing).collect()
}

/// A wish with its reason.
pub(super) fn describe(want: &Want) -> String {
    match want.reason.as_str() {
        "" => want.grant.to_string(),
        reason => format!("{} ({reason})", want.grant),
    }
}

/// Whether one grant allows all that the other does.
fn covers(given: &Grant, wanted: &Grant) -> bool {
    match (given, wanted) {
        (Grant::Read(given) | Grant::Write(given), Grant::Read(wanted))
        | (Grant::Write(given), Grant::Write(wanted)) => Path::new(wanted).starts_with(given),
        (given, wanted) => given == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, wanted: &str, want: bool) {
        let (given, wanted) = (given.parse().unwrap(), wanted.parse().unwrap());
        assert_eq!(covers(&given, &wanted), want);
    }

    #[test]
    fn a_wish_for_all_of_a_machine_is_told_from_one_for_a_part() {
        for all in [
            "read:/",
            "write:/",
            "read:/proc",
            "read:/proc/1",
            "read:/proc/self",
            "write:/proc/sys",
            "write:/sys/fs",
            "read:/dev",
        ] {
            assert!(is_sweeping(&all.parse().unwrap()), "{all}");
        }
        for hidden in ["read:///", "read:/.", "read:/etc/..", "read:/./proc/"] {
            assert!(hidden.parse::<Grant>().is_err(), "{hidden}");
        }
        for part in [
            "read:/etc",
            "write:/var/tmp",
            "read:/proc/sys",
            "read:/sys",
            "env:A",
            "router",
        ] {
            assert!(!is_sweeping(&part.parse().unwrap()), "{part}");
        }
    }

    #[test]
    fn a_directory_covers_what_is_below_it() {
        check("read:/", "read:/proc", true);
        check("read:/proc/", "read:/proc", true);
        check("write:/var", "read:/var/tmp", true);
        check("write:/var", "write:/var/tmp", true);
        check("read:/var", "write:/var", false);
        check("read:/va", "read:/var", false);
        check("env:A", "env:A", true);
        check("env:A", "env:B", false);
    }
}
