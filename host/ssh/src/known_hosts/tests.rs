//! Verdicts, beside those of the installed `ssh-keygen` where it has one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64;
use tempfile::TempDir;

use super::{Hash, KnownHost, LockedFile, Verdict, name};

/// A key that looks like one: nothing here does mathematics with it.
fn key(key_type: &str, number: u8) -> (String, Vec<u8>) {
    let mut blob = Vec::new();
    for part in [key_type.as_bytes(), &[number; 32]] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    (format!("{key_type} {}", BASE64.encode(&blob)), blob)
}

fn ed(number: u8) -> (String, Vec<u8>) {
    key("ssh-ed25519", number)
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(text: &str) -> Self {
        let files = Self::new();
        fs::write(files.at("one"), text).unwrap();
        files
    }

    fn judge(&self, host: &str, port: u16, key: &[u8]) -> Verdict {
        let plain = (port != 22).then_some(host);
        let files = [self.at("one"), self.at("two")];
        let known = KnownHost::read(&files, &name(host, port), plain).unwrap();
        known.judge(key)
    }

    fn changed(&self, line: usize) -> Verdict {
        Verdict::Changed {
            file: self.at("one"),
            line,
        }
    }
}

#[test]
fn t12_known_unknown_changed() {
    let files = Files::with(&format!("# comment\nweb1,10.0.0.1 {}\n", ed(1).0));
    assert_eq!(files.judge("web1", 22, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("10.0.0.1", 22, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("WEB1", 22, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("web1", 22, &ed(2).1), files.changed(2));
    assert_eq!(files.judge("web2", 22, &ed(1).1), Verdict::Unknown);
}

#[test]
fn t12_another_type_of_key_for_a_known_host_is_a_changed_key() {
    let files = Files::with(&format!("web1 {}\n", key("ssh-rsa", 1).0));
    assert_eq!(files.judge("web1", 22, &ed(1).1), files.changed(1));
}

#[test]
fn t12_a_second_line_or_file_may_have_the_key() {
    let files = Files::with(&format!("web1 {}\nweb1 {}\n", ed(1).0, ed(2).0));
    fs::write(files.at("two"), format!("web1 {}\n", ed(3).0)).unwrap();
    for number in 1..=3 {
        assert_eq!(files.judge("web1", 22, &ed(number).1), Verdict::Known);
    }
    assert_eq!(files.judge("web1", 22, &ed(4).1), files.changed(1));
}

#[test]
fn t12_ports() {
    let files = Files::with(&format!(
        "web1 {}\n[web1]:2222 {}\n[web2]:* {}\n",
        ed(1).0,
        ed(2).0,
        ed(3).0
    ));
    assert_eq!(files.judge("web1", 2222, &ed(2).1), Verdict::Known);
    assert_eq!(files.judge("web1", 2222, &ed(1).1), files.changed(2));
    assert_eq!(files.judge("web1", 22, &ed(2).1), files.changed(1));
    // Nothing is known with this port: what is known without one is believed, and no more.
    assert_eq!(files.judge("web1", 2223, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("web1", 2223, &ed(9).1), Verdict::Unknown);
    assert_eq!(files.judge("web2", 99, &ed(3).1), Verdict::Known);
}

#[test]
fn t12_wildcards_and_negation() {
    let files = Files::with(&format!(
        "*.example.org,!bad.example.org,10.?.0.1 {}\n",
        ed(1).0
    ));
    assert_eq!(files.judge("a.example.org", 22, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("a.example.org", 22, &ed(2).1), files.changed(1));
    assert_eq!(
        files.judge("bad.example.org", 22, &ed(1).1),
        Verdict::Unknown
    );
    assert_eq!(files.judge("10.7.0.1", 22, &ed(1).1), Verdict::Known);
}

#[test]
fn t12_revoked() {
    let files = Files::with(&format!("web1 {0}\n@revoked * {0}\n", ed(1).0));
    let revoked = Verdict::Revoked {
        file: files.at("one"),
        line: 2,
    };
    assert_eq!(files.judge("web1", 22, &ed(1).1), revoked);
    assert_eq!(files.judge("new", 22, &ed(1).1), revoked);
    // Another key of a host for which only a revoked one is known is new.
    assert_eq!(files.judge("new", 22, &ed(2).1), Verdict::Unknown);
}

#[test]
fn t12_authorities() {
    let files = Files::with(&format!(
        "@cert-authority *.example.org {}\n@revoked * {}\n",
        ed(1).0,
        ed(3).0
    ));
    let known = |host: &str| KnownHost::read(&[files.at("one")], host, None).unwrap();
    let inside = known("a.example.org");
    assert!(inside.has_authority());
    assert!(!known("elsewhere").has_authority());
    assert_eq!(inside.judge_certificate(&ed(9).1, &ed(1).1), Verdict::Known);
    assert_eq!(
        inside.judge_certificate(&ed(9).1, &ed(2).1),
        Verdict::Unknown
    );
    let revoked = Verdict::Revoked {
        file: files.at("one"),
        line: 2,
    };
    assert_eq!(inside.judge_certificate(&ed(3).1, &ed(1).1), revoked);
    assert_eq!(inside.judge_certificate(&ed(9).1, &ed(3).1), revoked);
    // An authority's key is not a host's.
    assert_eq!(inside.judge(&ed(1).1), Verdict::Unknown);
}

#[test]
fn t12_known_types_go_first() {
    let files = Files::with(&format!(
        "a {}\na {}\na {}\n[b]:23 {}\nb {}\n",
        key("ssh-rsa", 1).0,
        ed(1).0,
        ed(2).0,
        ed(3).0,
        key("ssh-rsa", 1).0
    ));
    let types = |name: &str, plain| {
        let known = KnownHost::read(&[files.at("one")], name, plain).unwrap();
        known
            .key_types()
            .iter()
            .map(|&t| t.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(types("a", None), ["ssh-rsa", "ssh-ed25519"]);
    assert_eq!(types("[b]:23", Some("b")), ["ssh-ed25519"]);
    assert_eq!(types("[b]:24", Some("b")), ["ssh-rsa"]);
    assert!(types("c", None).is_empty());
}

#[test]
fn t12_a_file_that_cannot_be_read_is_an_error_and_a_missing_one_is_not() {
    let files = Files::new();
    let missing = KnownHost::read(&[files.at("none")], "a", None).unwrap();
    assert_eq!(missing.judge(&ed(1).1), Verdict::Unknown);
    fs::create_dir(files.at("one")).unwrap();
    let error = KnownHost::read(&[files.at("one")], "a", None).unwrap_err();
    assert_eq!(error.file, files.at("one"));
}

fn learned(file: &Path, host: &str, hash: Hash) {
    let locked = LockedFile::open(file).unwrap();
    locked.append(host, &ed(1).0, hash).unwrap();
}

#[test]
fn b002_a_new_key_is_appended_for_the_user_alone() {
    let files = Files::new();
    let file = files.at("new/folder/known_hosts");
    learned(&file, "[web1]:2222", Hash::Plain);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        format!("[web1]:2222 {}\n", ed(1).0)
    );
}

#[test]
fn b002_a_last_line_without_end_is_not_run_into() {
    let files = Files::with(&format!("web1 {}", ed(1).0));
    learned(&files.at("one"), "web2", Hash::Plain);
    assert_eq!(files.judge("web1", 22, &ed(1).1), Verdict::Known);
    assert_eq!(files.judge("web2", 22, &ed(1).1), Verdict::Known);
}

#[test]
fn b002_many_at_once_leave_whole_lines() {
    let files = Files::with("");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let file = files.at("one");
            scope.spawn(move || {
                for round in 0..50 {
                    learned(&file, &format!("h{number}-{round}"), Hash::Hashed);
                }
            });
        }
    });
    for number in 0..8 {
        assert_eq!(
            files.judge(&format!("h{number}-49"), 22, &ed(1).1),
            Verdict::Known
        );
    }
    let text = fs::read_to_string(files.at("one")).unwrap();
    let mut lines = text.lines();
    assert!(lines.all(|line| super::Entry::read(line).is_some()));
    assert_eq!(text.lines().count(), 400);
}

#[test]
fn a_host_is_never_written_as_a_pattern_or_a_marker() {
    let files = Files::with("");
    for name in [
        "*", "web?", "a,b", "!web", "@revoked", "#web", "|1|a|b", "a b", "a\nb", "",
    ] {
        for hash in [Hash::Plain, Hash::Hashed] {
            let locked = LockedFile::open(&files.at("one")).unwrap();
            let error = locked.append(name, &ed(1).0, hash).unwrap_err();
            assert!(error.to_string().contains("pattern"), "{name}: {error}");
        }
    }
    assert_eq!(fs::read_to_string(files.at("one")).unwrap(), "");
}

#[test]
fn one_at_a_time_has_the_file_and_a_file_that_was_replaced_is_opened_again() {
    let files = Files::with("");
    let path = files.at("one");
    let first = LockedFile::open(&path).unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            ready.send(()).unwrap();
            learned(&path, "second", Hash::Plain);
        });
        is_ready.recv().unwrap();
        // As `ssh-keygen -R` does.
        fs::write(files.at("new"), "").unwrap();
        fs::rename(files.at("new"), &path).unwrap();
        first.append("lost", &ed(1).0, Hash::Plain).unwrap();
        second.join().unwrap();
    });
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("second {}\n", ed(1).0));
}

