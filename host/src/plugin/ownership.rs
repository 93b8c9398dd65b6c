//! Whose word a file is that was found by looking around.
//!
//! A file counts as the user's own if nobody else could have put it there: it, and every directory
//! and link on the way to it, belongs to the user or to root and is closed to the writes of others.
//! What the user names is not asked about: that is the user's own word.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process;

/// Others could have put a file where it was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {why}", path.display())]
pub struct NotOurs {
    /// The file itself, or a directory or link on the way to it.
    path: PathBuf,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("belongs to the user with the id {0}")]
    Owner(u32),
    #[error("can be written by others: its mode is {0:o}")]
    Mode(u32),
    #[error("cannot be looked at: {0}")]
    Unreadable(String),
}

/// Makes sure that nobody but the user and root could have put `path` where it is.
pub(crate) fn check(path: &Path) -> Result<(), NotOurs> {
    let not_ours = |path: &Path, why| NotOurs {
        path: path.to_owned(),
        why,
    };
    let unreadable =
        |path: &Path, error: std::io::Error| not_ours(path, Why::Unreadable(error.to_string()));
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, error))?;
    let real = absolute
        .canonicalize()
        .map_err(|error| unreadable(&absolute, error))?;
    // The way as it was gone, for the links on it, and the way to where they lead.
    for step in absolute.ancestors().chain(real.ancestors()) {
        let metadata = step
            .symlink_metadata()
            .map_err(|error| unreadable(step, error))?;
        judge(&metadata).map_err(|why| not_ours(step, why))?;
    }
    Ok(())
}

fn judge(metadata: &Metadata) -> Result<(), Why> {
    let user = process::geteuid().as_raw();
    if ![0, user].contains(&metadata.uid()) {
        return Err(Why::Owner(metadata.uid()));
    }
    let bits = metadata.mode() & 0o7777;
    // A link's own mode says nothing. In a sticky directory, others cannot replace what is not
    // theirs, and what is in it is judged, too.
    let is_guarded = metadata.is_symlink() || metadata.is_dir() && bits & 0o1000 != 0;
    let is_closed = bits & 0o002 == 0 && (bits & 0o020 == 0 || is_private(metadata.gid()));
    match is_guarded || is_closed {
        true => Ok(()),
        false => Err(Why::Mode(bits)),
    }
}

/// Whether a group is root's or has the user alone in it, as where each user has a group and a
/// mask of 002. Only the system's own lists can tell; a group of a directory server is not private.
fn is_private(group: u32) -> bool {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    group == 0
        || has_only(
            process::geteuid().as_raw(),
            group,
            &read("/etc/passwd"),
            &read("/etc/group"),
        )
}

fn has_only(user: u32, group: u32, passwd: &str, groups: &str) -> bool {
    let (user, group) = (user.to_string(), group.to_string());
    let fields = |line: &'_ str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let mut names = Vec::new();
    for account in passwd.lines().map(fields).filter(|it| it.len() > 3) {
        match (account[2] == user, account[3] == group) {
            (true, _) => names.push(account[0].clone()),
            (false, true) => return false,
            (false, false) => {}
        }
    }
    let mut entries = groups
        .lines()
        .map(fields)
        .filter(|it| it.len() > 3 && it[2] == group);
    let listed = entries.next().is_some_and(|entry| {
        let mut members = entry[3].split(',').filter(|member| !member.is_empty());
        members.all(|member| names.iter().any(|name| name == member))
    });
    listed && entries.next().is_none() && !names.is_empty()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    /// A directory of ours with `project/plugin.wasm` in it.
    fn project() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        fs::create_dir(&project).unwrap();
        set_mode(&project, 0o755);
        let file = project.join("plugin.wasm");
        fs::write(&file, "").unwrap();
        set_mode(&file, 0o644);
        (root, file)
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_ours_all_the_way_is_taken() {
        let (root, file) = project();
        assert_eq!(check(&file), Ok(()));
        let link = root.path().join("link");
        symlink(file.parent().unwrap(), &link).unwrap();
        assert_eq!(check(&link.join("plugin.wasm")), Ok(()));
        set_mode(file.parent().unwrap(), 0o1777);
        assert_eq!(check(&file), Ok(()), "others cannot replace it there");
    }

    #[test]
    fn what_others_can_write_is_named() {
        let (_root, file) = project();
        for (path, mode) in [(file.parent().unwrap(), 0o757), (&file, 0o646)] {
            set_mode(path, mode);
            let error = check(&file).unwrap_err();
            assert_eq!((error.path.as_path(), &error.why), (path, &Why::Mode(mode)));
            set_mode(path, 0o755);
        }
    }

    #[test]
    fn what_others_own_is_named_even_where_a_link_leads_past_it() {
        if !process::geteuid().is_root() {
            return;
        }
        let (root, file) = project();
        let link = root.path().join("link");
        symlink(&file, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        assert_eq!(check(&link).unwrap_err().path, link);
        for path in [file.as_path(), file.parent().unwrap()] {
            chown(path, Some(65534), None).unwrap();
            let error = check(&file).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{}` belongs to the user with the id 65534", path.display())
            );
            chown(path, Some(0), None).unwrap();
        }
    }

    #[test]
    fn a_group_is_private_if_nobody_else_is_in_it() {
        let passwd =
            "root:x:0:0::/root:\nbob:x:1000:1000::/:\namy:x:1001:1001::/:\neve:x:1002:100::/:\n";
        let groups = "bob:x:1000:\nteam:x:50:bob,amy\nsolo:x:51:bob\nusers:x:100:\n";
        let only = |group| has_only(1000, group, passwd, groups);
        assert!(only(1000) && only(51));
        assert!(!only(50) && !only(100) && !only(1001) && !only(7));
        assert!(!has_only(5, 1000, passwd, groups));
    }
}
