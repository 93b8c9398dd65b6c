//! What a machine for tests is, and that nothing is left of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_bed::{
    Builder, Home, LOGIN_SHELLS, Machine, Proxy, SshdOptions, Trouble, User, Weather,
};

/// What ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(20);

fn start(builder: &Builder) -> Machine {
    builder.start().unwrap_or_else(|error| panic!("{error}"))
}

fn with_sshd() -> Builder {
    Machine::builder().sshd(SshdOptions::default())
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits for something that is about to become true.
#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}

/// Whether any process here is in the network of the machine.
fn lives(network: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.flatten().any(|process| {
        std::fs::read_link(process.path().join("ns/net")).is_ok_and(|link| link == network)
    })
}

#[test]
fn nothing_is_left_of_a_machine() {
    let mounts_before = mounts();
    let passwd = std::fs::read("/etc/passwd").unwrap();
    let machine = start(
        &with_sshd()
            .dropbear()
            .user(User::new("bob").home(Home::NoExec)),
    );
    assert_eq!(
        said(&machine.ssh("bob").arg("id -un").output().unwrap()),
        "bob"
    );
    machine.sh("setsid sleep 1000 >/dev/null 2>&1 & echo x >/etc/bed-was-here");
    let network = std::fs::read_link(format!("/proc/{}/ns/net", machine.pid())).unwrap();
    let keys = machine.identity();
    let pid = machine.pid();
    assert!(lives(&network) && keys.exists(), "the machine runs");
    assert_eq!(mounts(), mounts_before, "its mounts are its own");
    let here = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(network, here, "its network is its own");
    drop(machine);
    assert!(!lives(&network), "no process is left");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!keys.exists());
    assert!(!Path::new("/etc/bed-was-here").exists());
    assert_eq!(std::fs::read("/etc/passwd").unwrap(), passwd);
    assert_eq!(mounts(), mounts_before);
}

#[test]
#[ignore = "holds a machine until it is killed; the next test runs it"]
fn holds_a_machine() {
    let machine = start(&with_sshd());
    machine.sh("setsid sleep 1000 >/dev/null 2>&1 &");
    println!("holds {}", machine.pid());
    thread::sleep(Duration::from_secs(1000));
}

#[test]
fn a_machine_ends_when_its_test_is_killed() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "holds_a_machine", "--nocapture"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.split_once("holds ")?.1.parse::<u32>().ok());
    let network = std::fs::read_link(format!("/proc/{}/ns/net", pid.unwrap())).unwrap();
    assert!(lives(&network));
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the machine ends", || !lives(&network));
}

#[test]
fn every_login_shell_is_there() {
    let mut builder = with_sshd();
    for (name, path) in LOGIN_SHELLS {
        builder = builder.user(User::new(&format!("u-{name}")).shell(path));
    }
    let machine = start(&builder);
    for (name, path) in LOGIN_SHELLS {
        let mut ssh = machine.ssh(&format!("u-{name}"));
        let output = ssh
            .arg("echo $SHELL; readlink /proc/$$/exe; true")
            .output()
            .unwrap();
        let want = match *name {
            // It has no `$$`.
            "fish" => continue,
            "ash" => "/usr/bin/busybox",
            "mksh" => "/usr/bin/mksh",
            "tcsh" => "/usr/bin/tcsh",
            _ => path,
        };
        let text = said(&output);
        let (shell, program) = text.split_once('\n').unwrap();
        assert_eq!(shell, *path);
        assert!(
            program.ends_with(Path::new(want).file_name().unwrap().to_str().unwrap()),
            "{program}"
        );
    }
}

