//! What a configuration says, before it is put to use: the first value of each directive.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use offshoot_text::Hop;

use super::directives::{self, Verdict};
use super::error::{LineProblem, SourceLocation};
use super::values::{self, Expected};

/// Identity files and the like that one configuration may name.
const FILES_MAX: usize = 100;

/// Which kind of address to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Either.
    #[default]
    Any,
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

/// `StrictHostKeyChecking`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strict {
    /// `yes`
    Yes,
    /// `no`
    No,
    /// `ask`
    Ask,
    /// `accept-new`
    AcceptNew,
}

/// How another machine is reached, if not directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProxyDirective {
    /// `none`
    Nothing,
    /// `ProxyJump`, as it was written.
    Jump(String),
    /// `ProxyCommand`
    Command(String),
}

/// A directive that this client cannot honour, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// What is asked for.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The line in it.
    pub line: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) hostname: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) identity_files: Vec<String>,
    pub(crate) certificate_files: Vec<String>,
    pub(crate) identities_only: Option<bool>,
    pub(crate) identity_agent: Option<String>,
    pub(crate) proxy: Option<ProxyDirective>,
    /// `ProxyJump none` keeps later jumps away, and a later `ProxyCommand` not.
    pub(crate) no_jump: bool,
    pub(crate) user_known_hosts: Option<Vec<String>>,
    pub(crate) global_known_hosts: Option<Vec<String>>,
    pub(crate) strict: Option<Strict>,
    pub(crate) hash_known_hosts: Option<bool>,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) no_check_for_localhost: Option<bool>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) connection_attempts: Option<u32>,
    pub(crate) alive_interval: Option<Duration>,
    pub(crate) alive_count_max: Option<u32>,
    pub(crate) compression: Option<bool>,
    pub(crate) address_family: Option<AddressFamily>,
    pub(crate) bind_address: Option<String>,
    pub(crate) preferred: Option<String>,
    pub(crate) public_key: Option<bool>,
    pub(crate) password: Option<bool>,
    pub(crate) keyboard_interactive: Option<bool>,
    pub(crate) password_prompts: Option<u32>,
    pub(crate) batch_mode: Option<bool>,
    pub(crate) host_key_algorithms: Option<String>,
    pub(crate) public_key_algorithms: Option<String>,
    pub(crate) authority_algorithms: Option<String>,
    pub(crate) ciphers: Option<String>,
    pub(crate) macs: Option<String>,
    pub(crate) kex: Option<String>,
    pub(crate) rsa_bits: Option<u32>,
    pub(crate) rekey: Option<(Option<u64>, Option<Duration>)>,
    pub(crate) send_env: Vec<String>,
    pub(crate) set_env: Option<Vec<(String, String)>>,
    pub(crate) ignore_unknown: Option<String>,
    /// Directives in force that matter only where the host cannot be reached without them.
    pub(crate) deferred: Vec<Unsupported>,
    /// The first directive in force that cannot be honoured.
    pub(crate) unsupported: Option<Unsupported>,
    /// Directives that this client does not do which have had their first value.
    pub(crate) decided: BTreeSet<String>,
}

/// A directive, taken apart.
pub(crate) struct Line<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) words: Vec<String>,
    /// What follows the keyword, as it is.
    pub(crate) rest: &'a str,
    pub(crate) location: &'a SourceLocation,
    /// Whether it counts, or is in a block for others and only has to make sense.
    pub(crate) active: bool,
}

