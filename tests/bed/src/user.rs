//! Who lives on a machine.

use std::fmt::Write as _;

use crate::builder::quote;

/// The login shells of the matrix: what each is called, and where it is on a machine.
pub const LOGIN_SHELLS: &[(&str, &str)] = &[
    ("bash", "/bin/bash"),
    ("dash", "/bin/dash"),
    ("ash", "/usr/local/bin/ash"),
    ("zsh", "/bin/zsh"),
    ("mksh", "/bin/mksh"),
    ("tcsh", "/bin/tcsh"),
    ("fish", "/usr/bin/fish"),
];

/// What a user's home is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Home {
    /// As `useradd` makes it.
    #[default]
    Plain,
    /// Nothing can be written there.
    ReadOnly,
    /// Nothing can be run from there.
    NoExec,
    /// It holds so many KiB and no more.
    Small(u32),
    /// It holds nothing more at all.
    Full,
    /// It is in `/etc/passwd` only.
    Missing,
}

/// A user of a machine, who can log in with the machine's test key.
#[derive(Clone, Debug)]
pub struct User {
    pub(crate) name: String,
    shell: String,
    password: Option<String>,
    home: Home,
    key: bool,
    files: Vec<(String, String)>,
}

impl User {
    /// A user with bash and no password.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            shell: "/bin/bash".to_owned(),
            password: None,
            home: Home::default(),
            key: true,
            files: Vec::new(),
        }
    }

    /// Gives a login shell, by its path on the machine.
    #[must_use]
    pub fn shell(mut self, path: &str) -> Self {
        path.clone_into(&mut self.shell);
        self
    }

    /// Gives a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Says what the home is like.
    #[must_use]
    pub fn home(mut self, home: Home) -> Self {
        self.home = home;
        self
    }

    /// Takes the test key away.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.key = false;
        self
    }

    /// Puts a file into the home, by its path from there.
    #[must_use]
    pub fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Makes the user. `$key` holds the public test key.
    pub(crate) fn script(&self) -> String {
        let mut script = String::new();
        let mut line = |text: String| {
            let _ = writeln!(script, "{text}");
        };
        let name = quote(&self.name);
        line(format!(
            "u={name} h=/home/{name}; useradd -m -s {} $u",
            quote(&self.shell)
        ));
        if let Some(password) = &self.password {
            // Few rounds: a test waits for each.
            let entry = quote(&format!("{}:{password}", self.name));
            line(format!("echo {entry} | chpasswd -c SHA512 -s 1000"));
        } else {
            // No password fits, and the account is not locked: sshd asks.
            line("usermod -p '*' $u".to_owned());
        }
        if self.key {
            line("echo \"$key\" >/etc/ssh/bed_keys/$u".to_owned());
        }
        let options = match self.home {
            Home::Plain | Home::Missing => None,
            Home::ReadOnly => Some(String::new()),
            Home::NoExec => Some(",noexec".to_owned()),
            Home::Small(kib) => Some(format!(",size={kib}k")),
            Home::Full => Some(",size=64k".to_owned()),
        };
        if let Some(options) = options {
            line(format!("mount -t tmpfs -o mode=700{options} bed $h"));
        }
        for (path, text) in &self.files {
            let path = format!("$h/{}", quote(path));
            line(format!("mkdir -p \"$(dirname {path})\""));
            line(format!("printf %s {} >{path}", quote(text)));
        }
        line("chown -R $u: $h".to_owned());
        match self.home {
            Home::ReadOnly => line("mount -o remount,ro $h".to_owned()),
            Home::Full => line("head -c 1M /dev/zero >$h/full 2>/dev/null || :".to_owned()),
            Home::Missing => line("rm -rf $h".to_owned()),
            _ => {}
        }
        script
    }
}