#[test]
fn homes_are_as_asked_for() {
    let user = |name: &str, home| User::new(name).home(home);
    let machine = start(
        &Machine::builder()
            .user(user("ro", Home::ReadOnly))
            .user(user("noexec", Home::NoExec).file("s/x", "#!/bin/sh\n"))
            .user(user("full", Home::Full))
            .user(user("small", Home::Small(256)))
            .user(user("missing", Home::Missing)),
    );
    let fails = |user, script: &str| {
        let output = machine.exec_as(user, &["sh", "-c", script]);
        assert!(!output.status.success(), "{user}: {script}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(fails("ro", "echo >x").contains("Read-only"));
    assert!(fails("noexec", "chmod 700 s/x; ./s/x").contains("Permission denied"));
    fails("full", "echo >x; test -s x");
    assert!(fails("small", "head -c 300000 /dev/zero >x").contains("No space"));
    assert_eq!(said(&machine.exec_as("missing", &["pwd"])), "/");
    assert_eq!(said(&machine.exec_as("small", &["pwd"])), "/home/small");
}

#[test]
fn sudo_su_and_doas_ask_for_real_passwords() {
    let machine = start(
        &Machine::builder()
            .user(User::new("bob").password("secret"))
            .user(User::new("eve").password("other"))
            .sudoers("bob ALL=(ALL) ALL")
            .doas("permit nopass bob as root cmd id"),
    );
    let sudo = |user, password: &str| {
        let mut command = machine.command_as(user, &["sudo", "-k", "-S", "-p", "", "id", "-un"]);
        let mut sudo = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(sudo.stdin.take().unwrap(), "{password}").unwrap();
        sudo.wait_with_output().unwrap()
    };
    assert_eq!(said(&sudo("bob", "secret")), "root");
    assert!(!sudo("bob", "wrong").status.success());
    let refused = sudo("eve", "other");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("eve is not in the sudoers file"), "{text}");
    assert_eq!(
        said(&machine.exec_as("bob", &["doas", "-n", "id", "-un"])),
        "root"
    );
    assert!(
        !machine
            .exec_as("eve", &["doas", "-n", "id", "-un"])
            .status
            .success()
    );
    let mut su = machine
        .command_as("eve", &["su", "bob", "-c", "id -un"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(su.stdin.take().unwrap(), "secret").unwrap();
    assert_eq!(said(&su.wait_with_output().unwrap()), "bob");
}

#[test]
fn servers_have_keys_of_their_own() {
    let options = SshdOptions::default().host_keys(&["ecdsa", "ed25519"]);
    let machine = start(&Machine::builder().sshd(options).dropbear());
    assert_eq!(machine.host_keys().len(), 2);
    assert!(machine.host_key().starts_with("ecdsa-sha2-nistp256 "));
    let line = machine.known_hosts_line();
    assert!(line.starts_with(&format!("[127.0.0.1]:{} ecdsa", machine.ssh_addr().port())));
    for key in ["ssh_host_ed25519_key.pub", "ssh_host_rsa_key.pub"] {
        if let Ok(own) = std::fs::read_to_string(Path::new("/etc/ssh").join(key)) {
            assert!(machine.host_keys().iter().all(|key| !own.contains(key)));
        }
    }
    assert_eq!(
        said(&machine.ssh("root").arg("echo $HOME").output().unwrap()),
        "/root"
    );
    let mut ssh = machine.ssh_to_dropbear("root");
    assert_eq!(said(&ssh.arg("echo hi").output().unwrap()), "hi");
    let version = |addr| {
        let mut banner = [0; 20];
        TcpStream::connect(addr)
            .unwrap()
            .read_exact(&mut banner)
            .unwrap();
        String::from_utf8_lossy(&banner).into_owned()
    };
    assert!(version(machine.ssh_addr()).starts_with("SSH-2.0-OpenSSH"));
    assert!(version(machine.dropbear_addr()).starts_with("SSH-2.0-dropbear"));
}

#[test]
fn passwords_let_people_in_over_ssh_and_wrong_ones_do_not() {
    let user = User::new("bob").password("it's secret").without_key();
    let machine = start(&with_sshd().user(user));
    let askpass = machine.identity().with_file_name("askpass");
    let log_in = |password: &str| {
        let script = format!("#!/bin/sh\necho \"{password}\"\n");
        machine.write("/run/bed/askpass", script.as_bytes(), "700");
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null"])
            .args(["-o", "PreferredAuthentications=password"])
            .args(["-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR"])
            .args(["-p", &machine.ssh_addr().port().to_string()])
            .args(["bob@127.0.0.1", "id -un"])
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force");
        ssh.output().unwrap()
    };
    assert_eq!(said(&log_in("it's secret")), "bob");
    let refused = log_in("wrong");
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("Permission denied"), "{text}");
    let mut with_key = machine.ssh("bob");
    assert!(!with_key.arg("true").status().unwrap().success());
}

#[test]
fn many_machines_live_side_by_side() {
    let machines: Vec<Machine> = (0..4).map(|_| start(&with_sshd())).collect();
    for (number, machine) in machines.iter().enumerate() {
        machine.write("/tmp/number", number.to_string().as_bytes(), "600");
    }
    for (number, machine) in machines.iter().enumerate() {
        let mut ssh = machine.ssh("root");
        let output = ssh.arg("cat /tmp/number; hostname").output().unwrap();
        assert_eq!(said(&output), format!("{number}bed"));
    }
}

#[test]
fn a_cable_joins_two_machines() {
    let near = start(&Machine::builder().user(User::new("bob")));
    let far = start(&with_sshd());
    let links_here = std::fs::read_to_string("/proc/net/dev")
        .unwrap()
        .lines()
        .count();
    let (_, addr) = near.cable(&far);
    assert_eq!(
        std::fs::read_to_string("/proc/net/dev")
            .unwrap()
            .lines()
            .count(),
        links_here,
        "it is not plugged in here"
    );
    let key = std::fs::read(far.identity()).unwrap();
    near.write("/home/bob/key", &key, "600");
    near.write(
        "/home/bob/known",
        format!("{addr} {}\n", far.host_key()).as_bytes(),
        "644",
    );
    near.sh("chown bob /home/bob/*");
    let far_root = format!("root@{addr}");
    let output = near.exec_as(
        "bob",
        &[
            "ssh",
            "-F",
            "none",
            "-i",
            "key",
            "-o",
            "UserKnownHostsFile=known",
            &far_root,
            "echo $SSH_CONNECTION",
        ],
    );
    assert!(said(&output).contains(&addr.to_string()));
}

#[test]
fn the_dead_are_collected() {
    let machine = start(&Machine::builder());
    machine.sh("for i in 1 2 3 4 5; do setsid sh -c 'sleep 0.01 & :' & done; wait");
    eventually("no zombies are left", || {
        let left = machine.sh("cat /proc/[0-9]*/stat | grep -E 'sleep|\\) Z ' || :");
        left.is_empty()
    });
}

#[test]
fn a_setup_that_fails_says_where() {
    let error = Machine::builder()
        .run("ls /no/such/folder")
        .start()
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/no/such/folder"), "{text}");
}

/// A server that sends back what it gets.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    addr
}

#[test]
fn a_line_delays_each_way() {
    let weather = Weather {
        delay: Duration::from_millis(40),
        ..Weather::default()
    };
    let proxy = Proxy::to(echo(), weather).unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    let start = Instant::now();
    let mut back = [0; 4];
    for _ in 0..3 {
        stream.write_all(b"ping").unwrap();
        stream.read_exact(&mut back).unwrap();
    }
    // A sleep may be longer than asked for, and never shorter.
    assert!(start.elapsed() >= Duration::from_millis(240));
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut back).unwrap(), 0, "an end is carried, too");
    assert_eq!(
        (proxy.connections(), proxy.bytes_up(), proxy.bytes_down()),
        (1, 12, 12)
    );
}