impl Line<'_> {
    fn wrong(&self, expected: Expected) -> LineProblem {
        LineProblem::Value {
            directive: self.keyword.to_owned(),
            value: self.words.join(" "),
            expected,
        }
    }

    /// Its only value.
    fn one(&self) -> Result<&str, LineProblem> {
        match self.words.as_slice() {
            [word] if !word.is_empty() => Ok(word),
            [] | [_] => Err(LineProblem::NoValue(self.keyword.to_owned())),
            [_, ..] => Err(LineProblem::TooMany(self.keyword.to_owned())),
        }
    }

    fn set<T>(
        &self,
        slot: &mut Option<T>,
        read: impl FnOnce(&str) -> Result<T, Expected>,
    ) -> Result<(), LineProblem> {
        let value = read(self.one()?).map_err(|expected| self.wrong(expected))?;
        self.keep(slot, value);
        Ok(())
    }

    /// Its only value, a time. `none` leaves the word to later lines.
    fn time(&self, slot: &mut Option<Duration>) -> Result<(), LineProblem> {
        match self.one()? {
            "none" => Ok(()),
            _ => self.set(slot, values::time),
        }
    }

    fn keep<T>(&self, slot: &mut Option<T>, value: T) {
        if self.active {
            slot.get_or_insert(value);
        }
    }

    fn append(&self, files: &mut Vec<String>) -> Result<(), LineProblem> {
        let file = self.one()?;
        if self.active && !files.iter().any(|known| known == file) {
            if files.len() == FILES_MAX {
                return Err(LineProblem::TooMany(self.keyword.to_owned()));
            }
            files.push(file.to_owned());
        }
        Ok(())
    }

    fn many(&self, slot: &mut Option<Vec<String>>) -> Result<(), LineProblem> {
        if self.words.len() > FILES_MAX {
            return Err(LineProblem::TooMany(self.keyword.to_owned()));
        }
        if self.words.iter().all(String::is_empty) {
            return Err(LineProblem::NoValue(self.keyword.to_owned()));
        }
        self.keep(slot, self.words.clone());
        Ok(())
    }

    fn unsupported(&self) -> Unsupported {
        Unsupported {
            name: self.keyword.to_owned(),
            file: self.location.file.clone(),
            line: self.location.line,
        }
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where a value may be wrong"
)]
fn text(word: &str) -> Result<String, Expected> {
    Ok(word.to_owned())
}

impl Settings {
    /// Takes a directive in; `Host`, `Match` and `Include` are not its business.
    pub(crate) fn apply(&mut self, line: &Line<'_>) -> Result<(), LineProblem> {
        use values::{number, port, switch};
        match line.keyword {
            "hostname" => line.set(&mut self.hostname, text),
            "user" => line.set(&mut self.user, text),
            "port" => line.set(&mut self.port, port),
            "identityfile" => line.append(&mut self.identity_files),
            "certificatefile" => line.append(&mut self.certificate_files),
            "identitiesonly" => line.set(&mut self.identities_only, switch),
            "identityagent" => line.set(&mut self.identity_agent, text),
            "proxyjump" => self.jump(line),
            "proxycommand" => self.command(line),
            "userknownhostsfile" => line.many(&mut self.user_known_hosts),
            "globalknownhostsfile" => line.many(&mut self.global_known_hosts),
            "stricthostkeychecking" => line.set(&mut self.strict, strict),
            "hashknownhosts" => line.set(&mut self.hash_known_hosts, switch),
            "hostkeyalias" => line.set(&mut self.host_key_alias, text),
            "nohostauthenticationforlocalhost" => {
                line.set(&mut self.no_check_for_localhost, switch)
            }
            "connecttimeout" => line.time(&mut self.connect_timeout),
            "connectionattempts" => line.set(&mut self.connection_attempts, number),
            "serveraliveinterval" => line.time(&mut self.alive_interval),
            "serveralivecountmax" => line.set(&mut self.alive_count_max, number),
            "compression" => line.set(&mut self.compression, switch),
            "addressfamily" => line.set(&mut self.address_family, family),
            "bindaddress" => line.set(&mut self.bind_address, text),
            "preferredauthentications" => line.set(&mut self.preferred, text),
            "pubkeyauthentication" => line.set(&mut self.public_key, |word| {
                match word.to_ascii_lowercase().as_str() {
                    "unbound" | "host-bound" => Ok(true),
                    _ => switch(word),
                }
            }),
            "passwordauthentication" => line.set(&mut self.password, switch),
            "kbdinteractiveauthentication" => line.set(&mut self.keyboard_interactive, switch),
            // Which kind is the server's choice anyway.
            "kbdinteractivedevices" => line.one().map(|_| ()),
            "numberofpasswordprompts" => line.set(&mut self.password_prompts, number),
            "batchmode" => line.set(&mut self.batch_mode, switch),
            "hostkeyalgorithms" => line.set(&mut self.host_key_algorithms, text),
            "pubkeyacceptedalgorithms" => line.set(&mut self.public_key_algorithms, text),
            "casignaturealgorithms" => line.set(&mut self.authority_algorithms, text),
            "ciphers" => line.set(&mut self.ciphers, text),
            "macs" => line.set(&mut self.macs, text),
            "kexalgorithms" => line.set(&mut self.kex, text),
            "requiredrsasize" => line.set(&mut self.rsa_bits, number),
            "rekeylimit" => self.rekey(line),
            "sendenv" => {
                if line.active {
                    self.send_env.extend(line.words.iter().cloned());
                }
                Ok(())
            }
            "setenv" => self.set_environment(line),
            "ignoreunknown" => line.set(&mut self.ignore_unknown, text),
            other => self.apply_unimplemented(other, line),
        }
    }

