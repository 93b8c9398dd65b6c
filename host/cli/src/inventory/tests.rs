//! What files say, and what patterns select: the answers are those of `ansible-inventory` and
//! `ansible --list-hosts` where these give one.

mod ansible;

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::target::Hop;

fn ini(text: &str) -> Result<Inventory, Diagnostic> {
    let mut inventory = Inventory::default();
    ini::parse(&mut inventory, &"hosts.ini".into(), text).map(|()| inventory)
}

fn yaml(text: &str) -> Result<Inventory, Diagnostic> {
    let mut inventory = Inventory::default();
    yaml::parse(&mut inventory, &"hosts.yml".into(), text).map(|()| inventory)
}

#[track_caller]
fn picks(inventory: &Inventory, pattern: &str, want: &str) {
    let selected = select(inventory, pattern, &crate::target::is_path).unwrap();
    let names: Vec<&str> = selected
        .iter()
        .map(|selected| match selected {
            Selection::Host(host) => inventory.name(*host),
            Selection::Path(path) => path,
        })
        .collect();
    assert_eq!(names.join(" "), want, "{pattern}");
}

#[track_caller]
fn refused(result: Result<impl Sized, Diagnostic>, want: &str) {
    let problem = result.err().expect("it is refused");
    let text = format!("{problem:?}");
    let message = text.split("message: ").nth(1).expect("it has a message");
    assert!(message.starts_with(&format!("{want:?}")), "{message}");
}

const INI: &str = "\
# who there is
lone.example.com ansible_host=10.0.0.1
[web]
web[01:03] http_port=80 ; not a comment to Ansible, but a word without `=`
";

const FLEET: &str = "\
lone ansible_host=10.0.0.1 ansible_port=2200

[web]
web[01:03] ansible_user=www
web04:2222 # with a port

[db]
db-[a:b] ansible_connection=local
db-c

[prod:children]
web
db

[prod:vars]
ansible_user = deploy
note = a # b
ansible_become=yes

[db:vars]
ansible_become_user='postgres'

[all:vars]
ansible_user=nobody
";

#[test]
fn patterns_pick_as_in_ansible() {
    let fleet = ini(FLEET).unwrap();
    picks(&fleet, "all", "lone web01 web02 web03 web04 db-a db-b db-c");
    picks(&fleet, "*", "lone web01 web02 web03 web04 db-a db-b db-c");
    picks(&fleet, "ungrouped", "lone");
    picks(&fleet, "prod", "web01 web02 web03 web04 db-a db-b db-c");
    picks(&fleet, "web", "web01 web02 web03 web04");
    picks(&fleet, "web01,lone,web01", "web01 lone");
    picks(&fleet, "web01:lone", "web01 lone");
    picks(&fleet, "web*,!web02", "web01 web03 web04");
    picks(&fleet, "!web02:web*", "web01 web03 web04");
    picks(&fleet, "!web", "lone db-a db-b db-c");
    picks(&fleet, "&web", "web01 web02 web03 web04");
    picks(&fleet, "prod:&web:!web01", "web02 web03 web04");
    picks(&fleet, "&web,prod,!web01", "web02 web03 web04");
    picks(&fleet, "db-[ac]", "db-a db-c");
    picks(&fleet, "web0[!1-3]", "web04");
    picks(&fleet, "db-?", "db-a db-b db-c");
    picks(&fleet, "web[0]", "web01");
    picks(&fleet, "web[-1]", "web04");
    picks(&fleet, "web[1:2]", "web02 web03");
    picks(&fleet, "web[2:]", "web03 web04");
    picks(&fleet, "web[0:2]:db[0]", "web01 web02 web03 db-a");
}

#[test]
fn ways_by_themselves_mix_with_names() {
    let fleet = ini(FLEET).unwrap();
    picks(
        &fleet,
        "local*3,web01,local/local",
        "local*3 web01 local/local",
    );
    picks(&fleet, "local,all,&web", "web01 web02 web03 web04");
    let shadow = ini("local\nlocal-2\n").unwrap();
    picks(&shadow, "local", "local");
    picks(&shadow, "local*", "local local-2");
}

