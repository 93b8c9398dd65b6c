//! What Debian calls the programs that machines are made with.

use std::path::Path;

/// Debian packages, each with a program by which it is known.
pub const PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "/bin/busybox"),
    ("dropbear-bin", "/usr/sbin/dropbear"),
    ("fish", "/usr/bin/fish"),
    ("iproute2", "/usr/sbin/ip"),
    ("mksh", "/bin/mksh"),
    ("openssh-client", "/usr/bin/ssh"),
    ("openssh-server", "/usr/sbin/sshd"),
    ("opendoas", "/usr/bin/doas"),
    ("sudo", "/usr/bin/sudo"),
    ("tcsh", "/bin/tcsh"),
    ("util-linux", "/usr/bin/nsenter"),
    ("zsh", "/bin/zsh"),
];

/// Those that are not installed here.
pub fn missing_packages() -> Vec<&'static str> {
    let missing = PACKAGES
        .iter()
        .filter(|(_, program)| !Path::new(program).exists());
    missing.map(|&(package, _)| package).collect()
}