    fn apply_unimplemented(&mut self, keyword: &str, line: &Line<'_>) -> Result<(), LineProblem> {
        let (idle, slot) = match directives::verdict(keyword) {
            Some(Verdict::Ignored(_)) => return Ok(()),
            Some(Verdict::Refused(idle, _)) => (idle, None),
            Some(Verdict::Conditional(idle, _)) => (idle, Some(&mut self.deferred)),
            Some(Verdict::Honoured) | None => {
                return Err(LineProblem::Unknown(keyword.to_owned()));
            }
        };
        let value = line.words.first().map(|word| word.to_ascii_lowercase());
        let value = value.ok_or_else(|| LineProblem::NoValue(keyword.to_owned()))?;
        let counts = line.active && self.decided.insert(keyword.to_owned());
        if counts && !idle.contains(&value.as_str()) {
            match slot {
                Some(deferred) => deferred.push(line.unsupported()),
                None => self.unsupported = self.unsupported.take().or(Some(line.unsupported())),
            }
        }
        Ok(())
    }

    fn jump(&mut self, line: &Line<'_>) -> Result<(), LineProblem> {
        let value = line.one()?;
        if value.eq_ignore_ascii_case("none") {
            self.no_jump |= line.active;
            return Ok(());
        }
        // Tokens are not there yet: a place-holder shows whether the rest makes sense.
        Hop::list(&value.replace('%', "x")).map_err(LineProblem::Jump)?;
        if !self.no_jump {
            line.keep(&mut self.proxy, ProxyDirective::Jump(value.to_owned()));
        }
        Ok(())
    }

    fn command(&mut self, line: &Line<'_>) -> Result<(), LineProblem> {
        // The whole line, quotes and all, is a shell's to read.
        let command = line.rest.trim();
        let command = command.strip_prefix('=').unwrap_or(command).trim_start();
        if command.is_empty() {
            return Err(LineProblem::NoValue(line.keyword.to_owned()));
        }
        let proxy = match command.eq_ignore_ascii_case("none") {
            true => ProxyDirective::Nothing,
            false => ProxyDirective::Command(command.to_owned()),
        };
        line.keep(&mut self.proxy, proxy);
        Ok(())
    }

    fn rekey(&mut self, line: &Line<'_>) -> Result<(), LineProblem> {
        let [amount, rest @ ..] = line.words.as_slice() else {
            return Err(LineProblem::NoValue(line.keyword.to_owned()));
        };
        let amount = match amount.as_str() {
            "default" => None,
            amount => Some(values::bytes(amount).map_err(|expected| line.wrong(expected))?),
        };
        let time = match rest {
            [] => None,
            [time] if time == "none" => None,
            [time] => Some(values::time(time).map_err(|expected| line.wrong(expected))?),
            _ => return Err(LineProblem::TooMany(line.keyword.to_owned())),
        };
        line.keep(&mut self.rekey, (amount, time));
        Ok(())
    }

    fn set_environment(&mut self, line: &Line<'_>) -> Result<(), LineProblem> {
        let pairs = line.words.iter().map(|word| {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| line.wrong("NAME=value"))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        let pairs = pairs.collect::<Result<_, LineProblem>>()?;
        line.keep(&mut self.set_env, pairs);
        Ok(())
    }
}

fn strict(word: &str) -> Result<Strict, Expected> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(Strict::Yes),
        "no" | "false" | "off" => Ok(Strict::No),
        "ask" => Ok(Strict::Ask),
        "accept-new" => Ok(Strict::AcceptNew),
        _ => Err("yes, no, ask or accept-new"),
    }
}

fn family(word: &str) -> Result<AddressFamily, Expected> {
    match word.to_ascii_lowercase().as_str() {
        "any" => Ok(AddressFamily::Any),
        "inet" => Ok(AddressFamily::V4),
        "inet6" => Ok(AddressFamily::V6),
        _ => Err("any, inet or inet6"),
    }
}