#[test]
fn a_line_is_cut_at_the_byte() {
    for delay in [Duration::ZERO, Duration::from_millis(20)] {
        let weather = Weather {
            delay,
            down: Trouble::CutAfter(100_001),
            ..Weather::default()
        };
        let proxy = Proxy::to(echo(), weather).unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let writer = thread::spawn(move || writer.write_all(&[7; 200_000]));
        let mut back = Vec::new();
        let _ = stream.read_to_end(&mut back);
        assert_eq!(back.len(), 100_001);
        let _ = writer.join().unwrap();
    }
}

#[test]
fn a_line_stops_and_goes_on() {
    let proxy = Proxy::to(echo(), Weather::default()).unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    let mut back = [0; 4];
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut back).unwrap();
    proxy.freeze();
    stream.write_all(b"pong").unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(stream.read(&mut back).is_err(), "nothing comes");
    proxy.thaw();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"pong");
    proxy.cut();
    assert!(!matches!(stream.read(&mut back), Ok(1..)));

    let weather = Weather {
        up: Trouble::FreezeAfter(2),
        ..Weather::default()
    };
    let proxy = Proxy::to(echo(), weather).unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).unwrap();
    stream.write_all(b"ping").unwrap();
    stream.read_exact(&mut back[..2]).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(stream.read(&mut back).is_err(), "no more comes, and no end");
}
