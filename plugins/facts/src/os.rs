//! Kernel and distribution: `/proc/cpuinfo` and os-release(5).

use std::collections::BTreeMap;

use offshoot_guest::data;

/// The running kernel.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// The operating system: `Linux`.
    pub name: String,
    /// Its release, such as `6.1.0-18-amd64`.
    pub release: String,
    /// When and how it was built.
    pub version: String,
    /// What `uname -m` prints, such as `x86_64`; unknown on old kernels for rare machines.
    pub architecture: Option<String>,
}

/// The distribution.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Its name for programs, such as `debian`.
    pub id: String,
    /// The distributions it is derived from, nearest first.
    pub like: Vec<String>,
    /// Its name for people.
    pub name: String,
    /// Its version for programs, such as `12`; rolling distributions have none.
    pub version: Option<String>,
    /// Its code name, such as `bookworm`.
    pub codename: Option<String>,
    /// Name and version for people.
    pub pretty_name: String,
}

/// Guesses what `uname -m` would print, for kernels before 6.1, which have no
/// `/proc/sys/kernel/arch`.
pub(crate) fn architecture(cpuinfo: &str) -> Option<String> {
    let field = |name| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let has = |list: &str, word| list.split_whitespace().any(|item| item == word);
    let name = if let Some(flags) = field("flags") {
        // `lm` is long mode. A 32-bit kernel on such a CPU cannot be told apart here.
        if has(flags, "lm") { "x86_64" } else { "i686" }
    } else if let Some(isa) = field("isa") {
        if isa.starts_with("rv64") {
            "riscv64"
        } else {
            "riscv32"
        }
    } else if let Some(features) = field("Features") {
        // A 64-bit kernel says `fp` where a 32-bit one says `vfp`.
        if has(features, "fp") {
            "aarch64"
        } else {
            "arm"
        }
    } else {
        return None;
    };
    Some(name.to_owned())
}

/// Reads os-release; what is absent gets the default that its manual page states.
pub(crate) fn distribution(text: &str) -> Distribution {
    let mut fields: BTreeMap<&str, String> = text.lines().filter_map(assignment).collect();
    let mut take = |name| fields.remove(name).filter(|value| !value.is_empty());
    let name = take("NAME").unwrap_or_else(|| "Linux".to_owned());
    Distribution {
        id: take("ID").unwrap_or_else(|| "linux".to_owned()),
        like: take("ID_LIKE")
            .map(|list| list.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
        version: take("VERSION_ID"),
        codename: take("VERSION_CODENAME"),
        pretty_name: take("PRETTY_NAME").unwrap_or_else(|| name.clone()),
        name,
    }
}

fn assignment(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.trim().split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then(|| (name, unquote(value)))
}

/// Undoes the shell's quotes and backslashes. Expansion is not part of the format.
fn unquote(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut quote = None;
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            // Within double quotes a backslash is itself, except before these.
            (Some('"'), '\\') => {
                let escaped = characters.next_if(|next| matches!(next, '$' | '`' | '"' | '\\'));
                out.push(escaped.unwrap_or('\\'));
            }
            (None, '\\') => out.extend(characters.next()),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian() {
        let debian = distribution(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
             VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
        );
        assert_eq!(debian.id, "debian");
        assert_eq!(debian.version.as_deref(), Some("12"));
        assert_eq!(debian.codename.as_deref(), Some("bookworm"));
        assert_eq!(debian.pretty_name, "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn a_derived_and_rolling_distribution() {
        let derived = distribution("ID=x\nID_LIKE='rhel centos  fedora'\nVERSION_ID=\"\"\n");
        assert_eq!(derived.like, ["rhel", "centos", "fedora"]);
        assert_eq!(derived.version, None);
    }

    #[test]
    fn an_empty_file_gives_the_documented_defaults() {
        let nothing = distribution("# nothing\n\n=x\nnot an assignment\nA B=1\n");
        assert_eq!(
            (nothing.id.as_str(), nothing.name.as_str()),
            ("linux", "Linux")
        );
        assert_eq!(nothing.pretty_name, "Linux");
    }

    #[test]
    fn quotes_and_backslashes() {
        assert_eq!(
            unquote(r#""say \"hi\" for \$5 \o/""#),
            r#"say "hi" for $5 \o/"#
        );
        assert_eq!(unquote(r"'it\s'"), r"it\s");
        assert_eq!(unquote(r"two\ words"), "two words");
        assert_eq!(unquote("\"never closed"), "never closed");
        assert_eq!(unquote("ends in \\"), "ends in ");
        assert_eq!(unquote("$(reboot)"), "$(reboot)", "is text");
    }

    #[test]
    fn architectures_from_cpuinfo() {
        let cases = [
            (
                "vendor_id\t: AuthenticAMD\nflags\t\t: fpu vme lm avx2\n",
                Some("x86_64"),
            ),
            ("flags\t\t: fpu vme\n", Some("i686")),
            (
                "BogoMIPS\t: 48.00\nFeatures\t: fp asimd aes\n",
                Some("aarch64"),
            ),
            ("Features\t: half thumb vfp neon\n", Some("arm")),
            ("isa\t\t: rv64imafdc\n", Some("riscv64")),
            ("", None),
        ];
        for (cpuinfo, expected) in cases {
            assert_eq!(architecture(cpuinfo).as_deref(), expected, "{cpuinfo:?}");
        }
    }
}
