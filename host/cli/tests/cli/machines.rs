//! The command against real machines: passwords, inventories, how many connections at a time, the
//! doctor, and prompts that are interrupted.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::Value;

use crate::fleets::on_a_terminal;
use crate::world::{PASSWORD, World};
use crate::{Ended, offshoot, path, sample};

const SUM: [&str; 2] = ["sample::sum", "[1, 2]"];

#[test]
fn an_inventory_tells_which_machines_it_could_not_reach() {
    let world = World::new("inventory");
    let file = world.home.join("hosts.ini");
    std::fs::write(&file, "fine\ndown\nlocked\n").expect("it can be written");
    let ended = world.call(&[&["-i", path(&file), "all"], &SUM[..]].concat());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.stdout, "fine\t3\n");
    assert!(
        ended.stderr.contains("3 targets: 1 ok, 2 unreachable"),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("1 unreachable: ssh password is required"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("nobody listens"), "{}", ended.stderr);
    // One that can be reached and fails there counts for more.
    let all = ["-i", path(&file), "all", "sample::parse", "x"];
    assert_eq!(world.call(&all).code, Some(1));
    world.is_empty();
}

#[test]
fn b002_a_host_key_that_has_changed_is_refused_by_each_client() {
    let world = World::new("changed");
    for client in [&[][..], &["--ssh-path", "ssh"]] {
        let ended = world.call(&[client, &["ssh:changed"], &SUM].concat());
        assert_eq!((ended.code, &*ended.stdout), (Some(3), ""), "{client:?}");
        for part in ["host key has changed", "may be an attack", "/.ssh/changed"] {
            assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
        }
        let (code, failed, _) = examined(&world, &[client, &["ssh:changed"]].concat());
        let failed = failed.expect("it is refused");
        assert_eq!((code, &failed["step"]), (Some(1), &"host-key".into()));
        let help = failed["help"].as_str().expect("a text");
        assert!(help.contains("ssh-keygen -R"), "{help}");
    }
    let log = world.machine.sh("grep -c Accepted /var/log/sshd.log || :");
    assert_eq!(log, "0", "nobody was let in");
}

