//! What the user's and the machine's `ssh_config` say of a host, as OpenSSH reads them.

mod directives;
mod environment;
mod error;
mod reader;
mod settings;
mod tokens;
mod values;
mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use offshoot_text::Hop;
use offshoot_text::{check_host, check_user};

pub use self::environment::Environment;
use self::environment::Kind;
pub use self::error::{ConfigError, LineProblem, SourceLocation};
use self::reader::{Permissions, Reader};
pub use self::settings::{AddressFamily, Strict, Unsupported};
use self::settings::{ProxyDirective, Settings};
pub use self::tokens::ExpandError;
use self::tokens::Tokens;

/// What the caller says of a host itself, which beats any file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Who to be.
    pub user: Option<String>,
    /// Which port.
    pub port: Option<u16>,
    /// The only key to use. An agent is asked for this key alone, and only where the file does
    /// not have it open.
    pub identity_file: Option<PathBuf>,
    /// Use no keys but the configured ones.
    pub identities_only: Option<bool>,
    /// Compress.
    pub compression: Option<bool>,
    /// How long a connection may take.
    pub connect_timeout: Option<Duration>,
    /// After how long a silence to ask whether the server lives.
    pub keepalive_interval: Option<Duration>,
    /// How often to ask in vain.
    pub keepalive_count: Option<u32>,
    /// The way there, instead of a configured one.
    pub jump: Option<Vec<Hop>>,
}

/// How a host is reached, if not directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyMethod {
    /// By a connection to its address.
    Direct,
    /// Through other machines, one after the other.
    Jump(Vec<Hop>),
    /// By what a command, for the user's shell, reads and writes.
    Command(String),
}

/// Which agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// None is asked.
    None,
    /// This one.
    Socket(PathBuf),
}

/// All there is to know to reach a host.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// As it was asked for.
    pub host: String,
    /// Its address or name.
    pub hostname: String,
    /// Who to be there.
    pub user: String,
    /// The port.
    pub port: u16,
    /// The way there.
    pub proxy: ProxyMethod,
    /// Keys to offer, in order.
    pub identity_files: Vec<PathBuf>,
    /// Whether they were named by somebody, or are those that every user may have.
    pub identities_are_default: bool,
    /// Whether there is one that the caller named, which leaves an agent alone if it can.
    pub identity_is_explicit: bool,
    /// Certificates to offer.
    pub certificate_files: Vec<PathBuf>,
    /// Whether an agent's other keys are left alone.
    pub identities_only: bool,
    /// The agent.
    pub agent: Agent,
    /// The files that know host keys: the user's, of which the first learns new ones.
    pub user_known_hosts: Vec<PathBuf>,
    /// The machine's.
    pub global_known_hosts: Vec<PathBuf>,
    /// What is said about unknown host keys.
    pub strict: Strict,
    /// Whether names are hashed where they are learnt.
    pub hash_known_hosts: bool,
    /// Another name for the host's key.
    pub host_key_alias: Option<String>,
    /// Whether this machine itself needs no host key.
    pub no_check_for_localhost: bool,
    /// How long a connection may take.
    pub connect_timeout: Option<Duration>,
    /// How often to try to connect.
    pub connection_attempts: u32,
    /// After how long a silence to ask whether the server lives; never, if zero.
    pub alive_interval: Duration,
    /// How often to ask in vain.
    pub alive_count_max: u32,
    /// Whether to compress.
    pub compression: bool,
    /// Which kind of address.
    pub address_family: AddressFamily,
    /// The address to come from.
    pub bind_address: Option<String>,
    /// In which order to authenticate, if that is said.
    pub preferred: Option<String>,
    /// Whether keys may be used.
    pub public_key: bool,
    /// Whether a password may be used.
    pub password: bool,
    /// Whether questions may be answered.
    pub keyboard_interactive: bool,
    /// How often a password may be given.
    pub password_prompts: u32,
    /// Whether there is nobody to ask.
    pub batch_mode: bool,
    /// Lists of algorithms, as they were written.
    pub algorithms: Algorithms,
    /// Bits that an RSA key needs.
    pub rsa_bits: u32,
    /// After how many bytes new session keys are made.
    pub rekey_bytes: Option<u64>,
    /// After how long, if that is said.
    pub rekey_after: Option<Duration>,
    /// Names of variables of the environment that go along, as patterns.
    pub send_env: Vec<String>,
    /// Variables that are set there.
    pub set_env: Vec<(String, String)>,
    /// The first directive that this client cannot honour.
    pub unsupported: Option<Unsupported>,
    /// Directives that matter only where the host cannot be reached without them.
    pub deferred: Vec<Unsupported>,
}

