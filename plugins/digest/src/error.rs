//! Why a tree or a file could not be hashed at all.

use std::fs;
use std::io;
use std::path::Path;

/// `EPERM` and `ENOTCAPABLE` of WASI preview 1: a link or a `..` leads out of what was granted.
const LEADS_OUTSIDE: [i32; 2] = [63, 76];

/// What the functions of this plugin return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a tree or a file could not be hashed at all. Failures within a tree are not errors:
/// [`Report::skipped`](crate::Report::skipped) lists them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller did not let the plugin see the path.
    #[error("{path} is out of this plugin's reach: call it with the grant `read:{directory}`")]
    NotGranted {
        /// The path.
        path: String,
        /// The directory to grant.
        directory: String,
    },
    /// A link leads from a granted directory to one that is not.
    #[error("{path} leads out of the granted directories: grant the directory it points to")]
    LeadsOutside {
        /// The path.
        path: String,
    },
    /// A tree was asked for, and the path names something else.
    #[error("{path} is not a directory: hash a file with `digest::file`")]
    NotADirectory {
        /// The path.
        path: String,
    },
    /// A file was asked for, and the path names something else.
    #[error("{path} is not a regular file: hash a directory with `digest::tree`")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// The system refused.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The path.
        path: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The file was there, and could not be read to its end.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The path.
        path: String,
        /// What went wrong.
        reason: String,
    },
}

impl Error {
    /// Tells a path that is not there from one that the plugin may not see.
    pub(crate) fn opening(path: &Path, reason: io::Error) -> Self {
        let sandboxed = cfg!(target_os = "wasi");
        let leads_outside = reason
            .raw_os_error()
            .is_some_and(|code| LEADS_OUTSIDE.contains(&code));
        let text = path.display().to_string();
        if sandboxed && leads_outside {
            Self::LeadsOutside { path: text }
        } else if sandboxed && out_of_reach(path) {
            Self::NotGranted {
                directory: text.clone(),
                path: text,
            }
        } else if reason.kind() == io::ErrorKind::NotADirectory {
            Self::NotADirectory { path: text }
        } else {
            Self::Open { path: text, reason }
        }
    }
}

/// In the sandbox, what was not granted looks like what does not exist. But where anything was
/// granted on the way to `path`, the granted directory itself exists.
fn out_of_reach(path: &Path) -> bool {
    path.ancestors()
        .all(|ancestor| fs::metadata(ancestor).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_visible_directory_is_within_reach() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!out_of_reach(&directory.path().join("a/b")));
        assert!(out_of_reach(Path::new("there-is-no-such-name/b")));
    }

    #[test]
    fn errors_name_the_remedy() {
        let error = Error::opening(Path::new("/x"), io::ErrorKind::NotADirectory.into());
        assert_eq!(
            error.to_string(),
            "/x is not a directory: hash a file with `digest::file`"
        );
        let error = Error::opening(Path::new("/x"), io::ErrorKind::NotFound.into());
        assert!(error.to_string().starts_with("cannot open /x: "));
    }
}
