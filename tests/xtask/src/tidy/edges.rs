//! Which crate may depend on which. The sans-I/O core stays so because nothing that does I/O
//! can get below it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Crates that may name only these of others. For the rest the choice is left to review and to
/// cargo-deny.
const THEIRS: &[(&str, &[&str])] = &[
    ("offshoot-abi", &["postcard", "serde", "wasmparser"]),
    ("offshoot-macros", &["proc-macro2", "quote", "syn"]),
    ("offshoot-text", &["thiserror"]),
    ("offshoot-limiter", &["tokio"]),
    (
        "offshoot-proto",
        // All of them without `std`.
        &[
            "blake3",
            "bytes",
            "crc32c",
            "foldhash",
            "hashbrown",
            "postcard",
            "serde",
            "thiserror",
            "zeroize",
        ],
    ),
];

/// The engine's crates: only `offshoot-wasm` names them, so that it can be replaced there alone.
const ENGINE: &str = "wasmtime";

/// What a plugin may name among our own: it is written as a stranger would write it.
const OF_PLUGINS: &str = "offshoot-guest";

/// What each crate may name of ours, as docs/ARCHITECTURE.md draws it.
type Drawn = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(metadata: &Value, drawn: &Drawn) -> Result<Vec<String>> {
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let root = metadata["workspace_root"]
        .as_str()
        .context("cargo metadata names no workspace")?;
    let folders: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| {
            let manifest = package["manifest_path"].as_str()?;
            let folder = manifest.strip_prefix(root)?.strip_suffix("/Cargo.toml")?;
            Some((package["name"].as_str()?, folder.trim_start_matches('/')))
        })
        .collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let folder = folders.get(name).copied().unwrap_or_default();
        if folder.starts_with("tests/") {
            if package["publish"] != Value::Array(Vec::new()) {
                problems.push(format!("{folder}: a test package needs `publish = false`"));
            }
            continue;
        }
        let is_plugin = folder.starts_with("plugins/");
        let plugins = BTreeSet::from([OF_PLUGINS.to_owned()]);
        let Some(ours) = drawn.get(name).or(is_plugin.then_some(&plugins)) else {
            problems.push(format!(
                "{folder}: docs/ARCHITECTURE.md does not say what `{name}` may name"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        // What only tests name cannot reach a user, and cargo refuses what would be a cycle.
        let dependencies: BTreeSet<&str> = dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["name"].as_str())
            .collect();
        for other in &dependencies {
            let permitted = match folders.contains_key(other) {
                true => ours.contains(*other),
                false => permits_foreign(name, other),
            };
            if !permitted {
                problems.push(format!("{folder}: {name} may not depend on {other}"));
            }
        }
        let unused = ours
            .iter()
            .filter(|other| !dependencies.contains(other.as_str()));
        for other in unused.filter(|_| !is_plugin) {
            problems.push(format!(
                "docs/ARCHITECTURE.md: draws an edge from {name} to {other} that is not there"
            ));
        }
    }
    Ok(problems)
}

fn permits_foreign(package: &str, other: &str) -> bool {
    let may_run_wasm = package == "offshoot-wasm" || !other.starts_with(ENGINE);
    let listed = THEIRS.iter().find(|(name, _)| *name == package);
    may_run_wasm && listed.is_none_or(|(_, theirs)| theirs.contains(&other))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use std::collections::{BTreeMap, BTreeSet};

    use super::check;

    #[track_caller]
    fn problems(name: &str, folder: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
        let metadata = json!({
            "workspace_root": "/w",
            "packages": [
                {
                    "name": name,
                    "manifest_path": format!("/w/{folder}/Cargo.toml"),
                    "dependencies": [{ "name": dependency, "kind": kind }],
                },
                { "name": "offshoot", "manifest_path": "/w/host/Cargo.toml", "dependencies": [] },
            ],
        });
        let drawn = [
            "offshoot-abi",
            "offshoot-node",
            "offshoot-proto",
            "offshoot-ssh",
            "offshoot-wasm",
        ];
        let mut drawn: BTreeMap<_, _> = drawn.map(|name| (name.to_owned(), BTreeSet::new())).into();
        drawn.insert("offshoot".to_owned(), BTreeSet::new());
        drawn.insert(
            "offshoot-cli".to_owned(),
            BTreeSet::from(["offshoot".to_owned()]),
        );
        check(&metadata, &drawn).unwrap()
    }

    #[test]
    fn the_core_may_not_name_the_driver_or_a_runtime() {
        for forbidden in ["offshoot", "tokio"] {
            assert_eq!(
                problems("offshoot-proto", "host/proto", forbidden, None),
                [format!(
                    "host/proto: offshoot-proto may not depend on {forbidden}"
                )]
            );
        }
    }

    #[test]
    fn the_ssh_client_knows_nothing_of_contexts() {
        assert_eq!(
            problems("offshoot-ssh", "host/ssh", "offshoot", None),
            ["host/ssh: offshoot-ssh may not depend on offshoot"]
        );
    }

    #[test]
    fn build_scripts_count_and_tests_do_not() {
        let with = |kind| problems("offshoot-abi", "guest-sdk/abi", "offshoot", Some(kind));
        assert_eq!(with("build").len(), 1);
        assert!(with("dev").is_empty());
    }

    #[test]
    fn a_crate_without_a_rule_is_a_problem() {
        assert_eq!(
            problems("offshoot-new", "host/new", "serde", None),
            ["host/new: docs/ARCHITECTURE.md does not say what `offshoot-new` may name"]
        );
    }

    #[test]
    fn an_edge_that_is_drawn_is_there() {
        assert!(problems("offshoot-cli", "host/cli", "offshoot", None).is_empty());
        assert_eq!(
            problems("offshoot-cli", "host/cli", "clap", None),
            ["docs/ARCHITECTURE.md: draws an edge from offshoot-cli to offshoot that is not there"]
        );
    }

    #[test]
    fn only_one_crate_names_the_engine() {
        assert_eq!(
            problems("offshoot-node", "host/node", "wasmtime-wasi", None),
            ["host/node: offshoot-node may not depend on wasmtime-wasi"]
        );
        let allowed: [&str; 0] = [];
        assert_eq!(
            problems("offshoot-wasm", "host/wasm", "wasmtime", None),
            allowed
        );
    }

    #[test]
    fn a_plugin_names_the_sdk_only() {
        assert_eq!(
            problems("facts", "plugins/facts", "offshoot", None),
            ["plugins/facts: facts may not depend on offshoot"]
        );
        assert!(problems("facts", "plugins/facts", "serde_json", None).is_empty());
    }
}
