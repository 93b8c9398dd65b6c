//! The builders of contexts of other users on the same machine.

use std::sync::Arc;

use offshoot_proto::control::{Doas as DoasSpec, Method, Password, Su as SuSpec, Sudo as SudoSpec};

use super::{ConnectBuilder, afar, common};
use crate::error::Error;
use crate::tree::Tree;
use offshoot_node::launch::ConnectError;

/// A context of another user, by `sudo`, that is about to be made. Await it.
///
/// ```no_run
/// # async fn example(router: offshoot::Router) -> Result<(), offshoot::Error> {
/// let root = router.sudo().password("correct horse").await?;
/// let www = router.sudo().username("www-data").via(&root).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a context is made when the builder is awaited"]
pub struct Sudo {
    making: ConnectBuilder,
    spec: SudoSpec,
}

/// A context of another user, by `su`, that is about to be made. Await it.
#[must_use = "a context is made when the builder is awaited"]
pub struct Su {
    making: ConnectBuilder,
    spec: SuSpec,
}

/// A context of another user, by `doas`, that is about to be made. Await it.
#[must_use = "a context is made when the builder is awaited"]
pub struct Doas {
    making: ConnectBuilder,
    spec: DoasSpec,
}

/// What the three have in common, beside what every builder has.
macro_rules! becoming {
    ($builder:ident, $spec:ident, $path:ident, $tool:literal) => {
        impl $builder {
            pub(crate) fn new(tree: Arc<Tree>) -> Self {
                Self {
                    making: ConnectBuilder::new(tree),
                    spec: $spec::default(),
                }
            }

            /// Whom to become; the default is root.
            pub fn username(mut self, username: impl Into<String>) -> Self {
                self.spec.username = Some(username.into());
                self
            }

            /// What to answer when a password is asked for. It is sent once at most, and not at
            /// all where none is asked for.
            pub fn password(mut self, password: impl Into<Password>) -> Self {
                self.spec.password = Some(password.into());
                self
            }

            #[doc = concat!("The program; the default is `", $tool, "`, searched for in `PATH`.")]
            pub fn $path(mut self, path: impl Into<String>) -> Self {
                self.spec.$path = Some(path.into());
                self
            }
        }

        common!(
            $builder,
            concat!($tool, ".<user>"),
            |this| this.spec.start,
            |spec| Method::$builder(Box::new(spec))
        );

        afar!($builder);
    };
}

becoming!(Sudo, SudoSpec, sudo_path, "sudo");
becoming!(Su, SuSpec, su_path, "su");
becoming!(Doas, DoasSpec, doas_path, "doas");

impl Sudo {
    /// Whether `HOME` is that of the other user, as by `-H`.
    pub fn set_home(mut self, set_home: bool) -> Self {
        self.spec.set_home = set_home;
        self
    }

    /// Whether the environment is kept, as by `-E`.
    pub fn preserve_env(mut self, preserve_env: bool) -> Self {
        self.spec.preserve_env = preserve_env;
        self
    }

    /// Whether the other user logs in, as by `-i`: with the login shell's environment, in the home.
    pub fn login(mut self, login: bool) -> Self {
        self.spec.login = login;
        self
    }

    /// The role of the security context, as by `-r`.
    pub fn selinux_role(mut self, role: impl Into<String>) -> Self {
        self.spec.selinux_role = Some(role.into());
        self
    }

    /// The type of the security context, as by `-t`.
    pub fn selinux_type(mut self, kind: impl Into<String>) -> Self {
        self.spec.selinux_type = Some(kind.into());
        self
    }

    /// Options in sudo's own words, such as `["-H", "-u", "bob"]`.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] for an option that this builder does not know, or that has no value.
    pub fn sudo_args<T: AsRef<str>>(
        mut self,
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.as_ref();
            let unknown = || ConnectError::Name(format!("sudo: no such option: {argument}"));
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument, None),
            };
            let mut value = || {
                let value = inline.clone();
                let value = value.or_else(|| arguments.next().map(|one| one.as_ref().to_owned()));
                value.ok_or_else(|| {
                    ConnectError::Name(format!("sudo: option {argument} wants a value"))
                })
            };
            match name {
                "-u" | "--user" => self.spec.username = Some(value()?),
                "-r" | "--role" => self.spec.selinux_role = Some(value()?),
                "-t" | "--type" => self.spec.selinux_type = Some(value()?),
                "--set-home" => self.spec.set_home = true,
                "--preserve-env" if inline.is_none() => self.spec.preserve_env = true,
                "--login" => self.spec.login = true,
                _ => {
                    let flags = argument.strip_prefix('-').filter(|flags| !flags.is_empty());
                    for flag in flags.ok_or_else(unknown)?.chars() {
                        match flag {
                            'H' => self.spec.set_home = true,
                            'E' => self.spec.preserve_env = true,
                            'i' => self.spec.login = true,
                            _ => return Err(unknown().into()),
                        }
                    }
                }
            }
        }
        Ok(self)
    }
}
