//! What Ansible itself writes, and ways to write that only it has.

use super::{ini, leads, picks, refused, ssh, yaml};
use crate::target::Hop;

#[test]
fn m23_plugins_of_ansibles_own_may_be_named_in_full() {
    let fleet = ini("a ansible_connection=ansible.builtin.ssh\n\
                     b ansible_connection=ansible.legacy.local\n\
                     c ansible_become=yes ansible_become_method=ansible.builtin.su\n")
    .unwrap();
    leads(&fleet, "a", &[ssh("a", None, None)]);
    leads(&fleet, "b", &[Hop::Local]);
    leads(&fleet, "c", &[ssh("c", None, None), Hop::Su(None)]);
}

#[test]
fn m26_a_key_that_others_refer_to_is_not_a_group() {
    let text = "x-common: &common\n  ansible_user: deploy\n\
                web:\n  hosts:\n    a:\n  vars:\n    <<: *common\n";
    let fleet = yaml(text).unwrap();
    leads(&fleet, "a", &[ssh("a", Some("deploy"), None)]);
    assert!(!fleet.group_ids.contains_key("x-common"));
    // A group may be called like that.
    let fleet = yaml("x-ray:\n  hosts:\n    a:\n").unwrap();
    picks(&fleet, "x-ray", "a");
}

#[test]
fn m27_what_ansible_inventory_lists_is_read() {
    let text = r#"{
        "_meta": {"hostvars": {"a": {"ansible_user": "bob", "x": [1]}, "c": {"ansible_port": 2200}}},
        "all": {"children": ["ungrouped", "web"]},
        "web": {"hosts": ["a", "b"], "children": ["db"]},
        "db": {"hosts": ["c"]}
    }"#;
    let fleet = yaml(text).unwrap();
    picks(&fleet, "web", "a b c");
    picks(&fleet, "db", "c");
    leads(&fleet, "a", &[ssh("a", Some("bob"), None)]);
    leads(&fleet, "c", &[ssh("c", None, Some(2200))]);
    // Without it, a list is the slip that it was.
    refused(
        yaml("web: {hosts: [a]}\n"),
        "hosts.yml:1: `hosts` must be a table: each host's name, and a colon behind it, found a list",
    );
}