/// Whether `ssh-keygen -F` finds a host.
fn keygen_finds(file: &Path, host: &str) -> bool {
    let output = Command::new("ssh-keygen")
        .arg("-F")
        .arg(host)
        .arg("-f")
        .arg(file)
        .output();
    let output = output.expect("openssh-client is installed");
    output.status.success()
}

#[test]
fn t12_ssh_keygen_finds_the_same_hosts_also_when_it_has_hashed_them() {
    let real = Files::new();
    let generated = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(real.at("k"))
        .status();
    assert!(generated.unwrap().success());
    let public = fs::read_to_string(real.at("k.pub")).unwrap();
    let words: Vec<&str> = public.split(' ').take(2).collect();
    let (public, blob) = (words.join(" "), BASE64.decode(words[1].as_bytes()).unwrap());
    let plain = "a,b 10.0.0.1 [c]:2222 *.example.org,!x.example.org";
    let text: String = plain
        .split(' ')
        .map(|hosts| format!("{hosts} {public}\n"))
        .collect();
    fs::write(real.at("one"), text).unwrap();
    let locked = LockedFile::open(&real.at("one")).unwrap();
    locked.append("learnt", &public, Hash::Hashed).unwrap();
    let hosts = [
        "a",
        "b",
        "c",
        "[c]:2222",
        "10.0.0.1",
        "y.example.org",
        "x.example.org",
        "learnt",
    ];
    let check = |when: &str| {
        for host in hosts {
            let known = KnownHost::read(&[real.at("one")], host, None).unwrap();
            let ours = known.judge(&blob) == Verdict::Known;
            assert_eq!(ours, keygen_finds(&real.at("one"), host), "{host} {when}");
        }
    };
    check("as written");
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(real.at("one"))
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(!fs::read_to_string(real.at("one")).unwrap().contains("[c]"));
    check("hashed");
}
