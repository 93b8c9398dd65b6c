//! Writes the one command that a remote shell runs.
//!
//! The text is read twice: by a login shell, which may be of any kind and must see one quoted
//! word, and by `/bin/sh`, which may be of any make. Hence no quote of the first kind, no `!`, no
//! backslash and no newline in it, and nothing beyond POSIX but `[ -O` and `head -c`, which every
//! system has. It is as short as it can be and still be read: it travels with every connection.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::handshake::NONCE_LEN;

/// Platforms that one command can tell apart: all of it must fit into the shortest argument list
/// in use.
const PLATFORMS_MAX: usize = 16;

/// Places that are tried at most: directories, and memory after them.
pub(super) const CANDIDATES: usize = 5;

/// A child for one kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// What `uname -sm` prints there, such as `Linux x86_64`, with `*` and `?` as in a shell.
    pub uname: Vec<String>,
    /// SHA-256 of the child; also its name in the cache.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub size: u64,
    /// Its bytes when compressed by gzip, if it is offered like that.
    pub gzip_size: Option<u64>,
}

/// Whether the child is left behind for the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Keep {
    /// In a directory of its user alone.
    #[default]
    Cache,
    /// Not at all: its file is gone before it starts.
    Nothing,
}

/// How a child from the cache is checked before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Verify {
    /// Owner, mode and size. The directory is its user's alone, so more finds only bit rot.
    #[default]
    Quick,
    /// Its hash, too, where the machine has a program for it.
    Always,
}

/// A part of the command that a shell could misread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unquotable {
    /// The nonce.
    #[error("a nonce is {NONCE_LEN} hexadecimal digits")]
    Nonce,
    /// A platform's name.
    #[error("`{0}` cannot be a pattern for what `uname -sm` prints")]
    Platform(String),
    /// The cache's name.
    #[error("`{0}` cannot be the name of a cache: use letters, digits, `-` and `_`")]
    Cache(String),
    /// The child's name in process listings.
    #[error(
        "remote name `{}` cannot be told to a remote shell: use letters, digits, spaces and \
         `@:.,+=%_-`", .0.escape_debug()
    )]
    RemoteName(String),
    /// There are none, or too many.
    #[error("one command offers 1 to {PLATFORMS_MAX} platforms, and not {0}")]
    Count(usize),
}

/// The command that starts a child.
#[derive(Clone, Debug)]
pub struct Stage0 {
    nonce: String,
    cache: String,
    pub(super) platforms: Vec<Platform>,
    keep: Keep,
    verify: Verify,
    remote_name: Option<String>,
}

