//! The functions on the machine that runs the tests.

use super::*;

#[test]
#[cfg(target_os = "linux")]
fn this_machine_has_facts() {
    let facts = all();
    let text = |path| std::fs::read_to_string(path).expect(path);

    assert_eq!(
        facts.hostname.expect("a name"),
        text("/proc/sys/kernel/hostname").trim()
    );
    let kernel = facts.kernel.expect("a kernel");
    assert_eq!(kernel.name, "Linux");
    assert_eq!(kernel.architecture.as_deref(), Some(std::env::consts::ARCH));
    assert!(facts.uptime.expect("an uptime").seconds > 0.0);
    let memory = facts.memory.expect("memory");
    assert!(memory.free <= memory.total);
    assert!(
        facts
            .mounts
            .expect("mounts")
            .iter()
            .any(|mount| mount.target == "/")
    );
    assert!(facts.users.expect("users").iter().any(|user| user.uid == 0));
}

#[test]
fn a_part_that_fails_is_reported_beside_the_others() {
    let mut missing = Vec::new();
    let refused = read::text("/proc/there-is-no-such-fact");

    assert_eq!(part(&mut missing, "load", refused), None);
    assert_eq!(part(&mut missing, "uptime", Ok(1)), Some(1));
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].part, "load");
    assert!(
        missing[0].reason.contains("there-is-no-such-fact"),
        "{missing:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_file_is_refused() {
    assert!(matches!(
        read::text("/dev/zero"),
        Err(Error::TooLong { .. })
    ));
}
