//! Why a fact is not known, split by what the caller can do about it.

use std::io;

/// The directories that the plugin asks for; each file it reads lies in one of them.
const DIRECTORIES: [&str; 4] = ["/proc", "/etc", "/usr/lib", "/sys"];

/// `EPERM` and `ENOTCAPABLE` of WASI preview 1: a link or a `..` leads out of what was granted.
const LEADS_OUTSIDE: [i32; 2] = [63, 76];

/// What the functions of this plugin return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a fact is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller did not let the plugin read the file.
    #[error("{path} is out of this plugin's reach: call it with the grant `read:{directory}`")]
    NotGranted {
        /// The file.
        path: String,
        /// The directory to grant.
        directory: &'static str,
    },
    /// The system refused to open or read the file.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The file is longer than any that the kernel or a distribution writes there.
    #[error("{path} is longer than {max} bytes")]
    TooLong {
        /// The file.
        path: String,
        /// Bytes read at most.
        max: u64,
    },
    /// The file's text is not what its documentation promises.
    #[error("cannot understand {path}: {reason}")]
    Format {
        /// The file.
        path: String,
        /// What is missing.
        reason: &'static str,
    },
}

impl Error {
    /// Tells a file that is not there from one that the plugin may not see.
    ///
    /// In the sandbox both are `ENOENT`, but a granted directory itself always exists.
    pub(crate) fn reading(path: &str, reason: io::Error) -> Self {
        let out_of_reach = cfg!(target_os = "wasi")
            && directory_of(path).is_some_and(|directory| {
                let leads_outside = reason
                    .raw_os_error()
                    .is_some_and(|code| LEADS_OUTSIDE.contains(&code));
                leads_outside || std::fs::metadata(directory).is_err()
            });
        Self::refused(path, reason, out_of_reach)
    }

    fn refused(path: &str, reason: io::Error, out_of_reach: bool) -> Self {
        let path = path.to_owned();
        match directory_of(&path).filter(|_| out_of_reach) {
            Some(directory) => Self::NotGranted { path, directory },
            None => Self::Read { path, reason },
        }
    }
}

fn directory_of(path: &str) -> Option<&'static str> {
    DIRECTORIES.into_iter().find(|directory| {
        path.strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_grant_is_named() {
        let error = Error::refused("/proc/uptime", io::ErrorKind::NotFound.into(), true);
        assert_eq!(
            error.to_string(),
            "/proc/uptime is out of this plugin's reach: call it with the grant `read:/proc`"
        );
    }

    #[test]
    fn a_missing_file_is_not_blamed_on_grants() {
        let error = Error::refused("/proc/uptime", io::ErrorKind::NotFound.into(), false);
        assert!(error.to_string().starts_with("cannot read /proc/uptime: "));
    }

    #[test]
    fn a_directory_is_matched_by_whole_names() {
        assert_eq!(directory_of("/etc/passwd"), Some("/etc"));
        assert_eq!(directory_of("/usr/lib/os-release"), Some("/usr/lib"));
        assert_eq!(directory_of("/etcetera/passwd"), None);
        assert_eq!(directory_of("/sys"), Some("/sys"));
    }
}