#[test]
fn d5_no_program_is_needed_to_reach_a_machine() {
    let world = World::new("alone");
    let plugin = path(sample::wasm());
    let call = [&["call", "--plugin", plugin, "ssh:fine"], &SUM[..]].concat();
    for arguments in [&call[..], &["doctor", "ssh:fine"]] {
        let mut command = world.command(arguments);
        let ended: Ended = command
            .env("PATH", "/no/such/folder")
            .output()
            .expect("it starts")
            .into();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    world.is_empty();
}

#[test]
fn a_terminal_shows_how_far_machines_are() {
    let world = World::new("progress");
    let file = world.home.join("list");
    std::fs::write(&file, "fine[1:3]\n").expect("it can be written");
    let config = world.config();
    for client in [&[][..], &["--ssh-path", "ssh"]] {
        let nap = [
            "--ssh-config",
            path(&config),
            "--hosts",
            path(&file),
            "all",
            "sample::nap",
            "1500",
        ];
        let home = [("HOME", path(&world.home))];
        let (stdout, shown) = on_a_terminal(&[client, &nap].concat(), &home);
        assert_eq!(stdout.lines().count(), 3, "{shown:?}");
        assert!(shown.contains("\r0 of 3 done, 3 running  "), "{shown:?}");
        assert!(shown.ends_with("3 targets: 3 ok\r\n"), "{shown:?}");
        world.is_empty();
    }
}

#[test]
fn what_is_left_on_a_machine_is_up_to_the_user_and_checked_if_he_wants() {
    let world = World::new("traces");
    let left = || {
        let find = "find /home /root -path '*offshoot*' -type f";
        world.machine.sh(find)
    };
    let call = |flags: &[&str]| {
        let ended = world.call(&[&["ssh:fine"], &SUM[..], flags].concat());
        assert_eq!(ended.stdout, "ssh:fine\t3\n", "{flags:?}: {ended:?}");
    };
    call(&["--leave-nothing"]);
    assert_eq!(left(), "");
    call(&[]);
    let file = left();
    assert_eq!(file.lines().count(), 1, "{file}");
    // Of the same size, owner and mode, but not the same.
    let other = format!(
        "n=$(stat -c %s {file}); cp -p {file} /tmp/other && printf x | \
         dd of=/tmp/other bs=1 seek=$((n-1)) conv=notrunc 2>/dev/null && \
         touch -r {file} /tmp/other && cat /tmp/other > {file}; rm /tmp/other; sha256sum < {file}"
    );
    let broken = world.machine.sh(&other);
    call(&["--verify"]);
    assert_ne!(world.machine.sh(&format!("sha256sum < {file}")), broken);
    world.is_empty();
}

#[test]
fn passwords_come_from_a_command_and_a_descriptor() {
    let world = World::new("passwords");
    let command = format!("echo {PASSWORD}");
    let root = ["sample::first_line", "/etc/shadow", "--grant", "read:/etc"];
    let both = [
        "--pass-command",
        &command,
        "--become-pass-command",
        &command,
    ];
    let direct = world.call(&[&["ssh:locked/sudo"], &root[..], &both].concat());
    assert!(direct.stdout.contains("\"root:"), "{}", direct.stderr);
    let file = world.home.join("list");
    std::fs::write(&file, "locked\n").expect("it can be written");
    let become_root = ["--hosts", path(&file), "all", "--become"];
    let listed = world.call(&[&become_root, &root[..], &both].concat());
    assert!(
        listed.stdout.starts_with("locked\t\"root:"),
        "{}",
        listed.stderr
    );

    let mut command = world.command(
        &[
            &[
                "call",
                "--plugin",
                path(sample::wasm()),
                "ssh:locked",
                "--pass-fd",
                "0",
            ],
            &SUM[..],
        ]
        .concat(),
    );
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    writeln!(input, "{PASSWORD}").expect("it is read");
    let ended: Ended = child.wait_with_output().expect("it ends").into();
    assert_eq!(ended.stdout, "ssh:locked\t3\n", "{}", ended.stderr);
    world.is_empty();
}

#[test]
fn forks_bound_the_connections_at_the_server() {
    let world = World::new("forks");
    let file = world.home.join("list");
    std::fs::write(&file, "fine[1:4]\n").expect("it can be written");
    let plugin = path(sample::wasm());
    let arguments = [
        "call",
        "--plugin",
        plugin,
        "--hosts",
        path(&file),
        "all",
        "sample::nap",
        "700",
        "-f",
        "2",
    ];
    let mut command = world.command(&arguments);
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let mut most = 0;
    let status = loop {
        let count = world
            .machine
            .sh("ps -eo comm=,args= | grep -c '^offshoot' || :");
        most = most.max(count.parse::<usize>().expect("a number"));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
    };
    assert!(status.success());
    assert_eq!(most, 2);
    world.is_empty();
}

/// The step that fails, if one does, and all that is said of it.
fn examined(world: &World, arguments: &[&str]) -> (Option<i32>, Option<Value>, Vec<String>) {
    let ended = world.run(&[&["doctor", "--json"], arguments].concat());
    let lines = ended.stdout.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect();
    let steps = lines
        .iter()
        .map(|it| it["step"].as_str().expect("a text").to_owned());
    let failed = lines.iter().find(|it| it["state"] == "failed").cloned();
    (ended.code, failed, steps.collect())
}

#[test]
fn the_doctor_finds_what_is_wrong_with_a_machine() {
    let world = World::new("doctor");
    let (code, failed, steps) = examined(&world, &["ssh:fine"]);
    assert_eq!((code, &failed), (Some(0), &None));
    let want = [
        "binary",
        "name",
        "port",
        "host-key",
        "login",
        "directory",
        "upload",
        "handshake",
        "round-trip",
        "call",
        "memory",
        "shutdown",
    ];
    assert_eq!(steps, want);
    // A step that a program does not tell of has no time of its own.
    for (client, is_timed) in [(&[][..], true), (&["--ssh-path", "ssh"], false)] {
        let ended = world.run(&[&["doctor", "--json"], client, &["ssh:fine"]].concat());
        let line = ended
            .stdout
            .lines()
            .find(|line| line.contains("\"host-key\""));
        let line: Value = serde_json::from_str(line.expect("it is there")).expect("it is JSON");
        assert_eq!(line["elapsed_us"].is_number(), is_timed, "{line}");
    }
    let command = format!("echo {PASSWORD}");
    let root = ["ssh:fine/sudo", "--become-pass-command", &command];
    let (code, failed, _) = examined(&world, &root);
    assert_eq!((code, failed), (Some(0), None));
    for (target, step, remedy) in [
        ("ssh:down", "port", "does sshd run"),
        ("ssh:no-such-host.invalid", "name", "HostName"),
        ("ssh:stranger", "host-key", "known_hosts"),
        ("ssh:locked", "login", "--ask-pass"),
        ("ssh:fine/sudo", "login", "--ask-become-pass"),
    ] {
        let (code, failed, _) = examined(&world, &[target]);
        let failed = failed.unwrap_or_else(|| panic!("{target} is well"));
        assert_eq!(code, Some(1), "{target}");
        assert_eq!(failed["step"], step, "{failed}");
        let help = failed["help"].as_str().expect("a text");
        assert!(help.contains(remedy), "{failed}");
    }
    let patience = ["--connect-timeout", "1500ms"];
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let port = silent.local_addr().expect("it has one").port();
    let silent = format!("ssh:127.0.0.1:{port}");
    for (target, step, word) in [
        ("ssh:noshell", "login", "not available"),
        ("ssh:slow", "login", "timed out"),
        (&silent, "port", "says nothing"),
    ] {
        let (_, failed, _) = examined(&world, &[&[target], &patience[..]].concat());
        let failed = failed.unwrap_or_else(|| panic!("{target} is well"));
        assert_eq!(failed["step"], step, "{failed}");
        let error = failed["error"].as_str().expect("a text");
        assert!(error.contains(word), "{failed}");
    }
    let wrong = ["ssh:locked", "--pass-command", "echo wrong"];
    let (_, failed, _) = examined(&world, &wrong);
    let error = failed.expect("it fails")["error"].to_string();
    assert!(error.contains("ssh password is incorrect"), "{error}");
    world.is_empty();
}

#[test]
fn variables_of_an_inventory_lead_there() {
    let world = World::new("variables");
    let machine = &world.machine;
    machine.sh("echo hello >/home/bob/own; chown bob /home/bob/own; chmod 600 /home/bob/own; chmod 711 /home/bob");
    let (port, id) = (machine.ssh_addr().port(), machine.identity());
    let text = format!(
        "[web]\nby-sudo\nby-doas ansible_become_method=doas\n\
         by-su ansible_become_method=su ansible_become_user=bob\n\
         [web:vars]\nansible_host=127.0.0.1\nansible_port={port}\nansible_user=amy\n\
         ansible_ssh_private_key_file={}\nansible_become=true\n",
        id.display()
    );
    let file = world.home.join("hosts.ini");
    std::fs::write(&file, text).expect("it can be written");
    let inventory = ["-i", path(&file)];
    let root = ["sample::first_line", "/etc/shadow", "--grant", "read:/etc"];
    let ended = world.call(&[&inventory[..], &["by-sudo,by-doas"], &root].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stdout.matches("\"root:").count(),
        2,
        "{}",
        ended.stdout
    );
    let command = format!("echo {PASSWORD}");
    let own = [
        "sample::first_line",
        "/home/bob/own",
        "--grant",
        "read:/home/bob",
    ];
    let by_su = ["by-su", "--become-pass-command", &command];
    let ended = world.call(&[&inventory[..], &by_su, &own].concat());
    assert_eq!(ended.stdout, "by-su\t\"hello\"\n", "{}", ended.stderr);
    world.is_empty();
}

/// Reads until the prompt stands there, when nothing that is typed may be shown.
fn wait_for_prompt(master: &mut File) {
    wait_for(master, "Password for ssh: ");
    assert!(!echoes(master), "it shows what is typed");
}

fn wait_for(master: &mut File, text: &str) {
    let mut shown = String::new();
    let mut buffer = [0; 256];
    while !shown.contains(text) {
        let count = master.read(&mut buffer).expect("it can be read");
        shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
}

fn echoes(master: &File) -> bool {
    let modes = tcgetattr(master).expect("it is a terminal").local_modes;
    modes.contains(LocalModes::ECHO)
}

#[test]
fn a_prompt_is_answered_or_interrupted() {
    let world = World::new("prompt");
    let ask = [&["ssh:locked", "--ask-pass"], &SUM[..]].concat();
    let (child, mut master) = world.on_a_terminal(&ask);
    wait_for_prompt(&mut master);
    writeln!(master, "{PASSWORD}").expect("it is read");
    let ended: Ended = child.wait_with_output().expect("it ends").into();
    assert_eq!(ended.stdout, "ssh:locked\t3\n", "{}", ended.stderr);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (child, mut master) = world.on_a_terminal(&ask);
        wait_for_prompt(&mut master);
        kill_process(Pid::from_child(&child), signal).expect("it is ours");
        let ended: Ended = child.wait_with_output().expect("it ends").into();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(echoes(&master), "the terminal is as it was");
    }
    world.is_empty();
}

#[test]
fn a_prompt_that_is_stopped_is_asked_again_and_shows_nothing_of_the_answer() {
    let world = World::new("stopped");
    let ask = [&["ssh:locked", "--ask-pass"], &SUM[..]].concat();
    let after = "echo back >/dev/tty; read -r line </dev/tty; fg >/dev/null";
    let (child, mut master) = world.as_a_job(&ask, after);
    wait_for_prompt(&mut master);
    // What was typed before is gone.
    write!(master, "wrong\x1a").expect("it is read");
    wait_for(&mut master, "back");
    assert!(echoes(&master), "the terminal is as the shell wants it");
    writeln!(master).expect("it is read");
    wait_for_prompt(&mut master);
    writeln!(master, "{PASSWORD}").expect("it is read");
    let ended: Ended = child.wait_with_output().expect("it ends").into();
    assert_eq!(ended.stdout, "ssh:locked\t3\n", "{}", ended.stderr);
    world.is_empty();
}

#[test]
fn a_command_for_a_password_ends_with_us() {
    let plugin = path(sample::wasm());
    let arguments = [
        "call",
        "--plugin",
        plugin,
        "local",
        "sample::hang",
        "--pass-command",
        "exec sleep 4711",
    ];
    let mut child = offshoot(&arguments).spawn().expect("it starts");
    let sleeps = || {
        let entries = std::fs::read_dir("/proc").expect("it is there").flatten();
        let mut lines = entries.map(|it| std::fs::read(it.path().join("cmdline")));
        lines.any(|line| line.is_ok_and(|line| line == b"sleep\x004711\0"))
    };
    let wait_until = |want: bool| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while sleeps() != want {
            assert!(Instant::now() < deadline, "it sleeps: {}", !want);
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait_until(true);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
    wait_until(false);
}

#[test]
fn a_call_that_is_ended_leaves_nothing_on_the_machine() {
    let world = World::new("endings");
    let plugin = path(sample::wasm());
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let arguments = ["call", "--plugin", plugin, "ssh:fine", "sample::hang"];
        let mut command = world.command(&arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut stderr = child.stderr.take().expect("it is piped");
        let mut line = [0; 23];
        stderr.read_exact(&mut line).expect("it can be read");
        assert_eq!(&line, b"ssh:fine: info: hanging");
        kill_process(Pid::from_child(&child), signal).expect("it is ours");
        assert_eq!(child.wait().expect("it ends").code(), Some(code));
        world.is_empty();
    }
    for client in [&[][..], &["--ssh-path", "ssh"]] {
        a_second_interrupt_does_not_wait(&world, client);
    }
    // The doctor's reader may leave, too.
    let mut command = world.command(&["doctor", "ssh:fine"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let ended: Ended = child.wait_with_output().expect("it ends").into();
    assert_eq!((ended.code, &*ended.stderr), (Some(141), ""));
    world.is_empty();
}

/// Not even for a machine that does not answer.
fn a_second_interrupt_does_not_wait(world: &World, client: &[&str]) {
    let hang = ["--plugin", path(sample::wasm()), "ssh:fine", "sample::hang"];
    let mut command = world.command(&[&["call"], client, &hang].concat());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stderr = child.stderr.take().expect("it is piped");
    let mut line = [0; 23];
    stderr.read_exact(&mut line).expect("it can be read");
    let far = world
        .machine
        .sh("ps -eo pid=,comm= | awk '$2 ~ /^offshoot/ {print $1}'");
    world.machine.sh(&format!("kill -STOP {far}"));
    let config = world.config();
    let clients = || {
        let entries = std::fs::read_dir("/proc").expect("it is there").flatten();
        let lines = entries.map(|it| std::fs::read(it.path().join("cmdline")));
        let ours = lines.flatten().filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.starts_with("ssh\0") && line.contains(path(&config))
        });
        ours.count()
    };
    assert_eq!(clients(), client.len() / 2);
    let id = Pid::from_child(&child);
    kill_process(id, Signal::INT).expect("it is ours");
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    kill_process(id, Signal::INT).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(1));
    let deadline = Instant::now() + Duration::from_secs(1);
    while clients() > 0 {
        assert!(Instant::now() < deadline, "a client is left");
    }
    world.machine.sh(&format!("kill -CONT {far} || :"));
    world.is_empty();
}
