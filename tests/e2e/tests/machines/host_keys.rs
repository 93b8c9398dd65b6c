//! Which servers are trusted: one table of `known_hosts`, and the same verdict by each client.

use e2e::with_router;
use offshoot::{CheckHostKeys, ConnectError};
use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{Client, Door, kind, over_both, refused, start, works};

const UNKNOWN: &str = "HostKey Unknown";
const CHANGED: &str = "HostKey Changed";
const REVOKED: &str = "HostKey Revoked";
const KNOWN: &str = "";

/// A state of `known_hosts`, and what becomes of it where keys have to be known. Where new ones are
/// learnt, only an unknown one makes a difference.
struct Case {
    what: &'static str,
    lines: String,
    want: &'static str,
}

fn case(what: &'static str, lines: impl Into<String>, want: &'static str) -> Case {
    let lines = lines.into();
    Case { what, lines, want }
}

fn machine() -> Machine {
    let options = SshdOptions::default().host_keys(&["ed25519", "ecdsa"]);
    start(&Machine::builder().sshd(options).user(User::new("bob")))
}

/// Makes a key on the machine, and gives its public half.
fn stray_key(machine: &Machine, kind: &str) -> String {
    machine.sh(&format!(
        "f=/run/bed/stray-{kind}; [ -f $f ] || ssh-keygen -q -t {kind} -N '' -C '' -f $f; cat $f.pub"
    ))
}

/// The same line, as `ssh-keygen -H` writes it.
fn hashed(machine: &Machine, line: &str) -> String {
    machine.write("/run/bed/plain", line.as_bytes(), "600");
    let text = machine.sh("ssh-keygen -q -H -f /run/bed/plain >/dev/null 2>&1; cat /run/bed/plain");
    assert!(text.starts_with("|1|"), "{text}");
    text + "\n"
}

/// Tries all cases with each client, in both modes that check.
fn try_all(machine: &Machine, cases: &[Case]) {
    over_both(|client| {
        let door = Door::by(client, machine);
        with_router(async |router| {
            for Case { what, lines, want } in cases {
                for check in [CheckHostKeys::Enforce, CheckHostKeys::Accept] {
                    std::fs::write(door.known_hosts(), lines).unwrap();
                    let made = door.ssh(&router, "bob").check_host_keys(check).await;
                    let after = std::fs::read_to_string(door.known_hosts()).unwrap();
                    let learns = check == CheckHostKeys::Accept && *want == UNKNOWN;
                    assert_eq!(after != *lines, learns, "{what}, {check:?}: {after}");
                    match *want == KNOWN || learns {
                        true => drop(made.unwrap_or_else(|error| panic!("{what}: {error}"))),
                        false => assert_eq!(kind(&refused(made)), *want, "{what}, {check:?}"),
                    }
                }
            }
        });
    });
}

#[test]
fn t12_known_hosts_are_judged_alike_by_both_clients() {
    let machine = machine();
    let addr = machine.ssh_addr();
    let host = format!("[{}]:{}", addr.ip(), addr.port());
    let (ed, ecdsa) = (&machine.host_keys()[0], &machine.host_keys()[1]);
    let (late, rsa) = (stray_key(&machine, "ed25519"), stray_key(&machine, "rsa"));
    let own = format!("{host} {ed}\n");
    let other = format!("{host} {late}\n");
    let cases = [
        case("nothing", "", UNKNOWN),
        case("the key", &own, KNOWN),
        case("the second key", format!("{host} {ecdsa}\n"), KNOWN),
        case("another key", &other, CHANGED),
        case("a key of another type", format!("{host} {rsa}\n"), CHANGED),
        case("both", format!("{other}{own}"), KNOWN),
        case("hashed", hashed(&machine, &own), KNOWN),
        case("another, hashed", hashed(&machine, &other), CHANGED),
        case("a pattern", format!("[127.0.0.?]:* {ed}\n"), KNOWN),
        case(
            "another under a pattern",
            format!("[127.*]:* {late}\n"),
            CHANGED,
        ),
        case(
            "but not this host",
            format!("[127.*]:*,!{host} {ed}\n"),
            UNKNOWN,
        ),
        case("one of several names", format!("web1,{host} {ed}\n"), KNOWN),
        case("without the port", format!("{} {ed}\n", addr.ip()), KNOWN),
        case("another port", format!("[{}]:1 {ed}\n", addr.ip()), UNKNOWN),
        case("revoked", format!("@revoked {own}"), REVOKED),
        case(
            "known and revoked",
            format!("{own}@revoked * {ed}\n"),
            REVOKED,
        ),
        case("comments and blanks", format!("# a note\n\n  {own}"), KNOWN),
    ];
    try_all(&machine, &cases);
}