impl Stage0 {
    /// A command that answers with `nonce`, and keeps its files in folders called `cache`.
    ///
    /// # Errors
    ///
    /// Fails when a shell could misread one of them.
    pub fn new(nonce: &str, cache: &str, platforms: Vec<Platform>) -> Result<Self, Unquotable> {
        if nonce.len() != NONCE_LEN || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Unquotable::Nonce);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if cache.is_empty() || !cache.bytes().all(plain) {
            return Err(Unquotable::Cache(cache.to_owned()));
        }
        if !(1..=PLATFORMS_MAX).contains(&platforms.len()) {
            return Err(Unquotable::Count(platforms.len()));
        }
        let pattern = |byte: u8| plain(byte) || matches!(byte, b' ' | b'.' | b'*' | b'?');
        for uname in platforms.iter().flat_map(|platform| &platform.uname) {
            if uname.is_empty() || !uname.bytes().all(pattern) {
                return Err(Unquotable::Platform(uname.clone()));
            }
        }
        Ok(Self {
            nonce: nonce.to_owned(),
            cache: cache.to_owned(),
            platforms,
            keep: Keep::default(),
            verify: Verify::default(),
            remote_name: None,
        })
    }

    /// Says what process listings are to show of the child, behind `offshoot:` (`S081`).
    ///
    /// # Errors
    ///
    /// Fails when a shell could misread it.
    pub fn remote_name(self, name: &str) -> Result<Self, Unquotable> {
        if name.is_empty() || !name.chars().all(Self::is_plain_in_name) {
            return Err(Unquotable::RemoteName(name.to_owned()));
        }
        let remote_name = Some(name.to_owned());
        Ok(Self {
            remote_name,
            ..self
        })
    }

    /// Whether a remote name may have this character: every shell takes it for itself between
    /// quotes of either kind.
    pub fn is_plain_in_name(c: char) -> bool {
        c.is_ascii_alphanumeric() || " @:.,+=%_-".contains(c)
    }

    /// Says what is left behind.
    #[must_use]
    pub fn keep(self, keep: Keep) -> Self {
        Self { keep, ..self }
    }

    /// Says how the cache is checked.
    #[must_use]
    pub fn verify(self, verify: Verify) -> Self {
        Self { verify, ..self }
    }

    /// The nonce that the answers carry.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// One line for a login shell of any kind: what `ssh` and `su -c` take.
    pub fn command(&self) -> String {
        format!("exec /bin/sh -c '{}'", self.script())
    }

    /// The same for what starts programs itself: `sudo`, `doas`.
    pub fn argv(&self) -> [String; 3] {
        ["/bin/sh".to_owned(), "-c".to_owned(), self.script()]
    }

    /// The same for `sudo -i`, which has a login shell read the words once more and lets it
    /// replace what looks like a variable. So there is none in them: `@` stands for `$` on the way.
    pub fn login_argv(&self) -> [String; 3] {
        let script = self.script();
        let [shell, option, _] = self.argv();
        // The name may have an `@` of its own.
        let hidden = script.replace('@', "~").replace('$', "@");
        let decode = r"tr @~ '\\044@'";
        [
            shell,
            option,
            format!("set -f;eval `echo '{hidden}'|{decode}`"),
        ]
    }

    fn script(&self) -> String {
        let mut script = self.prologue();
        script.push_str(HASH);
        match self.keep {
            Keep::Cache => script.push_str(&self.look_into_cache()),
            Keep::Nothing => script.push_str("z(){ rm -f $t;rmdir \"$d\";};"),
        }
        // It is removed wherever we are by then: nobody else has a file of that name.
        script.push_str("t=./.$N;");
        script.push_str("trap z 0;trap \"exit 9\" 1 2 13 15;");
        script.push_str("b(){ ");
        script.push_str(&match self.keep {
            Keep::Cache => format!("mkdir \"${{d%/{}}}\" \"$d\";k \"$d\"||return;", self.cache),
            Keep::Nothing => "mkdir \"$d\"&&k \"$d\"||return;".to_owned(),
        });
        script.push_str(ASK);
        if self.keep == Keep::Cache {
            script.push_str(SWEEP);
        }
        script.push_str(RECEIVE);
        script.push_str(match self.keep {
            Keep::Cache => "r=rename;mv -f $t $H&&x ./$H;};",
            Keep::Nothing => {
                "r=proc;[ -e /proc/self/exe ]||return;exec 9<$t;z;cd \"$w\";x /proc/self/fd/9;};"
            }
        });
        script.push_str("d=$HOME;[ \"$D\" ]||echo \"$N:no:home:$d\";for d in ");
        script.push_str(&match self.keep {
            Keep::Cache => format!("${{D:+\"$D/{}\"}} $C", self.cache),
            // Memory first: what was never on a disk leaves nothing there.
            Keep::Nothing => format!(
                "/dev/shm/.{0}-$N /tmp/.{0}-$N /var/tmp/.{0}-$N ${{D:+\"$HOME/.{0}-$N\"}}",
                self.cache
            ),
        });
        // A child that is damaged, or does not run, is no better in memory.
        script.push_str(";do r=dir;b;z;echo \"$N:no:$r:$d\";case $r in hash|run)M=;esac;done;");
        script.push_str(&in_memory());
        script.push_str("echo $N:fail;exit 5");
        script
    }

    /// Sets the scene, and finds out which platform this is.
    fn prologue(&self) -> String {
        let mut text = format!("N={};", self.nonce);
        text.push_str(SURROUNDINGS);
        text.push_str("case $(uname -sm) in ");
        for (index, platform) in self.platforms.iter().enumerate() {
            let patterns = platform.uname.join("|").replace(' ', "?");
            let _ = write!(text, "{patterns})I={index} H=");
            for byte in platform.sha256 {
                let _ = write!(text, "{byte:02x}");
            }
            let _ = write!(text, " S={} M={} G=", platform.size, system_calls(platform));
            if let Some(size) = platform.gzip_size {
                let _ = write!(text, "{size}");
            }
            text.push_str(";;");
        }
        text.push_str("*)echo \"$N:arch:$(uname -sm)\";exit 3;esac;");
        text.push_str(BECOME);
        if let Some(name) = &self.remote_name {
            let _ = write!(text, " \"{name}\"");
        }
        text.push_str(FUNCTIONS);
        text
    }

    /// Becomes the child if there is one. The home's cache comes first: no further program runs
    /// before it is looked into.
    fn look_into_cache(&self) -> String {
        let cache = &self.cache;
        let hash = match self.verify {
            Verify::Quick => "",
            Verify::Always => "&&v $H",
        };
        format!(
            "q(){{ k \"$1\" $H \"-rwx------* $S *\"&&[ -O $H ]&&[ -x $H ]{hash}&&x ./$H;}};\
             [ \"$D\" ]&&q \"$D/{cache}\";u={cache}-$(id -u);\
             C=\"/var/tmp/$u /tmp/$u /dev/shm/$u\";for d in $C;do q $d;done;\
             z(){{ rm -f $t;}};"
        )
    }
}

/// The numbers of `memfd_create` and `execve`, for a language that does not know them by name.
fn system_calls(platform: &Platform) -> &'static str {
    let is = |machine: &str| platform.uname.iter().any(|name| name.ends_with(machine));
    match (is("x86_64"), is("aarch64")) {
        (true, _) => "319^59",
        (_, true) => "279^221",
        _ => "",
    }
}

