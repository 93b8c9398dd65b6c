//! Targets from lists and inventories.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::{Ended, call, offshoot, path, run, sample, scratch};

/// The targets that answered, in order.
#[track_caller]
fn answered(ended: &Ended) -> Vec<&str> {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mut names: Vec<&str> = ended
        .stdout
        .lines()
        .map(|line| line.strip_suffix("\t3").expect("a target and the sum"))
        .collect();
    names.sort_unstable();
    names
}

const SUM: [&str; 2] = ["sample::sum", "[1, 2]"];

#[test]
fn an_inventory_names_targets() {
    let directory = scratch("inventory");
    let file = directory.join("hosts.ini");
    let text = "\
near-1
[web]
web[1:3] ansible_host=10.0.0.1 # where it is does not matter here
[all:vars]
ansible_connection=local
";
    fs::write(&file, text).expect("it can be written");
    let file = path(&file);
    let pick = |pattern: &str| call(&[&["-i", file, pattern][..], &SUM].concat());
    assert_eq!(answered(&pick("all")), ["near-1", "web1", "web2", "web3"]);
    assert_eq!(answered(&pick("web,!web2")), ["web1", "web3"]);
    assert_eq!(answered(&pick("web:!web2")), ["web1", "web3"]);
    assert_eq!(answered(&pick("*1,&web")), ["web1"]);
    assert_eq!(
        answered(&pick("web[0],local/local")),
        ["local/local", "web1"]
    );
    let limited = call(&[&["-i", file, "all", "--limit", "web[1:]"][..], &SUM].concat());
    assert_eq!(answered(&limited), ["web2", "web3"]);
    // What a host logs bears its name.
    let said = call(&["-i", file, "web2", "sample::say", "hello"]);
    assert_eq!(said.stderr, "web2: info: hello\n");
}

#[test]
fn a_directory_of_yaml_and_variables_is_an_inventory() {
    let directory = scratch("inventory-directory");
    let yaml = "all:\n  children:\n    web:\n      hosts:\n        web[1:2]:\n";
    fs::write(directory.join("fleet.yml"), yaml).expect("it can be written");
    fs::create_dir(directory.join("group_vars")).expect("it can be made");
    let vars = directory.join("group_vars/web.yml");
    fs::write(vars, "ansible_connection: local\n").expect("it can be written");
    let ended = call(&[&["-i", path(&directory), "web"][..], &SUM].concat());
    assert_eq!(answered(&ended), ["web1", "web2"]);
}

#[test]
fn a_list_comes_from_a_file_or_from_standard_input() {
    let directory = scratch("list");
    let file = directory.join("targets");
    let text = "# two kinds\nlocal*2\n\nlocal/local # one below another\n";
    fs::write(&file, text).expect("it can be written");
    let from_file = call(&[&["--hosts", path(&file), "all"][..], &SUM].concat());
    let want = ["local#1", "local#2", "local#3/local"];
    assert_eq!(answered(&from_file), want);

    let plugin = path(sample::wasm());
    let arguments = ["call", "--plugin", plugin, "--hosts", "-", "all"];
    let mut child = offshoot(&[&arguments[..], &SUM].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(text.as_bytes()).expect("it is read");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(answered(&output.into()), want);
}

/// Compares all that is said.
#[track_caller]
fn refused(arguments: &[&str], want: &str) {
    let ended = call(&[arguments, &SUM].concat());
    assert_eq!(ended.stderr, want);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.code, Some(2));
}

#[test]
fn a_slip_in_a_list_is_told_with_its_place() {
    let directory = scratch("slips");
    let write = |name: &str, text: &str| {
        let file = directory.join(name);
        fs::write(&file, text).expect("it can be written");
        path(&file).to_owned()
    };
    let ini = write("a.ini", "[web]\nweb1 ansible_password=hunter2\n");
    refused(
        &["-i", &ini, "all"],
        &format!(
            "error: {ini}:2: `ansible_password` is refused: a password does not belong into a file that is passed around\n\
             help: remove it; use a key and an agent, or let the command ask with `--ask-pass` and `--ask-become-pass`\n"
        ),
    );
    let yaml = write("b.yml", "web:\n  hsots:\n    web1:\n");
    refused(
        &["-i", &yaml, "all"],
        &format!(
            "error: {yaml}:2: group `web` has an unknown part `hsots`\nhelp: did you mean `hosts`?\n"
        ),
    );
    let list = write("c", "local\nlocal*0\n");
    refused(
        &["--hosts", &list, "all"],
        &format!(
            "\
error: bad target: a count of 0 starts nothing
  | local*0
  |       ^
note: it stands in {list}:2
help: write hops joined by `/`, such as `ssh:bob@web1/sudo`, and `local*8` for eight of them; join targets by `,`
"
        ),
    );
    let fine = write("d.ini", "[web]\nweb1 ansible_connection=local\n");
    refused(
        &["-i", &fine, "wbe"],
        "error: no host or group matches `wbe`\nhelp: did you mean `web`?\n",
    );
    refused(
        &["-i", &fine, "all", "--limit", "!web"],
        "error: `all`, limited to `!web`, leaves no host\n",
    );
    let none = path(&directory.join("none")).to_owned();
    refused(
        &["-i", &none, "all"],
        &format!(
            "error: there is no file {none}\nhelp: `--hosts` and `--inventory` take files; targets by themselves go before the function\n"
        ),
    );
}

#[test]
fn names_without_a_list_are_refused() {
    let help = "help: name a list of hosts with `--inventory FILE` or `--hosts FILE`\n";
    refused(
        &["all"],
        &format!("error: `all` has no hosts to choose from\n{help}"),
    );
    refused(
        &["local", "--limit", "web"],
        &format!("error: `--limit web` has no hosts to choose from\n{help}"),
    );
    let ended = run(&["call", "local", "x::y", "--become-user", "bob"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--become"), "{}", ended.stderr);
}