#[test]
fn t12_authorities_are_judged_alike_by_both_clients() {
    let machine = machine();
    let addr = machine.ssh_addr();
    let host = format!("[{}]:{}", addr.ip(), addr.port());
    let (authority, stranger) = (stray_key(&machine, "ed25519"), stray_key(&machine, "ecdsa"));
    machine.sh(
        "cd /etc/ssh; ssh-keygen -q -s /run/bed/stray-ed25519 -I bed -h -n 127.0.0.1 \
         bed_host_ed25519.pub; sed -i '1i HostCertificate /etc/ssh/bed_host_ed25519-cert.pub' \
         bed_config; kill -HUP $(cat /run/sshd.pid)",
    );
    // The server reads its configuration anew, and listens again.
    machine
        .sh("until ssh-keyscan -c -p 22 127.0.0.1 2>/dev/null | grep -q cert; do sleep 0.05; done");
    let own = machine.known_hosts_line();
    let vouched = format!("@cert-authority {host} {authority}\n");
    let cases = [
        case("the authority", &vouched, KNOWN),
        case(
            "for all hosts",
            format!("@cert-authority * {authority}\n"),
            KNOWN,
        ),
        case(
            "another one",
            format!("@cert-authority * {stranger}\n"),
            UNKNOWN,
        ),
        case(
            "for others",
            format!("@cert-authority web1 {authority}\n"),
            UNKNOWN,
        ),
        case(
            "revoked",
            format!("{vouched}@revoked * {authority}\n"),
            REVOKED,
        ),
        case("the key itself", &own, KNOWN),
    ];
    try_all(&machine, &cases);
}

#[test]
fn s095_what_nobody_says_is_up_to_the_configuration() {
    let machine = machine();
    over_both(|client| strictness(client, &machine));
}

fn strictness(client: Client, machine: &Machine) {
    let door = Door::by(client, machine);
    let other = format!(
        "{}\n",
        machine
            .known_hosts_line()
            .replace(machine.host_key(), &stray_key(machine, "ed25519"))
    );
    let identity = machine.identity();
    let identity = identity.to_str().unwrap();
    with_router(async |router| {
        for (word, unknown, changed) in [
            ("", UNKNOWN, CHANGED),
            ("ask", UNKNOWN, CHANGED),
            ("yes", UNKNOWN, CHANGED),
            ("accept-new", KNOWN, CHANGED),
        ] {
            door.configure(&match word {
                "" => String::new(),
                word => format!("StrictHostKeyChecking {word}"),
            });
            for (lines, want) in [("", unknown), (&*other, changed)] {
                std::fs::write(door.known_hosts(), lines).unwrap();
                let made = door.knock(&router, "bob").identity_file(identity).await;
                match want {
                    KNOWN => works(&made.unwrap()).await,
                    want => assert_eq!(kind(&refused(made)), want, "{word}"),
                }
            }
        }
        door.configure("StrictHostKeyChecking no");
        std::fs::write(door.known_hosts(), "").unwrap();
        works(
            &door
                .knock(&router, "bob")
                .identity_file(identity)
                .await
                .unwrap(),
        )
        .await;
        // What is said beats what is configured.
        std::fs::write(door.known_hosts(), "").unwrap();
        assert_eq!(kind(&refused(door.ssh(&router, "bob").await)), UNKNOWN);
    });
}

#[test]
fn b002_a_key_that_has_changed_is_named_with_the_line_that_knows_another() {
    let machine = machine();
    let door = Door::to(&machine);
    let line = machine
        .known_hosts_line()
        .replace(machine.host_key(), &stray_key(&machine, "ed25519"));
    std::fs::write(door.known_hosts(), format!("# a note\n{line}\n")).unwrap();
    with_router(async |router| {
        let error = refused(door.ssh(&router, "bob").await);
        let ConnectError::HostKey(error) = error else {
            panic!("{error}");
        };
        let text = error.to_string();
        let file = door.known_hosts();
        for part in [
            "SHA256:",
            "line 2",
            file.to_str().unwrap(),
            "may be an attack",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}