/// Lists of algorithms, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// Of host keys.
    pub host_keys: Option<String>,
    /// Of the user's keys.
    pub public_keys: Option<String>,
    /// Of those who vouch for hosts.
    pub authorities: Option<String>,
    /// Ciphers.
    pub ciphers: Option<String>,
    /// Message authentication.
    pub macs: Option<String>,
    /// Key exchange.
    pub kex: Option<String>,
}

/// Keys that every user may have, in the order in which OpenSSH tries them.
const DEFAULT_IDENTITIES: &[&str] = &[
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
];

impl HostConfig {
    /// Reads what the files say of a host.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read or makes no sense, and for a name of a host or a user that
    /// is refused, as it was asked for or as the files have it. A directive that makes sense and that
    /// this client cannot honour is in [`unsupported`](Self::unsupported).
    pub fn resolve(
        host: &str,
        overrides: &Overrides,
        env: &Environment,
    ) -> Result<Self, ConfigError> {
        check_host(host)?;
        let settings = settings_for(host, overrides, env)?;
        Self::from_settings(host, overrides, settings, env)
    }

    /// A directive among those that were [deferred](Self::deferred), by its name in lower case.
    pub(crate) fn deferred(&self, name: &str) -> Option<Unsupported> {
        let deferred = self.deferred.iter().find(|one| one.name == name);
        deferred.cloned()
    }

    fn from_settings(
        host: &str,
        overrides: &Overrides,
        settings: Settings,
        env: &Environment,
    ) -> Result<Self, ConfigError> {
        let hostname = hostname(&settings, host, env)?.to_ascii_lowercase();
        let user = settings.user.clone().unwrap_or_else(|| env.user.clone());
        // What a configuration makes of a name goes where the name would: into commands and paths,
        // and into `known_hosts`.
        check_host(&hostname)?;
        check_user(&user)?;
        let port = settings.port.unwrap_or(22);
        let jump = match &settings.proxy {
            Some(ProxyDirective::Jump(jump)) => jump.clone(),
            _ => String::new(),
        };
        let key_name = settings.host_key_alias.clone();
        let tokens = Tokens {
            original_host: host.to_owned(),
            key_name: key_name.unwrap_or_else(|| host.to_owned()),
            hostname,
            port,
            user,
            jump,
        };
        let proxy = match (&overrides.jump, &settings.proxy) {
            (Some(hops), _) if !hops.is_empty() => ProxyMethod::Jump(hops.clone()),
            (Some(_), _) => ProxyMethod::Direct,
            (None, directive) => proxy_method(directive.as_ref(), &tokens, env)?,
        };
        let path = |directive: &'static str, text: &str| {
            tokens::path(text, &tokens, env).map_err(expanding(directive, text))
        };
        let paths = |directive: &'static str, texts: &[String]| {
            let named = texts
                .iter()
                .filter(|text| !text.eq_ignore_ascii_case("none"));
            named
                .map(|text| path(directive, text))
                .collect::<Result<Vec<_>, _>>()
        };
        let identities_are_default =
            overrides.identity_file.is_none() && settings.identity_files.is_empty();
        let identity_files = match &overrides.identity_file {
            Some(file) => vec![file.clone()],
            None if identities_are_default => {
                paths("IdentityFile", &DEFAULT_IDENTITIES.map_owned())?
            }
            None => paths("IdentityFile", &settings.identity_files)?,
        };
        let user_known_hosts = match &settings.user_known_hosts {
            Some(files) => paths("UserKnownHostsFile", files)?,
            None => ["known_hosts", "known_hosts2"]
                .map(|file| env.ssh_dir().join(file))
                .into(),
        };
        let global_known_hosts = match &settings.global_known_hosts {
            Some(files) => files
                .iter()
                .filter(|file| *file != "none")
                .map(|file| {
                    tokens::home(file, env).map_err(expanding("GlobalKnownHostsFile", file))
                })
                .collect::<Result<_, _>>()?,
            None => ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"]
                .map(PathBuf::from)
                .into(),
        };
        let by_variable = |name: &str| {
            let path = env.variable(name).filter(|path| !path.is_empty());
            path.map_or(Agent::None, |path| Agent::Socket(path.into()))
        };
        let agent = match settings.identity_agent.as_deref() {
            None | Some("SSH_AUTH_SOCK") => by_variable("SSH_AUTH_SOCK"),
            Some("none") => Agent::None,
            Some(text) => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
                Some(name) => by_variable(name),
                None => Agent::Socket(path("IdentityAgent", text)?),
            },
        };
        Ok(Self {
            host: host.to_owned(),
            certificate_files: paths("CertificateFile", &settings.certificate_files)?,
            proxy,
            identity_files,
            identities_are_default,
            identity_is_explicit: overrides.identity_file.is_some(),
            identities_only: settings.identities_only.unwrap_or(false),
            agent,
            user_known_hosts,
            global_known_hosts,
            strict: settings.strict.unwrap_or(Strict::Ask),
            hash_known_hosts: settings.hash_known_hosts.unwrap_or(false),
            host_key_alias: settings.host_key_alias,
            no_check_for_localhost: settings.no_check_for_localhost.unwrap_or(false),
            connect_timeout: settings.connect_timeout,
            connection_attempts: settings.connection_attempts.unwrap_or(1).clamp(1, 100),
            alive_interval: settings.alive_interval.unwrap_or(Duration::ZERO),
            alive_count_max: settings.alive_count_max.unwrap_or(3),
            compression: settings.compression.unwrap_or(false),
            address_family: settings.address_family.unwrap_or_default(),
            bind_address: settings.bind_address,
            preferred: settings.preferred,
            public_key: settings.public_key.unwrap_or(true),
            password: settings.password.unwrap_or(true),
            keyboard_interactive: settings.keyboard_interactive.unwrap_or(true),
            password_prompts: settings.password_prompts.unwrap_or(3),
            batch_mode: settings.batch_mode.unwrap_or(false),
            algorithms: Algorithms {
                host_keys: settings.host_key_algorithms,
                public_keys: settings.public_key_algorithms,
                authorities: settings.authority_algorithms,
                ciphers: settings.ciphers,
                macs: settings.macs,
                kex: settings.kex,
            },
            rsa_bits: settings.rsa_bits.unwrap_or(1024),
            rekey_bytes: settings.rekey.and_then(|(bytes, _)| bytes),
            rekey_after: settings.rekey.and_then(|(_, time)| time),
            send_env: settings.send_env,
            set_env: settings.set_env.unwrap_or_default(),
            unsupported: settings.unsupported,
            deferred: settings.deferred,
            hostname: tokens.hostname,
            user: tokens.user,
            port: tokens.port,
        })
    }
}