#[test]
fn a_pattern_that_matches_nothing_is_refused() {
    let fleet = ini(FLEET).unwrap();
    let select = |text| select(&fleet, text, &|_| false);
    refused(select("wbe"), "no host or group matches `wbe`");
    refused(select("web,!wbe01"), "no host or group matches `wbe01`");
    refused(select("web,&x*"), "no host or group matches `x*`");
    refused(
        select("web[9]"),
        "bad targets `web[9]`: `web` has 4 hosts, and none at that place",
    );
    refused(
        select("web[-5]"),
        "bad targets `web[-5]`: `web` has 4 hosts, and none at that place",
    );
    refused(
        select("~web.*"),
        "bad targets `~web.*`: regular expressions are not supported; write `*` and `?`",
    );
    refused(select("web,"), "bad targets `web,`: a name is missing");
}

#[test]
fn globs_match_as_a_shell_does() {
    let alike = pattern::is_alike;
    for (pattern, name) in [
        ("*", ""),
        ("a*c", "abbc"),
        ("a*b*c", "aXbYbZc"),
        ("?", "ü"),
        ("[]]", "]"),
        ("[a-c]x", "bx"),
        ("[!a]", "b"),
        ("[", "["),
        ("a[b", "a[b"),
        ("**", "x"),
        ("[a-]", "-"),
    ] {
        assert!(alike(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [
        ("", "a"),
        ("a", ""),
        ("?", ""),
        ("a*c", "abcd"),
        ("[!a]", "a"),
        ("[a-c]", "d"),
        ("ab", "a"),
    ] {
        assert!(!alike(pattern, name), "{pattern} {name}");
    }
    // A pattern of many stars takes no more than the product of the lengths.
    assert!(!alike(
        &"a*".repeat(200),
        &("a".repeat(5000) + "b")[1..].replace('a', "c")
    ));
}

#[track_caller]
fn leads(inventory: &Inventory, host: &str, want: &[Hop]) {
    let id = inventory.host_ids[host];
    assert_eq!(inventory.hops(id, None).unwrap(), want, "{host}");
}

fn ssh(host: &str, user: Option<&str>, port: Option<u16>) -> Hop {
    Hop::Ssh {
        host: host.to_owned(),
        user: user.map(str::to_owned),
        port,
        identity_file: None,
    }
}

fn sudo(user: Option<&str>) -> Hop {
    Hop::Sudo(user.map(str::to_owned))
}

#[test]
fn variables_say_how_to_get_there() {
    let fleet = ini(FLEET).unwrap();
    leads(
        &fleet,
        "lone",
        &[ssh("10.0.0.1", Some("nobody"), Some(2200))],
    );
    leads(
        &fleet,
        "web01",
        &[ssh("web01", Some("www"), None), sudo(None)],
    );
    leads(
        &fleet,
        "web04",
        &[ssh("web04", Some("deploy"), Some(2222)), sudo(None)],
    );
    leads(&fleet, "db-a", &[sudo(Some("postgres"))]);
    leads(
        &fleet,
        "db-c",
        &[ssh("db-c", Some("deploy"), None), sudo(Some("postgres"))],
    );
}

#[test]
fn the_command_line_fills_in_what_the_inventory_leaves_open() {
    let fleet =
        ini("a\nb ansible_become=no\nc ansible_become=true ansible_become_method=su\n").unwrap();
    let default = Become {
        method: BecomeMethod::Doas,
        user: Some("bob".to_owned()),
    };
    let last = |host: &str| {
        let hops = fleet.hops(fleet.host_ids[host], Some(&default)).unwrap();
        hops.last().unwrap().clone()
    };
    assert_eq!(last("a"), Hop::from(default.clone()));
    assert_eq!(last("b"), ssh("b", None, None));
    assert_eq!(last("c"), Hop::Su(Some("bob".to_owned())));
}

#[test]
fn deeper_groups_count_for_more() {
    let text = "\
[low]
x
[beta]
x
[alpha]
x
[high:children]
low
[low:vars]
ansible_user=low
[high:vars]
ansible_user=high
ansible_port=1
[alpha:vars]
ansible_port=2
ansible_host=alpha
ansible_group_priority=10
[beta:vars]
ansible_port=3
ansible_host=beta
";
    // `low` is deepest; of the others, priority decides.
    leads(
        &ini(text).unwrap(),
        "x",
        &[ssh("alpha", Some("low"), Some(2))],
    );
    let text = text.replace("ansible_group_priority=10", "");
    leads(
        &ini(&text).unwrap(),
        "x",
        &[ssh("beta", Some("low"), Some(1))],
    );
}

#[test]
fn slips_in_an_ini_file_are_told_with_their_line() {
    refused(ini(INI), "hosts.ini:4: expected `name=value`, found `;`");
    refused(
        ini("a\n[web\n"),
        "hosts.ini:2: `[web` has a bracket that is no part of a range such as `[1:9]`",
    );
    refused(
        ini("[we b]\n"),
        "hosts.ini:1: `[we b]` is not a section's name",
    );
    refused(
        ini("[web:hots]\n"),
        "hosts.ini:1: unknown kind of section `[web:hots]`",
    );
    refused(
        ini("[x]\n[web:vars]\na=b\n"),
        "hosts.ini:2: group `web` has variables, but there is no section `[web]`",
    );
    refused(
        ini("[x:children]\nweb\n"),
        "hosts.ini:2: group `web` is a part, but there is no section `[web]`",
    );
    refused(
        ini("[web]\n[web:vars]\nab\n"),
        "hosts.ini:3: expected `name = value`, found `ab`",
    );
    refused(
        ini("a b='c\n"),
        "hosts.ini:1: a quotation mark has no partner",
    );
    refused(
        ini("a:99999\n"),
        "hosts.ini:1: `99999` in `a:99999` is not a port (1 to 65535)",
    );
    refused(
        ini("a/b\n"),
        "hosts.ini:1: '/' cannot be part of a host's name",
    );
    refused(
        ini("-oProxyCommand=x\n"),
        "hosts.ini:1: a host's name cannot start with `-`",
    );
    refused(
        ini("[a:children]\nb\n[b:children]\na\n"),
        "hosts.ini:4: group `a` cannot be a part of `b`, which is a part of `a`",
    );
    refused(
        ini("[a:children]\na\n"),
        "hosts.ini:2: group `a` cannot be a part of itself",
    );
}

#[test]
fn passwords_are_refused_wherever_they_stand() {
    for name in [
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_become_password",
        "ansible_become_pass",
        "ansible_sudo_pass",
        "ansible_ssh_private_key_passphrase",
    ] {
        let want = format!(
            "hosts.ini:1: `{name}` is refused: a password does not belong into a file that is passed around"
        );
        refused(ini(&format!("a {name}=x\n")), &want);
        let want = want.replace(".ini:1", ".yml:2");
        refused(
            yaml(&format!("all: {{vars: {{\n  {name}: !vault x}}}}\n")),
            &want,
        );
    }
    let want = "hosts.ini:3: `ansible_ssh_private_key` is refused: a private key does not belong into a file that is passed around";
    refused(ini("[a]\n[a:vars]\nansible_ssh_private_key = x\n"), want);
    assert!(ini("a my_password=x ansible_passive=1 ansible_ssh_private_key_file=k\n").is_ok());
}

#[test]
fn values_that_cannot_be_used_are_refused_for_hosts_that_need_them() {
    let way = |vars: &str| {
        let fleet = ini(&format!("a {vars}\n")).unwrap();
        fleet.hops(0, None)
    };
    refused(
        way("ansible_port=x"),
        "hosts.ini:1: `x` is not a port (1 to 65535) of `a`",
    );
    refused(
        way("ansible_connection=docker"),
        "hosts.ini:1: `a` is reached by `docker`, which is not supported",
    );
    refused(
        way("ansible_host='{{ x }}'"),
        "hosts.ini:1: `ansible_host` of `a` is a template",
    );
    refused(
        way("ansible_become=maybe"),
        "hosts.ini:1: `ansible_become` of `a` is `maybe`",
    );
    refused(
        way("ansible_become=1 ansible_become_method=runas"),
        "hosts.ini:1: `a` changes users by `runas`, which is not supported",
    );
    let listed = yaml("all: {hosts: {a: {ansible_user: [x]}}}").unwrap();
    refused(
        listed.hops(0, None),
        "hosts.yml:1: `ansible_user` of `a` must be a text, found a list",
    );
}

#[test]
fn what_would_change_the_way_is_not_ignored() {
    let fleet = ini("a ansible_ssh_common_args='-o ProxyCommand=x'\nb ansible_connection=local ansible_ssh_args=-C\n").unwrap();
    refused(
        fleet.hops(0, None),
        "hosts.ini:1: `ansible_ssh_common_args` of `a` is not supported",
    );
    leads(&fleet, "b", &[Hop::Local]);
}

const YAML: &str = "\
---
common: &common
  vars: &vars
    ansible_user: deploy
all:
  hosts:
    lone:
      ansible_host: 10.0.0.1
      ansible_port: 2200
  children:
    web:
      hosts:
        web[01:02]:
        web03: {ansible_become: true, tags: [a, b]}
      vars:
        <<: *vars
    db:
      hosts: db-a
      vars:
        <<: [*vars]
        ansible_user: postgres
    empty:
";

#[test]
fn yaml_says_the_same_as_ini() {
    let fleet = yaml(YAML).unwrap();
    picks(&fleet, "all", "lone web01 web02 web03 db-a");
    picks(&fleet, "web,!web02", "web01 web03");
    picks(&fleet, "empty,lone", "lone");
    leads(&fleet, "lone", &[ssh("10.0.0.1", None, Some(2200))]);
    leads(&fleet, "web01", &[ssh("web01", Some("deploy"), None)]);
    leads(
        &fleet,
        "web03",
        &[ssh("web03", Some("deploy"), None), sudo(None)],
    );
    leads(&fleet, "db-a", &[ssh("db-a", Some("postgres"), None)]);
    let json = yaml(r#"{"all": {"hosts": {"a": {"ansible_port": 22}, "b": null}}}"#).unwrap();
    picks(&json, "all", "a b");
}

#[test]
fn slips_in_a_yaml_file_are_told_with_their_line() {
    refused(
        yaml("- a\n"),
        "hosts.yml:1: the file must be a table of groups, found a list",
    );
    refused(
        yaml("all:\n  hsots: {}\n"),
        "hosts.yml:2: group `all` has an unknown part `hsots`",
    );
    refused(
        yaml("all:\n  hosts:\n    - a\n"),
        "hosts.yml:3: `hosts` must be a table: each host's name, and a colon behind it, found a list",
    );
    refused(
        yaml("all:\n  hosts:\n    a: b\n"),
        "hosts.yml:3: variables must be a table, found `b`",
    );
    refused(
        yaml("all:\n  hosts: {a: , a: }\n"),
        "hosts.yml:2: `a` is there twice",
    );
    refused(
        yaml("plugin: aws_ec2\n"),
        "hosts.yml:1: it configures a plugin that finds hosts by itself",
    );
    refused(
        yaml("a:\n---\nb:\n"),
        "hosts.yml:3: there is a second document; an inventory is one",
    );
    refused(
        yaml("a: &x {hosts: *x}\n"),
        "hosts.yml:1: an alias stands inside of what it names",
    );
    assert!(yaml("a: [b\n").is_err());
    assert!(yaml("a: b: c\n").is_err());
    refused(
        yaml(&"- ".repeat(300)),
        "hosts.yml:1: it is nested more than 200 deep",
    );
    assert!(yaml(&format!("a: {}", "[".repeat(100_000))).is_err());
    assert!(yaml("").unwrap().hosts.is_empty());
}

#[test]
fn aliases_do_not_multiply_without_bound() {
    let mut text = "l0: &l0 {hosts: {a: }}\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        text += &format!(
            "l{level}: &l{level} {{children: {{x{level}: *l{below}, y{level}: *l{below}}}}}\n"
        );
    }
    refused(
        yaml(&text),
        "hosts.yml:1: its aliases stand for more than 15104 things",
    );
}

#[test]
fn groups_that_share_children_are_walked_once() {
    let mut text = "[g0]\na\n[h0]\na\n".to_owned();
    for level in 1..60 {
        let below = level - 1;
        for group in ["g", "h"] {
            text += &format!("[{group}{level}:children]\ng{below}\nh{below}\n");
        }
    }
    let fleet = ini(&text).unwrap();
    picks(&fleet, "g59", "a");
    leads(&fleet, "a", &[ssh("a", None, None)]);
    let mut deep = String::new();
    for level in 0..70 {
        deep += &format!("[g{level}]\n[g{level}:children]\ng{}\n", level + 1);
    }
    assert!(ini(&(deep + "[g70]\na\n")).is_err());
}

#[test]
fn a_list_has_a_target_a_line() {
    let list = |text: &str| {
        let mut inventory = Inventory::default();
        load::read_list(&mut inventory, &"list".into(), text).map(|()| inventory)
    };
    let fleet =
        list("# mine\nlocal*3\n\nbob@web[1:2]:2222 # two\nlocal/local\n[::1]:22\n").unwrap();
    picks(&fleet, "all", "local*3 web1 web2 local/local ::1");
    leads(&fleet, "web2", &[ssh("web2", Some("bob"), Some(2222))]);
    leads(&fleet, "::1", &[ssh("::1", None, Some(22))]);
    assert_eq!(fleet.path(0), Some("local*3"));
    refused(list("a b\n"), "list:1: `a b` is more than one target");
    refused(
        list("local\nlocal\n"),
        "list:2: `local` was listed before, in list:1",
    );
    refused(list("@a\n"), "list:1: `@a` names no user before its `@`");
    refused(list("local*0\n"), "bad target: a count of 0 starts nothing");
    refused(
        list("a\nx/y\n"),
        "list:2: '/' cannot be part of a host's name",
    );
}

#[test]
fn a_directory_is_read_as_a_whole() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "a-first",
        "[web]\nweb1 ansible_user=file\n[web:vars]\nansible_port=1\n",
    );
    write("b.yml", "db:\n  hosts:\n    db1:\n");
    write("plain", "---\nall:\n  hosts:\n    c1:\n");
    write("notes.md", "[not an inventory");
    write(".hidden", "[not an inventory");
    write("group_vars/all.yml", "ansible_port: 2\nansible_user: all");
    write("group_vars/db/main.yml", "ansible_port: 3");
    write("host_vars/web1", "ansible_host: 10.0.0.9");
    let load = |path: PathBuf| {
        load(&Sources {
            lists: &[],
            inventories: &[path],
        })
    };
    let fleet = load(root.path().to_owned()).unwrap().unwrap();
    picks(&fleet, "all", "web1 db1 c1");
    leads(&fleet, "web1", &[ssh("10.0.0.9", Some("file"), Some(2))]);
    leads(&fleet, "db1", &[ssh("db1", Some("all"), Some(3))]);
    write("group_vars/web.yml", "$ANSIBLE_VAULT;1.1;AES256\n00\n");
    let shown = root.path().display();
    refused(
        load(root.path().to_owned()),
        &format!("{shown}/group_vars/web.yml is encrypted, and we do not decrypt"),
    );
    write("program", "#!/bin/sh\n");
    refused(
        load(root.path().join("program")),
        &format!("{shown}/program is a program, not a list of hosts"),
    );
    refused(
        load(root.path().join("none")),
        &format!("there is no file {shown}/none"),
    );
}
