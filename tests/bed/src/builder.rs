//! Says what a machine is to be, and writes the script that makes it.

use std::fmt::Write as _;

use crate::error::BedError;
use crate::machine::Machine;
use crate::packages::missing_packages;
use crate::server::{DROPBEAR, SshdOptions};
use crate::user::User;

/// What a machine is to be. See [`Machine::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    users: Vec<User>,
    sudoers: Vec<String>,
    doas: Vec<String>,
    sshd: Option<SshdOptions>,
    dropbear: bool,
    run: Vec<String>,
}

impl Builder {
    /// Adds a user.
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a line for `sudo`.
    #[must_use]
    pub fn sudoers(mut self, line: &str) -> Self {
        self.sudoers.push(line.to_owned());
        self
    }

    /// Adds a line for `doas`.
    #[must_use]
    pub fn doas(mut self, line: &str) -> Self {
        self.doas.push(line.to_owned());
        self
    }

    /// Starts OpenSSH's server.
    #[must_use]
    pub fn sshd(mut self, options: SshdOptions) -> Self {
        self.sshd = Some(options);
        self
    }

    /// Starts dropbear, a server by somebody else.
    #[must_use]
    pub fn dropbear(mut self) -> Self {
        self.dropbear = true;
        self
    }

    /// Runs a piece of bash as root, after the users were made and before servers start.
    #[must_use]
    pub fn run(mut self, script: &str) -> Self {
        self.run.push(script.to_owned());
        self
    }

    /// Makes the machine.
    ///
    /// # Errors
    ///
    /// Fails when this process may not make one, when programs are missing, or when a step of the
    /// setup fails; the error names it.
    pub fn start(&self) -> Result<Machine, BedError> {
        let uid = rustix::process::geteuid();
        if !uid.is_root() {
            return Err(BedError::NotRoot(uid.as_raw()));
        }
        let missing = missing_packages();
        if !missing.is_empty() {
            return Err(BedError::Missing(missing));
        }
        Machine::start(self.sshd.is_some(), self.dropbear, &self.script())
    }

    fn script(&self) -> String {
        let mut script = MACHINE.to_owned();
        for user in &self.users {
            script.push_str(&user.script());
        }
        let mut file = |path: &str, lines: &[String], mode: &str| {
            if !lines.is_empty() {
                let text = quote(&(lines.join("\n") + "\n"));
                let _ = writeln!(script, "printf %s {text} >{path}; chmod {mode} {path}");
            }
        };
        file("/etc/sudoers.d/bed", &self.sudoers, "440");
        file("/etc/doas.conf", &self.doas, "400");
        for piece in &self.run {
            let _ = writeln!(script, "{piece}");
        }
        if self.dropbear {
            script.push_str(DROPBEAR);
        }
        if let Some(options) = &self.sshd {
            script.push_str(&options.script());
        }
        script.push_str(INIT);
        script
    }
}

/// A text as one word of a POSIX shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Turns a fresh set of namespaces into a machine. Whatever could be reached of this one's keys,
/// homes and temporary files is covered by empty folders.
const MACHINE: &str = r#"
set -e
read -r pid _ </proc/self/stat
echo "pid $pid"
umask 022
mount -t tmpfs -o mode=755 bed /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work bed /mnt/root
cd /mnt/root
mkdir .bed-old
pivot_root . .bed-old
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t tmpfs -o mode=755,nosuid dev /dev
mkdir /dev/pts /dev/shm
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r name major minor <<<"$node"
  mknod -m 666 /dev/$name c $major $minor
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
umount -l /.bed-old
rmdir /.bed-old
mount -t tmpfs -o mode=755 home /home
mount -t tmpfs -o mode=700 root /root
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=1777,nosuid,nodev tmp /tmp
mount -t tmpfs -o mode=1777,nosuid,nodev tmp /var/tmp
mount -t tmpfs -o mode=1777,nosuid,nodev shm /dev/shm
# People of this one are not people there: numbers start at 1000 on every machine.
awk -F: '$3 < 1000 || $3 == 65534 { print; print $1 ":*:19000:0:99999:7:::" >"/run/shadow" }' \
  /etc/passwd >/run/passwd
awk -F: '$3 < 1000 || $3 == 65534 { print; print $1 ":*::" >"/run/gshadow" }' \
  /etc/group >/run/group
for file in passwd shadow group gshadow; do cat /run/$file >/etc/$file; rm /run/$file; done
: >/etc/subuid
: >/etc/subgid
rm -rf /etc/ssh/ssh_host_* /etc/sudoers.d/* /etc/doas.conf /var/log/sshd.log
mkdir -p -m 755 /etc/ssh/bed_keys
mkdir -m 700 /run/bed
ssh-keygen -q -t ed25519 -N '' -C bed -f /run/bed/id
key=$(cat /run/bed/id.pub)
echo "$key" >/etc/ssh/bed_keys/root
[ -e /usr/local/bin/ash ] || ln -s /bin/busybox /usr/local/bin/ash
ip link set lo up
hostname bed
echo 127.0.0.1 localhost bed >/etc/hosts
cd /
"#;

/// Becomes the first process of the machine: one that collects the dead, and ends with the test.
const INIT: &str = "
echo ready
exec >/dev/null 2>&1
trap : CHLD
while read -r _; do :; done
";
