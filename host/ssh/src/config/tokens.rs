//! `%h` and its like in values, `~` and `${VARIABLE}` in paths.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sha1::{Digest as _, Sha1};

use super::Environment;

/// What the tokens of a value stand for.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// `%n`: the host as it was asked for.
    pub(crate) original_host: String,
    /// `%h`
    pub(crate) hostname: String,
    /// `%p`
    pub(crate) port: u16,
    /// `%r`
    pub(crate) user: String,
    /// `%k`: under which name the host's key is known.
    pub(crate) key_name: String,
    /// `%j`: what `ProxyJump` says.
    pub(crate) jump: String,
}

impl Tokens {
    /// `%C`: a hash of what tells one connection from another.
    fn connection_hash(&self, env: &Environment) -> String {
        let port = self.port.to_string();
        let parts = [&env.hostname, &self.hostname, &port, &self.user, &self.jump];
        let hash = parts
            .iter()
            .fold(Sha1::new(), |hash, part| hash.chain_update(part.as_bytes()));
        data_encoding::HEXLOWER.encode(&hash.finalize())
    }
}

/// Why a value cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// No such token.
    #[error("`%{0}` is not a token of this directive")]
    Token(char),
    /// A `%` at the end.
    #[error("a `%` stands at the end; write `%%` for the character")]
    Bare,
    /// No such variable.
    #[error("the environment variable `{0}` is not set")]
    Variable(String),
    /// A `${` that is not closed.
    #[error("a `${{` has no `}}`")]
    Unclosed,
    /// Another user's home.
    #[error("the home of user `{0}` is not known")]
    Home(String),
}

/// Replaces the tokens among `allowed` in `text`.
pub(crate) fn expand(
    text: &str,
    allowed: &str,
    tokens: &Tokens,
    env: &Environment,
) -> Result<String, ExpandError> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let token = chars.next().ok_or(ExpandError::Bare)?;
        if token != '%' && !allowed.contains(token) {
            return Err(ExpandError::Token(token));
        }
        match token {
            '%' => out.push('%'),
            'C' => out.push_str(&tokens.connection_hash(env)),
            'h' => out.push_str(&tokens.hostname),
            'n' => out.push_str(&tokens.original_host),
            'r' => out.push_str(&tokens.user),
            'k' => out.push_str(&tokens.key_name),
            'j' => out.push_str(&tokens.jump),
            'u' => out.push_str(&env.user),
            'd' => out.push_str(&env.home.to_string_lossy()),
            'l' => out.push_str(&env.hostname),
            'L' => out.push_str(env.hostname.split('.').next().unwrap_or_default()),
            'p' => {
                let _ = write!(out, "{}", tokens.port);
            }
            'i' => {
                let _ = write!(out, "{}", env.uid);
            }
            other => return Err(ExpandError::Token(other)),
        }
    }
    Ok(out)
}

/// Replaces `${NAME}`.
pub(crate) fn variables(text: &str, env: &Environment) -> Result<String, ExpandError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, after) = after.split_once('}').ok_or(ExpandError::Unclosed)?;
        let value = env.variable(name);
        out.push_str(&value.ok_or_else(|| ExpandError::Variable(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Replaces a `~` in front.
pub(crate) fn home(path: &str, env: &Environment) -> Result<PathBuf, ExpandError> {
    let Some(rest) = path.strip_prefix('~') else {
        return Ok(PathBuf::from(path));
    };
    let (user, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let home = if user.is_empty() {
        env.home.clone()
    } else {
        let home = env.home_of(user);
        home.ok_or_else(|| ExpandError::Home(user.to_owned()))?
    };
    Ok(join(&home, rest))
}

fn join(home: &Path, rest: &str) -> PathBuf {
    if rest.is_empty() {
        return home.to_owned();
    }
    home.join(rest.trim_start_matches('/'))
}

/// The tokens that a path may have.
pub(crate) const IN_PATHS: &str = "ChnrkjudlLpi";

/// A path with all of these.
pub(crate) fn path(text: &str, tokens: &Tokens, env: &Environment) -> Result<PathBuf, ExpandError> {
    let text = home(text, env)?;
    let text = expand(&text.to_string_lossy(), IN_PATHS, tokens, env)?;
    Ok(PathBuf::from(variables(&text, env)?))
}
