//! Which crate may depend on which. The sans-I/O core stays so because nothing that does I/O
//! can get below it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What a crate of the product may name among its dependencies.
struct Rule {
    package: &'static str,
    /// Packages of this workspace.
    ours: &'static [&'static str],
    /// Packages of others; `None` leaves the choice to review and to cargo-deny.
    theirs: Option<&'static [&'static str]>,
}

const RULES: &[Rule] = &[
    Rule {
        package: "offshoot-abi",
        ours: &["offshoot-text"],
        theirs: Some(&["postcard", "serde", "wasmparser"]),
    },
    Rule {
        package: "offshoot-macros",
        ours: &[],
        theirs: Some(&["proc-macro2", "quote", "syn"]),
    },
    Rule {
        package: "offshoot-guest",
        ours: &["offshoot-abi", "offshoot-macros"],
        theirs: None,
    },
    Rule {
        package: "offshoot-build",
        ours: &["offshoot-abi"],
        theirs: None,
    },
    Rule {
        package: "offshoot-text",
        ours: &[],
        theirs: Some(&["thiserror"]),
    },
    Rule {
        package: "offshoot-limiter",
        ours: &[],
        theirs: Some(&["tokio"]),
    },
    Rule {
        package: "offshoot-proto",
        ours: &["offshoot-abi", "offshoot-text"],
        // All of them without `std`.
        theirs: Some(&[
            "blake3",
            "bytes",
            "crc32c",
            "foldhash",
            "hashbrown",
            "postcard",
            "serde",
            "thiserror",
            "zeroize",
        ]),
    },
    Rule {
        package: "offshoot-ssh",
        // It knows connections and nothing of contexts.
        ours: &["offshoot-limiter", "offshoot-text"],
        theirs: None,
    },
    Rule {
        package: "offshoot-ssh-helper",
        // The words of the tree for what the other one does.
        ours: &["offshoot-proto", "offshoot-ssh"],
        theirs: None,
    },
    Rule {
        package: "offshoot-wasm",
        // It knows nothing of links, routes or messages.
        ours: &["offshoot-abi"],
        theirs: None,
    },
    Rule {
        package: "offshoot-node",
        ours: &[
            "offshoot-abi",
            "offshoot-limiter",
            "offshoot-proto",
            "offshoot-ssh",
            "offshoot-ssh-helper",
            "offshoot-wasm",
        ],
        theirs: None,
    },
    Rule {
        package: "offshoot",
        // The macros for `#[offshoot::main]` only, the helper for its build script.
        ours: &[
            "offshoot-abi",
            "offshoot-macros",
            "offshoot-node",
            "offshoot-proto",
            "offshoot-ssh-helper",
            "offshoot-wasm",
        ],
        theirs: None,
    },
    Rule {
        package: "offshoot-cli",
        ours: &[
            "offshoot",
            "offshoot-abi",
            "offshoot-build",
            "offshoot-node",
            "offshoot-proto",
            "offshoot-ssh",
            "offshoot-text",
        ],
        theirs: None,
    },
];

/// The engine's crates: only `offshoot-wasm` names them, so that it can be replaced there alone.
const ENGINE: &str = "wasmtime";

/// What a plugin may name among our own: it is written as a stranger would write it.
const PLUGIN: Rule = Rule {
    package: "a plugin",
    ours: &["offshoot-guest"],
    theirs: None,
};

pub(super) fn check(metadata: &Value) -> Result<Vec<String>> {
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
        let rule = match RULES.iter().find(|rule| rule.package == name) {
            Some(rule) => rule,
            None if folder.starts_with("plugins/") => &PLUGIN,
            None => {
                problems.push(format!(
                    "{folder}: no rule says what `{name}` may depend on"
                ));
                continue;
            }
        };
        let dependencies = package["dependencies"].as_array();
        for dependency in dependencies.into_iter().flatten() {
            // What only tests name cannot reach a user, and cargo refuses what would be a cycle.
            if dependency["kind"] == "dev" {
                continue;
            }
            let other = dependency["name"].as_str().unwrap_or_default();
            if !rule.permits(other, folders.contains_key(other)) {
                problems.push(format!(
                    "{folder}: {} may not depend on {other}",
                    rule.package
                ));
            }
        }
    }
    Ok(problems)
}

impl Rule {
    fn permits(&self, other: &str, is_ours: bool) -> bool {
        if is_ours {
            return self.ours.contains(&other);
        }
        let may_run_wasm = self.package == "offshoot-wasm" || !other.starts_with(ENGINE);
        may_run_wasm && self.theirs.is_none_or(|theirs| theirs.contains(&other))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        check(&metadata).unwrap()
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
            ["host/new: no rule says what `offshoot-new` may depend on"]
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
            ["plugins/facts: a plugin may not depend on offshoot"]
        );
        assert!(problems("facts", "plugins/facts", "serde_json", None).is_empty());
    }
}
