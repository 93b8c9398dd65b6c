//! What process listings show of a child: whose it is.

use super::error::ConnectError;

/// The name behind `offshoot:` in a child's `argv[0]`.
///
/// # Errors
///
/// Fails when the asked-for name has slashes or control characters, which would confuse tools
/// that read process listings.
pub(super) fn remote_name(asked_for: Option<&str>) -> Result<String, ConnectError> {
    if let Some(name) = asked_for {
        if name.contains('/') || name.chars().any(char::is_control) {
            return Err(ConnectError::Name(format!(
                "remote name `{}` must not contain slashes or control characters",
                name.escape_debug()
            )));
        }
        return Ok(name.to_owned());
    }
    let user = user_name().replace(['/', '\\'], "_");
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    let name = format!("{user}@{host}:{}", std::process::id());
    Ok(name.chars().filter(|c| !c.is_control()).collect())
}

/// The user's name from passwd(5), read directly: a static program has no name service.
fn user_name() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&id));
    match entry.and_then(|line| line.split(':').next()) {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => format!("uid{id}"),
    }
}
