//! Reads the files, with what they include, and decides which lines count.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::environment::{Environment, Kind};
use super::error::{ConfigError, LineProblem, SourceLocation};
use super::settings::{Line, Settings, Unsupported};
use super::{directives, tokens, words};
use crate::pattern::{Case, matches, matches_list};

/// How deep files may include each other; OpenSSH's own bound.
const DEPTH_MAX: usize = 16;

/// Bytes that all files of one configuration may have. Thousands of hosts fit.
const BYTES_MAX: u64 = 16 << 20;

/// Files that one configuration may have.
const FILES_MAX: usize = 1024;

/// Whether others may be able to write a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permissions {
    Checked,
    Unchecked,
}

/// Reads files into settings.
pub(crate) struct Reader<'a> {
    pub(crate) env: &'a Environment,
    /// The host as it was asked for.
    pub(crate) host: &'a str,
    pub(crate) settings: Settings,
    /// Whether this is the pass that `Match final` waits for.
    pub(crate) is_final: bool,
    /// Whether there is anything that waits for it.
    pub(crate) wants_final: bool,
    bytes_left: u64,
    files_left: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(env: &'a Environment, host: &'a str, settings: Settings) -> Self {
        Self {
            env,
            host,
            settings,
            is_final: false,
            wants_final: false,
            bytes_left: BYTES_MAX,
            files_left: FILES_MAX,
        }
    }

    /// Reads a file that need not be there. One that cannot be opened is passed over: the
    /// machine's own may be for its administrators only.
    pub(crate) fn file(
        &mut self,
        path: &Path,
        kind: Kind,
        permissions: Permissions,
    ) -> Result<(), ConfigError> {
        match File::open(path) {
            Ok(file) => self.read(file, path, kind, permissions, Scope::All, 0),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a configuration is not read");
                Ok(())
            }
        }
    }

    /// Reads the file that the caller named, which has to be there and may be written by others.
    pub(crate) fn named(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = File::open(path).map_err(cannot_read(path))?;
        self.read(
            file,
            path,
            Kind::User,
            Permissions::Unchecked,
            Scope::All,
            0,
        )
    }

    /// Reads a file that an `Include` names.
    fn included(
        &mut self,
        path: &Path,
        kind: Kind,
        permissions: Permissions,
        scope: Scope,
        depth: usize,
    ) -> Result<(), ConfigError> {
        match File::open(path) {
            Ok(file) => self.read(file, path, kind, permissions, scope, depth),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot_read(path)(error)),
        }
    }

    fn read(
        &mut self,
        file: File,
        path: &Path,
        kind: Kind,
        permissions: Permissions,
        scope: Scope,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let about = file.metadata().map_err(cannot_read(path))?;
        // A pattern such as `conf.d/*` matches directories, too.
        if about.is_dir() {
            return Ok(());
        }
        if permissions == Permissions::Checked {
            let foreign = about.uid() != 0 && about.uid() != self.env.uid;
            let by_group = about.mode() & 0o020 != 0 && !self.env.has_private_group(about.gid());
            if foreign || about.mode() & 0o002 != 0 || by_group {
                return Err(ConfigError::Permissions {
                    file: path.to_owned(),
                });
            }
        }
        let mut bytes = Vec::new();
        let limit = self.bytes_left;
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(cannot_read(path))?;
        let length = bytes.len() as u64;
        self.files_left = self.files_left.saturating_sub(1);
        if length > limit || self.files_left == 0 {
            return Err(ConfigError::Line {
                location: SourceLocation {
                    file: path.to_owned(),
                    line: 0,
                },
                problem: LineProblem::Size,
            });
        }
        self.bytes_left -= length;
        let text = String::from_utf8_lossy(&bytes);
        let mut active = scope == Scope::All;
        for (number, line) in text.split('\n').enumerate() {
            let location = SourceLocation {
                file: path.to_owned(),
                line: number + 1,
            };
            self.line(
                line,
                &location,
                &mut active,
                kind,
                permissions,
                scope,
                depth,
            )?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "they are the state of one file")]
    fn line(
        &mut self,
        line: &str,
        location: &SourceLocation,
        active: &mut bool,
        kind: Kind,
        permissions: Permissions,
        scope: Scope,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let wrong = |problem| ConfigError::Line {
            location: location.clone(),
            problem,
        };
        let Some((keyword, rest)) = words::keyword(line) else {
            return Ok(());
        };
        if rest.is_empty() {
            return Err(wrong(LineProblem::NoValue(keyword)));
        }
        let keyword = directives::canonical(&keyword);
        let words = words::words(rest).ok_or_else(|| wrong(LineProblem::Quote))?;
        match keyword {
            "host" => {
                *active = scope == Scope::All && is_for(self.host, &words);
            }
            "match" => {
                let matched = self.matches(&words, location, scope).map_err(wrong)?;
                *active = scope == Scope::All && matched;
            }
            "include" => {
                if words.is_empty() {
                    return Err(wrong(LineProblem::NoValue(keyword.to_owned())));
                }
                if depth == DEPTH_MAX {
                    return Err(wrong(LineProblem::Depth(DEPTH_MAX)));
                }
                let inner = if *active { scope } else { Scope::Nothing };
                for path in &words {
                    for file in self.found(path, kind) {
                        self.included(&file, kind, permissions, inner, depth + 1)?;
                    }
                }
            }
            _ => {
                let line = Line {
                    keyword,
                    words,
                    rest,
                    location,
                    active: *active,
                };
                match self.settings.apply(&line) {
                    Err(LineProblem::Unknown(name)) if self.is_ignored(&name) => {}
                    result => result.map_err(wrong)?,
                }
            }
        }
        Ok(())
    }

    fn is_ignored(&self, keyword: &str) -> bool {
        let ignored = self.settings.ignore_unknown.as_deref();
        ignored.is_some_and(|list| matches_list(keyword, list, Case::Lower))
    }

    /// The files that a path of an `Include` means, in order.
    fn found(&self, path: &str, kind: Kind) -> Vec<PathBuf> {
        let path = match path.starts_with('~') {
            true => match tokens::home(path, self.env) {
                Ok(path) => path,
                Err(_) => return Vec::new(),
            },
            false => self.env.base(kind).join(path),
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let Some(pattern) = path.to_str() else {
            return vec![path];
        };
        match glob::glob_with(pattern, options) {
            Ok(found) => found.take(FILES_MAX).filter_map(Result::ok).collect(),
            Err(_) => vec![path],
        }
    }

    /// Whether all criteria of a `Match` hold.
    fn matches(
        &mut self,
        words: &[String],
        location: &SourceLocation,
        scope: Scope,
    ) -> Result<bool, LineProblem> {
        let wrong = |text: String| Err(LineProblem::Match(text));
        let mut result = scope == Scope::All;
        let mut seen = 0;
        let mut words = words
            .iter()
            // `host=x` is as good as `host x`.
            .flat_map(|word| word.splitn(2, '='))
            .peekable();
        while let Some(word) = words.next() {
            let (name, negated) = match word.strip_prefix('!') {
                Some(name) => (name, true),
                None => (word, false),
            };
            let name = name.to_ascii_lowercase();
            seen += 1;
            let holds = match name.as_str() {
                "all" => {
                    // One before it passes with OpenSSH, whatever its manual says.
                    if seen > 2 || words.peek().is_some() {
                        return wrong("`all` stands alone".to_owned());
                    }
                    true
                }
                "canonical" | "final" => {
                    // These may stand before `all`.
                    seen -= 1;
                    self.wants_final |= name == "final";
                    if words.peek().is_none() {
                        seen += 1;
                    }
                    self.is_final
                }
                "host" | "originalhost" | "user" | "localuser" => {
                    let Some(list) = words.next().filter(|list| !list.is_empty()) else {
                        return wrong(format!("`{name}` has no value"));
                    };
                    self.holds(&name, list)
                }
                "exec" | "localnetwork" | "tagged" | "version" | "sessiontype" | "command" => {
                    if words.next().is_none() {
                        return wrong(format!("`{name}` has no value"));
                    }
                    // It matters only where everything before it holds.
                    if result {
                        self.settings
                            .unsupported
                            .get_or_insert_with(|| Unsupported {
                                name: format!("match {name}"),
                                file: location.file.clone(),
                                line: location.line,
                            });
                    }
                    false
                }
                _ => return wrong(format!("unknown criterion `{name}`")),
            };
            result &= holds != negated;
        }
        match seen {
            0 => wrong("it has no criteria".to_owned()),
            _ => Ok(result),
        }
    }

    fn holds(&self, criterion: &str, list: &str) -> bool {
        let settings = &self.settings;
        match criterion {
            "originalhost" => matches_list(&self.host.to_ascii_lowercase(), list, Case::Lower),
            "localuser" => matches_list(&self.env.user, list, Case::AsIs),
            "user" => {
                let user = settings.user.as_deref().unwrap_or(&self.env.user);
                matches_list(user, list, Case::AsIs)
            }
            _ => {
                let host = match &settings.hostname {
                    Some(name) => name.replace("%h", self.host).replace("%%", "%"),
                    None => self.host.to_owned(),
                };
                matches_list(&host.to_ascii_lowercase(), list, Case::Lower)
            }
        }
    }
}

fn cannot_read(path: &Path) -> impl Fn(io::Error) -> ConfigError + '_ {
    move |source| ConfigError::File {
        file: path.to_owned(),
        source,
    }
}

/// Which part of a file can count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    /// It is included by a block for other hosts.
    Nothing,
}

/// Whether a `Host` is for this one. The first negated pattern that matches decides.
fn is_for(host: &str, patterns: &[String]) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(host, pattern) => return false,
            Some(_) => {}
            None => found |= matches(host, pattern),
        }
    }
    found
}
