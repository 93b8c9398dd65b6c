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

    /// Whether the user is the only member of this group.
    pub(crate) fn has_private_group(&self, gid: u32) -> bool {
        let read = |table| std::fs::read_to_string(table).unwrap_or_default();
        is_private_group(gid, self.uid, &read("/etc/passwd"), &read("/etc/group"))
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

/// Whether the user `uid` is the only member of a group, by the tables of users and groups. Members
/// of groups that are in neither table are not known, so such a group is not private.
fn is_private_group(gid: u32, uid: u32, users: &str, groups: &str) -> bool {
    let fields = |line: &'_ str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let number = |field: Option<&String>| field.and_then(|field| field.parse::<u32>().ok());
    let users: Vec<_> = users.lines().map(fields).collect();
    let groups = groups.lines().map(fields);
    let mut groups = groups
        .filter(|group| number(group.get(2)) == Some(gid))
        .peekable();
    let is_listed = groups.peek().is_some();
    let named: Vec<String> = groups
        .flat_map(|group| fields(&group.get(3).cloned().unwrap_or_default().replace(',', ":")))
        .filter(|name| !name.is_empty())
        .collect();
    let is_member = |user: &&Vec<String>| {
        number(user.get(3)) == Some(gid) || user.first().is_some_and(|name| named.contains(name))
    };
    let mut members = users.iter().filter(is_member).peekable();
    let is_known = |name: &String| users.iter().any(|user| user.first() == Some(name));
    is_listed
        && named.iter().all(is_known)
        && members.peek().is_some()
        && members.all(|user| number(user.get(2)) == Some(uid))
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

#[cfg(test)]
mod tests {
    use super::is_private_group;

    #[test]
    fn m14_a_group_is_private_if_it_has_no_other_member() {
        let users = "root:x:0:0::/root:/bin/sh\nann:x:7:7::/home/ann:/bin/sh\n\
                     bob:x:8:8::/home/bob:/bin/sh\ncyd:x:9:8::/home/cyd:/bin/sh\n";
        let groups = "root:x:0:\nann:x:7:\nstaff:x:20:ann,bob\nown:x:21:ann\nempty:x:22:\n\
                      bob:x:8:\nfar:x:23:ann,nis\n";
        let is_private = |gid, uid| is_private_group(gid, uid, users, groups);
        for (gid, want) in [
            (7, true),
            (21, true),
            (20, false),
            (22, false),
            (99, false),
            (23, false),
        ] {
            assert_eq!(is_private(gid, 7), want, "{gid}");
        }
        assert!(!is_private(8, 8), "two users have it as their own");
        assert!(!is_private(7, 8), "it is another user's");
        assert!(!is_private_group(7, 7, "", groups));
    }
}
