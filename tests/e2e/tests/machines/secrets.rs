//! Passwords, and where they are not: in what anybody can read of a process, in what is left of its
//! memory, in what it says.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use offshoot_bed::{Machine, SshdOptions, User};

use crate::world::{Client, Door, is_empty, over_both, start};

/// Not the password of other tests, whose machines are made at the same time. In two pieces: this
/// program is looked into, too.
fn secret() -> String {
    ["v4ult", "ed-s3cret"].join("-")
}

/// A machine whose users have a password, which is in the arguments of nothing there.
fn machine(options: SshdOptions, password: &str) -> Machine {
    let builder = Machine::builder()
        .sshd(options)
        .user(User::new("bob"))
        .sudoers("bob ALL=(ALL:ALL) ALL");
    let machine = start(&builder);
    let mut shell = machine
        .command(&["/usr/sbin/chpasswd"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    writeln!(input, "bob:{password}").unwrap();
    drop(input);
    assert!(shell.wait().unwrap().success());
    machine
}

/// A controller in a process of its own, which was told the password and is up by now.
fn vault(door: &Door, client: Client) -> Child {
    let (mut child, words) = vault_that_says(door, client);
    if words != "up\n" {
        let _ = child.kill();
        let _ = child.wait();
        panic!("it is not up: {words}");
    }
    child
}

/// The same with what it said of that.
fn vault_that_says(door: &Door, client: Client) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vault"))
        .arg(client.program().unwrap_or("inside"))
        .arg(door.config())
        .arg(door.machine.ssh_addr().port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.as_mut().unwrap(), "{}", secret()).unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.as_mut().unwrap());
    output.read_line(&mut line).unwrap();
    (child, line)
}

/// Our processes: the controller, and every child on the machine.
fn processes(machine: &Machine, controller: &Child) -> Vec<PathBuf> {
    let there = std::fs::read_link(format!("/proc/{}/ns/pid", machine.pid())).unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = entries.map(|entry| entry.path()).filter(|path| {
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        let is_controller = path.ends_with(controller.id().to_string());
        let is_there = std::fs::read_link(path.join("ns/pid")).is_ok_and(|it| it == there);
        is_controller || is_there && name.starts_with("offshoot-child")
    });
    ours.collect()
}

fn place_of(bytes: &[u8], what: &str) -> Option<usize> {
    let first = what.as_bytes()[0];
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    let mut starts = starts.map(|(at, _)| at);
    starts.find(|&at| bytes[at..].starts_with(what.as_bytes()))
}

fn holds(bytes: &[u8], what: &str) -> bool {
    place_of(bytes, what).is_some()
}

/// Where in a process's memory that is.
fn in_memory(process: &Path, what: &str) -> Vec<String> {
    let maps = std::fs::read_to_string(process.join("maps")).unwrap_or_default();
    let Ok(memory) = File::open(process.join("mem")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
        // What was reserved and never touched cannot be read whole.
        let mut bytes = vec![0; 1 << 20];
        for at in (from..to).step_by(bytes.len()) {
            let wanted = bytes.len().min((to - at) as usize);
            let Ok(count) = memory.read_at(&mut bytes[..wanted], at) else {
                continue;
            };
            if let Some(place) = place_of(&bytes[..count], what) {
                let around = &bytes[place.saturating_sub(80)..count.min(place + 80)];
                let around = String::from_utf8_lossy(around);
                found.push(format!("{line} at {:x}: {around:?}", at + place as u64));
            }
        }
    }
    found
}

#[test]
fn t14_no_process_of_ours_has_a_password_in_its_memory_once_it_was_used() {
    let machine = machine(SshdOptions::default(), &secret());
    over_both(|client| looks_into_memory(&machine, client));
}

#[test]
fn t14_nor_if_it_was_the_answer_to_a_question() {
    let options = SshdOptions::default()
        .line("PasswordAuthentication no")
        .line("KbdInteractiveAuthentication yes");
    let machine = machine(options, &secret());
    looks_into_memory(&machine, Client::Inside);
}

#[test]
fn t14_nor_if_it_was_wrong() {
    for by_questions in ["no", "yes"] {
        let options =
            SshdOptions::default().line(&format!("KbdInteractiveAuthentication {by_questions}"));
        let machine = machine(options, "another");
        let door = Door::to(&machine);
        let (mut controller, words) = vault_that_says(&door, Client::Inside);
        assert!(words.contains("password is incorrect"), "{words}");
        has_no_secret(Path::new(&format!("/proc/{}", controller.id())));
        controller.kill().unwrap();
        controller.wait().unwrap();
        is_empty(&machine);
    }
}

fn has_no_secret(process: &Path) {
    let name = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    let known = in_memory(process, "offshoot");
    assert!(!known.is_empty(), "{name}: its memory can be read");
    let found = in_memory(process, &secret());
    assert!(found.is_empty(), "{name} has it: {found:#?}");
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(process.join(file)).unwrap();
        assert!(!holds(&bytes, &secret()), "{name} has it in its {file}");
    }
}

fn looks_into_memory(machine: &Machine, client: Client) {
    let door = Door::to(machine);
    let mut controller = vault(&door, client);
    let processes = processes(machine, &controller);
    assert!(processes.len() >= 6, "{processes:?}");
    for process in &processes {
        has_no_secret(process);
    }
    controller.kill().unwrap();
    controller.wait().unwrap();
    is_empty(machine);
}

#[test]
fn t14_a_child_that_crashes_leaves_no_copy_of_its_memory() {
    let machine = machine(SshdOptions::default(), &secret());
    let door = Door::to(&machine);
    let mut controller = vault(&door, Client::Inside);
    let limits = machine.sh(
        "for p in $(pgrep -x offshoot-child); do grep 'Max core file size' /proc/$p/limits; done",
    );
    let soft: Vec<_> = limits
        .lines()
        .filter_map(|line| line.split_whitespace().nth(4))
        .collect();
    assert!(soft.len() >= 5, "{limits}");
    // One byte: less than a copy has, and a word to those that the system would pipe one to.
    assert!(
        soft.iter().all(|soft| matches!(*soft, "0" | "1")),
        "{limits}"
    );
    controller.kill().unwrap();
    controller.wait().unwrap();
    is_empty(&machine);
}
