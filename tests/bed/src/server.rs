//! The servers that a machine offers.

use std::fmt::Write as _;

use crate::builder::quote;

/// How the machine's `sshd` is configured, beyond what a test needs anyway: its own keys, PAM,
/// passwords, and as many connections as anybody wants.
#[derive(Clone, Debug)]
pub struct SshdOptions {
    key_types: Vec<String>,
    lines: Vec<String>,
    last: Vec<String>,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self {
            key_types: vec!["ed25519".to_owned()],
            lines: Vec::new(),
            last: Vec::new(),
        }
    }
}

impl SshdOptions {
    /// Gives it host keys of these types: `ed25519`, `ecdsa`, `rsa`.
    #[must_use]
    pub fn host_keys(mut self, types: &[&str]) -> Self {
        self.key_types = types.iter().map(|&one| one.to_owned()).collect();
        self
    }

    /// Adds a line of its configuration, before ours: the first one counts.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds a line at the end, where `Match` blocks go.
    #[must_use]
    pub fn last(mut self, line: &str) -> Self {
        self.last.push(line.to_owned());
        self
    }

    /// Makes the keys, tells the public ones, and starts the server.
    pub(crate) fn script(&self) -> String {
        let mut script = String::new();
        let mut config = self.lines.clone();
        for kind in &self.key_types {
            let file = format!("/etc/ssh/bed_host_{kind}");
            let _ = writeln!(
                script,
                "ssh-keygen -q -t {} -N '' -C bed -f {file}; echo \"sshd $(cat {file}.pub)\"",
                quote(kind)
            );
            config.push(format!("HostKey {file}"));
        }
        config.extend(CONFIG.iter().map(|&line| line.to_owned()));
        config.extend(self.last.iter().cloned());
        let _ = writeln!(
            script,
            "mkdir -p /run/sshd; printf %s {} >/etc/ssh/bed_config",
            quote(&(config.join("\n") + "\n"))
        );
        script.push_str(
            "/usr/sbin/sshd -f /etc/ssh/bed_config -E /var/log/sshd.log\n\
             until [ -s /run/sshd.pid ]; do sleep 0.005; done\n",
        );
        script
    }
}

/// Ports inside the machine.
pub(crate) const SSHD_PORT: u16 = 22;
pub(crate) const DROPBEAR_PORT: u16 = 2022;

const CONFIG: &[&str] = &[
    "Port 22",
    "PidFile /run/sshd.pid",
    // Not in the home, which may be anything.
    "AuthorizedKeysFile /etc/ssh/bed_keys/%u",
    "UsePAM yes",
    "PermitRootLogin yes",
    "PasswordAuthentication yes",
    "KbdInteractiveAuthentication no",
    "PrintMotd no",
    "UseDNS no",
    "MaxStartups 1000",
    "MaxSessions 1000",
    "LogLevel VERBOSE",
    "Subsystem sftp internal-sftp",
];

/// Starts `dropbear`, which reads keys from the home only.
pub(crate) const DROPBEAR: &str = "\
dropbearkey -t ed25519 -f /etc/bed_dropbear_key >/dev/null 2>&1
echo \"dropbear $(dropbearkey -y -f /etc/bed_dropbear_key | grep ^ssh-)\"
for h in /root /home/*; do
  k=/etc/ssh/bed_keys/${h##*/}
  [ -f $k ] && mkdir -p $h/.ssh && cp $k $h/.ssh/authorized_keys || continue
  chown -R --reference=$h $h/.ssh && chmod -R go= $h/.ssh
done
dropbear -E -R -r /etc/bed_dropbear_key -p 2022 -P /run/dropbear.pid 2>/var/log/dropbear.log </dev/null >/dev/null
until [ -s /run/dropbear.pid ]; do sleep 0.005; done
";
