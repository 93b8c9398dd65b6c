//! User accounts: `/etc/passwd`, passwd(5).

use offshoot_guest::data;

/// A user account.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The login name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The number of the user's first group.
    pub gid: u32,
    /// The comment field: usually the full name.
    pub gecos: String,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
}

/// Lines that are not accounts are left out: comments, the `+` and `-` lines by which NIS is
/// included, and lines that the system's own functions would not accept either.
pub(crate) fn parse(text: &str) -> Vec<User> {
    text.lines().filter_map(user).collect()
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    let _password = fields.next()?;
    Some(User {
        name: name.to_owned(),
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        gecos: fields.next()?.to_owned(),
        home: fields.next()?.to_owned(),
        shell: fields.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_in_order() {
        let users = parse(
            "root:x:0:0:root:/root:/bin/bash\n\
             nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
        );
        assert_eq!(users.len(), 2);
        assert_eq!(users[0].home, "/root");
        assert_eq!((users[1].uid, users[1].gecos.as_str()), (65534, ""));
    }

    #[test]
    fn what_is_no_account_is_left_out() {
        let text = "# comment\n+::::::\n-evil:x:1:1:::\n:x:0:0:::\nshort:x:1\n\
                    negative:x:-1:0:::\nhuge:x:4294967296:0:::\n\nlast:*:7:7:a,b:/:\n";
        let users = parse(text);
        assert_eq!(users.len(), 1);
        assert_eq!(users[0].name, "last");
        assert_eq!(users[0].shell, "");
    }
}
