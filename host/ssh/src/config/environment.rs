//! Who asks, and from where: what a configuration may refer to.

use std::path::{Path, PathBuf};

/// Who asks, and from where.
///
/// A value of this type stands for the whole outside world of a configuration, so that one can be
/// resolved in a test without changing the environment of the process.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The user's name.
    pub user: String,
    /// The user's number.
    pub uid: u32,
    /// The user's home.
    pub home: PathBuf,
    /// This machine's name.
    pub hostname: String,
    /// Environment variables that are looked up before those of the process.
    pub variables: Vec<(String, String)>,
    /// The user's own configuration.
    pub user_config: Option<PathBuf>,
    /// The machine's.
    pub system_config: Option<PathBuf>,
    /// A file that was named, and has to be there. It is read before the others.
    pub named_config: Option<PathBuf>,
}

impl Environment {
    /// Those of this process, with the files that OpenSSH reads.
    pub fn of_process() -> Self {
        let uid = rustix::process::getuid().as_raw();
        // As OpenSSH does: the home in the table of users counts, not what `HOME` says. Without
        // an entry there is nothing else to go by.
        let entry = entry(|fields| fields.get(2).is_some_and(|field| *field == uid.to_string()));
        let (user, home) = entry.unwrap_or_else(|| {
            let variable = |name| std::env::var(name).unwrap_or_default();
            (variable("USER"), PathBuf::from(variable("HOME")))
        });
        let hostname = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        Self {
            user_config: Some(home.join(".ssh/config")),
            system_config: Some(PathBuf::from("/etc/ssh/ssh_config")),
            named_config: None,
            user,
            uid,
            home,
            hostname,
            variables: Vec::new(),
        }
    }

    /// These, with this file instead of the user's and the machine's, as with `ssh -F`.
    ///
    /// The file has to be there. `none` is no file: nothing is read then.
    #[must_use]
    pub fn with_config(self, file: &Path) -> Self {
        Self {
            user_config: None,
            system_config: None,
            named_config: (file != Path::new("none")).then(|| file.to_owned()),
            ..self
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let own = self.variables.iter().find(|(own, _)| own == name);
        own.map(|(_, value)| value.clone())
            .or_else(|| std::env::var(name).ok())
    }

    pub(crate) fn home_of(&self, user: &str) -> Option<PathBuf> {
        entry(|fields| fields.first() == Some(&user)).map(|(_, home)| home)
    }

    /// The folder that holds what belongs to the user's ssh.
    pub(crate) fn ssh_dir(&self) -> PathBuf {
        self.home.join(".ssh")
    }

    /// Where relative paths of a configuration file start.
    pub(crate) fn base(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::User => self.ssh_dir(),
            Kind::System => Path::new("/etc/ssh").to_owned(),
        }
    }
}

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    System,
}

/// The name and the home in the first entry that fits.
fn entry(fits: impl Fn(&[&str]) -> bool) -> Option<(String, PathBuf)> {
    // The child is static, so that no other way to ask for users is linked.
    let table = std::fs::read_to_string("/etc/passwd").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        fits(&fields).then(|| {
            fields
                .get(5)
                .map(|home| (fields[0].to_owned(), PathBuf::from(home)))
        })?
    })
}
