//! The top of the checkout stays as a newcomer can take it in at a glance.

use super::Checkout;

const ALLOWED: &[&str] = &[
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "docs",
    "guest-sdk",
    "host",
    "plugins",
    "tests",
];

pub(super) fn check(checkout: &Checkout) -> Vec<String> {
    let mut entries: Vec<&str> = checkout
        .files
        .iter()
        .filter_map(|file| file.path.split('/').next())
        .filter(|entry| !entry.starts_with('.') && !ALLOWED.contains(entry))
        .collect();
    entries.dedup();
    entries
        .iter()
        .map(|entry| format!("{entry}: not an agreed top-level entry; move it into a folder"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::checkout_of;
    use super::check;

    #[test]
    fn a_new_folder_is_named_once_and_dot_files_are_free() {
        let files = [
            (".ci/run", ""),
            ("host/a.rs", ""),
            ("misc/a", ""),
            ("misc/b", ""),
        ];
        assert_eq!(
            check(&checkout_of(&files)),
            ["misc: not an agreed top-level entry; move it into a folder"]
        );
    }
}