/// What the files say, with the first value of each directive.
fn settings_for(
    host: &str,
    overrides: &Overrides,
    env: &Environment,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings {
        user: overrides.user.clone(),
        port: overrides.port,
        identities_only: overrides.identities_only,
        compression: overrides.compression,
        connect_timeout: overrides.connect_timeout,
        alive_interval: overrides.keepalive_interval,
        alive_count_max: overrides.keepalive_count,
        ..Settings::default()
    };
    if overrides.jump.is_some() {
        settings.proxy = Some(ProxyDirective::Nothing);
    }
    if overrides.identity_file.is_some() {
        settings.identities_only = Some(true);
    }
    let mut reader = Reader::new(env, host, settings);
    read(&mut reader, env)?;
    if reader.wants_final {
        let mut settings = reader.settings;
        let hostname = hostname(&settings, host, env)?;
        settings.hostname = Some(hostname.replace('%', "%%"));
        reader = Reader::new(env, host, settings);
        reader.is_final = true;
        read(&mut reader, env)?;
    }
    Ok(reader.settings)
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|&text| text.to_owned()).collect()
    }
}

fn read(reader: &mut Reader<'_>, env: &Environment) -> Result<(), ConfigError> {
    if let Some(file) = &env.named_config {
        reader.named(file)?;
    }
    if let Some(file) = &env.user_config {
        reader.file(file, Kind::User, Permissions::Checked)?;
    }
    if let Some(file) = &env.system_config {
        reader.file(file, Kind::System, Permissions::Unchecked)?;
    }
    Ok(())
}

fn expanding<'a>(
    directive: &'static str,
    value: &'a str,
) -> impl FnOnce(ExpandError) -> ConfigError + 'a {
    move |source| ConfigError::Expand {
        directive,
        value: value.to_owned(),
        source,
    }
}

/// The name or address to connect to.
fn hostname(settings: &Settings, host: &str, env: &Environment) -> Result<String, ConfigError> {
    let Some(name) = &settings.hostname else {
        return Ok(host.to_owned());
    };
    let tokens = Tokens {
        original_host: host.to_owned(),
        hostname: host.to_owned(),
        port: 22,
        user: String::new(),
        key_name: String::new(),
        jump: String::new(),
    };
    tokens::expand(name, "h", &tokens, env).map_err(expanding("HostName", name))
}

fn proxy_method(
    proxy: Option<&ProxyDirective>,
    tokens: &Tokens,
    env: &Environment,
) -> Result<ProxyMethod, ConfigError> {
    match proxy {
        None | Some(ProxyDirective::Nothing) => Ok(ProxyMethod::Direct),
        Some(ProxyDirective::Command(command)) => {
            let command = tokens::expand(command, "hnpr", tokens, env)
                .map_err(expanding("ProxyCommand", command))?;
            Ok(ProxyMethod::Command(command))
        }
        Some(ProxyDirective::Jump(jump)) => {
            let text =
                tokens::expand(jump, "hnpr", tokens, env).map_err(expanding("ProxyJump", jump))?;
            Ok(ProxyMethod::Jump(
                Hop::list(&text).map_err(ConfigError::Jump)?,
            ))
        }
    }
}
