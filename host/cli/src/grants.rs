//! What the user lets a plugin use.

use offshoot_abi::{Grant, Manifest, Want};

use super::args::CallArgs;
use super::report;

/// The grants of a call. Those that come from the plugin's own wishes are printed first: a wish
/// is not a right, and the user should see what was given.
pub(super) fn chosen(args: &CallArgs, manifest: &Manifest) -> Vec<Grant> {
    let mut grants = args.grants.clone();
    if args.grant_wanted {
        for want in &manifest.wants {
            report::note(&format!("granting {} {}", manifest.plugin, describe(want)));
            grants.push(want.grant.clone());
        }
    }
    grants.sort();
    grants.dedup();
    grants
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
        | (Grant::Write(given), Grant::Write(wanted)) => {
            std::path::Path::new(wanted).starts_with(given)
        }
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