/// Where no file may run, a file that is only in memory may: not a shell's, but a scripting
/// language's, which puts the child there and becomes it. Each is first asked whether it can, with
/// a size of 0; what runs then asks for the child itself. The current directory may be anybody's,
/// so nothing is expanded to the names in it.
fn in_memory() -> String {
    // Within quotes, a `$` at their end is one.
    let perl = joined(PERL).replace('$', "$\"\"");
    let python = joined(PYTHON);
    format!(
        "[ \"$M\" ]&&{{ d=memory;cd \"$w\";set -f;IFS=^;\
         for g in \"$(command -v perl)^-Te^{perl}\" \"$(command -v python3)^-Ic^{python}\";do \
         $g $M 0 $H /proc/self/fd/&&\
         x \"$g^$M^$S^$H^/proc/self/fd/^$N:need:$I:cat:$d\";done;echo $N:no:$d:$d;}};"
    )
}

/// A script on one line, without its comments. Every line of it is a whole statement.
fn joined(script: &str) -> String {
    let lines: Vec<&str> = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.trim_end_matches(';'))
        .collect();
    lines.join(";")
}

const PERL: &str = include_str!("stage0.pl");
const PYTHON: &str = include_str!("stage0.py");

/// The child gets back the path, the mask, the directory and the errors that it would have had
/// without us. Tools are the system's own: root may have got the path of the user who became root,
/// and functions, too, where `/bin/sh` is bash. Only a machine that keeps its tools elsewhere is
/// asked where. An empty entry of a path would mean the current directory.
const SURROUNDINGS: &str = "unset -f [ cat cd chmod command echo env find gzip head id ls mkdir mv \
    rm rmdir umask uname wc;\
    p=$PATH w=$PWD m=$(umask);umask 077;exec 3>&2 2>/dev/null;\
    PATH=/usr/bin:/bin:/usr/local/bin;command -v ls>&2||PATH=$PATH${p:+:$p};";

/// `x`: becomes a program. What is behind its directory is for the child.
const BECOME: &str = "x(){ umask $m;PATH=$p;exec $1 serve $N \"$w\"";

/// The rest of `x`.
///
/// `e`: runs a tool without the caller's environment, where that could change what the tool does
/// or loads.
///
/// `k`: enters a directory, and then judges where it is, so that nobody can swap it in between. It
/// must be ours alone, and be, as seen from the directory above it, a directory (no link) of the
/// name that we gave it: whoever is led elsewhere finds no such entry next to the place. With a
/// file in it, both are judged, for the price of one program. The listing has a fixed order.
///
/// `o`: whether a path is a directory of ours to put a cache in. A home of somebody else's, as
/// root may be given, is left alone, and so is what comes with it.
const FUNCTIONS: &str = " 2>&3 3>&-;};\
    e(){ env -i PATH=\"$PATH\" \"$@\";};\
    k(){ cd -P \"$1\"&&[ -O . ]||return;n=../${1##*/} g=$3;\
    set -- $(LC_ALL=C TIME_STYLE=locale QUOTING_STYLE=literal ls -ldni . $n $2);\
    case \"$*\" in \"$1 \"drwx--[-S]---*\" $1 d\"*\" $n\"*$g)return 0;esac;false;};\
    o(){ case $1 in /*)[ -O \"$1\" ];;*)false;esac;};\
    D=;o \"$HOME\"&&D=$HOME/.cache&&o \"$XDG_CACHE_HOME\"&&D=$XDG_CACHE_HOME;";

/// `v`: whether a file has the right hash. A machine without any program for that has to do
/// without: ssh has already checked every byte.
const HASH: &str = "v(){ g=$(e sha256sum $1||e shasum -a 256 $1||e openssl dgst -sha256 -r $1);\
    g=${g%% *};[ \"${g:-$H}\" = $H ];};";

/// Tries what can be tried before anything is sent. A script of one colon tells whether programs
/// run from there: not every `[ -x` knows.
const ASK: &str = "r=write;echo : >$t&&chmod 700 $t||return;r=noexec;$t||return;\
    r=head;head -c 1 </dev/null>&2||return;\
    y=cat z=cat c=$S;[ \"$G\" ]&&command -v gzip>&2&&y=gzip z=\"e gzip -dc\" c=$G;\
    echo \"$N:need:$I:$y:$d\";";

/// Removes what broken connections left an hour ago, and children that nobody used for a month:
/// files right here whose names are a nonce's or a hash's, and nothing else. It runs while the
/// answer is still on its way.
const SWEEP: &str = "g=[0-9a-f];g=$g$g$g$g;g=$g$g$g$g$g$g$g$g;\
    find ./.$g -prune -type f -mmin +60 -exec rm -f {} +;\
    find ./$g$g -prune -type f -atime +30 -exec rm -f {} +;";

/// Takes the payload in and judges it. The rest of it is read even if nothing can be written any
/// more, so that the next one starts where it should; and that one is not compressed, in case it
/// was `gzip` that failed.
const RECEIVE: &str = "head -c $c|{ $z >$t;cat>&2;};G=;\
    r=short;[ $(wc -c <$t) -eq $S ]||return;r=hash;v $t||return;r=run;$t --version</dev/null>&2||return;";
