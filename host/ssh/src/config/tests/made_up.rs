//! Files that nobody would write, read by both.

use std::fmt::Write as _;

use super::same;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn made_up(dice: &mut Dice) -> String {
    const NAMES: &[&str] = &[
        "a",
        "b*",
        "?",
        "*",
        "!a",
        "!b1",
        "a.example.org",
        "*.org",
        "A",
    ];
    const DIRECTIVES: &[(&str, &[&str])] = &[
        ("Port", &["1", "22", "0x16", "65535", "+5"]),
        ("User", &["bob", "\"a b\"", "x\\ y", "%u", "'q'"]),
        (
            "HostName",
            &["%h.example.org", "real", "%%x", "Up.Case", "10.0.0.1"],
        ),
        (
            "IdentityFile",
            &["~/.ssh/one", "\"/k 1\"", "%d/%r@%h", "none"],
        ),
        ("IdentitiesOnly", &["yes", "no", "true", "YES"]),
        (
            "IdentityAgent",
            &["none", "SSH_AUTH_SOCK", "~/agent", "$HOME"],
        ),
        ("ProxyJump", &["j", "u@j:24,k", "none", "None"]),
        ("ProxyCommand", &["none", "nc %h %p", "sh -c \"a  b\" # c"]),
        (
            "StrictHostKeyChecking",
            &["yes", "no", "ask", "accept-new", "off"],
        ),
        ("Compression", &["yes", "no"]),
        ("ConnectTimeout", &["5", "1m", "none", "0"]),
        ("ServerAliveInterval", &["0", "7", "1m1s"]),
        ("AddressFamily", &["inet", "inet6", "any", "INET"]),
        ("PasswordAuthentication", &["no", "yes"]),
        ("PubkeyAuthentication", &["no", "unbound"]),
        (
            "PreferredAuthentications",
            &["password,publickey", "publickey"],
        ),
        ("UserKnownHostsFile", &["/dev/null", "~/a ~/b", "none"]),
        ("GlobalKnownHostsFile", &["/x", "none"]),
        ("HostKeyAlias", &["k", "%h"]),
        ("BatchMode", &["yes", "no"]),
        ("NumberOfPasswordPrompts", &["1", "0", "-1"]),
        ("ForwardAgent", &["yes"]),
        ("LogLevel", &["ERROR"]),
        ("CertificateFile", &["~/c", "c2"]),
    ];
    let mut text = String::new();
    for _ in 0..dice.below(16) {
        match dice.below(8) {
            0 => {
                let (a, b) = (dice.of(NAMES), dice.of(NAMES));
                let _ = writeln!(text, "Host {a} {b}");
            }
            1 => {
                let criterion = dice.of(&[
                    "host",
                    "originalhost",
                    "user",
                    "!host",
                    "final host",
                    "HOST",
                ]);
                let (a, b) = (
                    dice.of(NAMES),
                    dice.of(&["bob", "root", "*", "real", "*.org"]),
                );
                let _ = writeln!(text, "Match {criterion} {a},{b}");
            }
            2 => {
                let _ = writeln!(
                    text,
                    "{}",
                    dice.of(&["# x", "", "  \t", "Match all", "Host *"])
                );
            }
            _ => {
                let (name, values) = DIRECTIVES[dice.below(DIRECTIVES.len())];
                let between = dice.of(&[" ", "=", " = ", "\t", "   "]);
                let name = match dice.below(3) {
                    0 => name.to_ascii_uppercase(),
                    _ => name.to_owned(),
                };
                let _ = writeln!(
                    text,
                    "{}{name}{between}{}",
                    dice.of(&["", " ", "\t"]),
                    dice.of(values)
                );
            }
        }
    }
    text
}

#[test]
fn b001_hundreds_of_made_up_files_read_as_the_real_client_reads_them() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..400 {
        let text = made_up(&mut dice);
        let host = dice.of(&["a", "b1", "a.example.org", "A", "c"]);
        same(&text, host);
    }
}
