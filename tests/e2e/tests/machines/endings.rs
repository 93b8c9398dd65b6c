//! However the controller ends, and whatever is on the way, nothing is left on the machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use offshoot_bed::{Builder, Machine, Weather};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Client, Door, is_empty, no_litter, ours, over_both, start, with_bob};

/// For tests that have nothing to do with silence.
const USUAL: Duration = Duration::from_secs(15);

/// Bob may become anyone, in any way, and sudo is set up like that.
fn with_ladder(defaults: &str) -> Builder {
    with_bob()
        .sudoers("bob ALL=(ALL:ALL) NOPASSWD: ALL")
        .sudoers(defaults)
        .doas("permit nopass bob as root")
}

/// A controller in a process of its own, with a chain of contexts on the machine.
struct Far(Child);

impl Far {
    fn start(door: &Door, address: SocketAddr, depth: usize, lost_after: Duration) -> Self {
        Self::start_by(Client::Inside, door, address, depth, lost_after)
    }

    fn start_by(
        client: Client,
        door: &Door,
        address: SocketAddr,
        depth: usize,
        lost_after: Duration,
    ) -> Self {
        door.trust(address);
        let mut child = Command::new(env!("CARGO_BIN_EXE_far"))
            .arg(client.program().unwrap_or("inside"))
            .arg(door.config())
            .arg(address.port().to_string())
            .arg(door.machine.identity())
            .arg(depth.to_string())
            .arg(lost_after.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        if line != "up\n" {
            child.kill().unwrap();
            let mut words = String::new();
            let mut errors = child.stderr.take().unwrap();
            errors.read_to_string(&mut words).unwrap();
            child.wait().unwrap();
            panic!("it is not up: {words}");
        }
        Self(child)
    }

    fn tell(&mut self, word: &str) {
        let input = self.0.stdin.as_mut().unwrap();
        writeln!(input, "{word}").unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn count(machine: &Machine) -> usize {
    let list = machine.sh("ps -eo comm= | grep -c ^offshoot || :");
    list.parse().unwrap()
}

#[test]
fn f3_however_the_controller_ends_ten_contexts_of_every_kind_end_with_it() {
    over_both(every_ending);
}

fn every_ending(client: Client) {
    let machine = start(&with_ladder("Defaults use_pty, log_input, log_output"));
    let door = Door::to(&machine);
    for ending in [
        "kill", "stop", "exit", "abort", "panic", "return", "shutdown",
    ] {
        let mut far = Far::start_by(client, &door, machine.ssh_addr(), 10, USUAL);
        assert_eq!(count(&machine), 10, "{ending}");
        match ending {
            "kill" => far.signal(Signal::KILL),
            "stop" => {
                far.signal(Signal::STOP);
                far.signal(Signal::KILL);
            }
            word => far.tell(word),
        }
        is_empty(&machine);
    }
    no_litter(&machine);
}

#[test]
fn f3_a_killed_controller_takes_the_tree_along_however_sudo_is_set_up() {
    for defaults in [
        "Defaults !use_pty",
        "Defaults use_pty",
        "Defaults !use_pty, log_output",
        "Defaults requiretty, log_input",
    ] {
        let machine = start(&with_ladder(defaults));
        let door = Door::to(&machine);
        let far = Far::start(&door, machine.ssh_addr(), 4, USUAL);
        assert_eq!(count(&machine), 4, "{defaults}");
        far.signal(Signal::KILL);
        is_empty(&machine);
    }
}

#[test]
fn f2_a_context_in_the_middle_that_is_killed_takes_what_is_below_along() {
    let machine = start(&with_ladder("Defaults use_pty, log_output"));
    let door = Door::to(&machine);
    let mut far = Far::start(&door, machine.ssh_addr(), 5, USUAL);
    // The second one of root's is the child of the first.
    machine.sh("kill -9 $(pgrep -u root -x offshoot-child | sed -n 2p)");
    eventually("those above are left", || count(&machine) == 2);
    far.tell("shutdown");
    is_empty(&machine);
}

#[test]
fn f3_a_connection_that_is_cut_ends_both_sides() {
    let machine = start(&with_ladder("Defaults use_pty"));
    let door = Door::to(&machine);
    let line = machine.ssh_through(Weather::default());
    let far = Far::start_by(Client::Program, &door, line.addr(), 5, USUAL);
    assert_eq!(count(&machine), 5);
    line.cut();
    is_empty(&machine);
    let client = format!("pgrep -P {} || :", far.0.id());
    eventually("the client is gone", || ours(&client).is_empty());
}

#[test]
fn f6_a_controller_that_dies_behind_a_dead_network_is_missed() {
    let machine = start(&with_ladder("Defaults use_pty, log_output"));
    let door = Door::to(&machine);
    let line = machine.ssh_through(Weather::default());
    let far = Far::start(&door, line.addr(), 5, Duration::from_secs(2));
    assert_eq!(count(&machine), 5);
    line.freeze();
    far.signal(Signal::KILL);
    is_empty(&machine);
}

#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
