//! The mount table: `/proc/self/mounts`, in the format of fstab(5).

use offshoot_guest::data;

/// A mounted file system.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// What is mounted: a device, a remote path, or just a name.
    pub source: String,
    /// The directory where it appears.
    pub target: String,
    /// The file system's type, such as `ext4`.
    pub filesystem: String,
    /// The options in force, such as `ro`.
    pub options: Vec<String>,
}

pub(crate) fn parse(text: &str) -> Vec<Mount> {
    // Not `lines`: a carriage return may end a directory's name.
    text.split('\n').filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    Some(Mount {
        source: unescape(fields.next()?),
        target: unescape(fields.next()?),
        filesystem: unescape(fields.next()?),
        options: fields.next()?.split(',').map(unescape).collect(),
    })
}

/// Undoes the kernel's `\040` for a space, and the like for tab, newline, `#` and backslash.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\').then(|| octal(tail)).flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.get(..3)?;
    let value = digits.iter().try_fold(0_u32, |value, &digit| {
        Some(value * 8 + char::from(digit).to_digit(8)?)
    })?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_as_linux_writes_them() {
        let mounts = parse(
            "proc /proc proc rw,relatime 0 0\n\
             /dev/vda1 / ext4 ro,nosuid,errors=remount-ro 0 0\n",
        );
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[1].source, "/dev/vda1");
        assert_eq!(mounts[1].options, ["ro", "nosuid", "errors=remount-ro"]);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"/mnt/two\040words\134n"), r"/mnt/two words\n");
        assert_eq!(unescape(r"a\012b\011c\043d"), "a\nb\tc#d");
        assert_eq!(unescape(r"\303\244"), "ä");
    }

    #[test]
    fn what_only_looks_like_an_escape_stays() {
        for text in [r"\", r"\0", r"\04", r"\089", r"\777", r"x\é40"] {
            assert_eq!(unescape(text), text);
        }
    }

    #[test]
    fn short_lines_are_left_out() {
        assert!(parse("\nproc /proc\n\n").is_empty());
    }
}
