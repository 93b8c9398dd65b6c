//! Which contexts a target list asks for, and what they are called.

use std::collections::HashMap;

use super::passwords::Passwords;
use super::target::{Hop, Target};
use offshoot::Password;

/// A forest of contexts, each after its parent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) nodes: Vec<Node>,
}

/// A context to make.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Where its parent is in the plan; `None` is this process.
    pub(super) parent: Option<usize>,
    pub(super) hop: Hop,
    /// What to answer when this hop asks for a password.
    pub(super) password: Option<Password>,
    /// What people see: the labels of all hops, numbered where several are alike.
    pub(super) name: String,
    /// Whether the name is that of a host, which says where it is without those of its parents.
    is_named: bool,
    /// Whether the function is called in it.
    pub(super) is_target: bool,
}

impl Plan {
    /// Lays out the contexts of all targets. Two targets share none, even when they are spelled
    /// alike; a count multiplies its hop below the same parent.
    pub(super) fn new(targets: &[Target], passwords: &Passwords) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        for Target { name, hops } in targets {
            let mut parents = vec![None];
            for (depth, hop) in hops.iter().enumerate() {
                let is_target = depth + 1 == hops.len();
                let mut children = Vec::new();
                for &parent in &parents {
                    for _ in 0..hop.count {
                        children.push(Some(nodes.len()));
                        nodes.push(Node {
                            parent,
                            hop: hop.hop.clone(),
                            password: passwords.of(&hops[..=depth]).cloned(),
                            name: match name {
                                Some(name) if is_target => name.clone(),
                                Some(name) => format!("{name}:{}", hop.label),
                                None => hop.label.clone(),
                            },
                            is_named: name.is_some(),
                            is_target,
                        });
                    }
                }
                parents = children;
            }
        }
        name(&mut nodes);
        Self { nodes }
    }
}

/// Numbers siblings of one label, and puts the parent's name in front of all but a host's.
fn name(nodes: &mut [Node]) {
    let mut alike: HashMap<(Option<usize>, String), (usize, usize)> = HashMap::new();
    for node in nodes.iter() {
        alike.entry((node.parent, node.name.clone())).or_default().0 += 1;
    }
    for index in 0..nodes.len() {
        let node = &nodes[index];
        let key = (node.parent, node.name.clone());
        let (total, seen) = alike.get_mut(&key).expect("every label was counted");
        *seen += 1;
        let number = match *total {
            1 => String::new(),
            _ => format!("#{seen}"),
        };
        let prefix = match node.parent {
            Some(parent) if !node.is_named => format!("{}/", nodes[parent].name),
            _ => String::new(),
        };
        nodes[index].name = format!("{prefix}{}{number}", node.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    fn plan(text: &str) -> Plan {
        let targets = target::parse(text).unwrap().into_iter();
        let targets: Vec<Target> = targets.map(Target::from).collect();
        Plan::new(&targets, &Passwords::default())
    }

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let plan = plan(text);
        let names: Vec<&str> = plan
            .nodes
            .iter()
            .filter(|node| node.is_target)
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(names, want);
    }

    #[test]
    fn names_are_distinct() {
        check("local", &["local"]);
        check("local*3", &["local#1", "local#2", "local#3"]);
        check("local,local", &["local#1", "local#2"]);
        check("local/local", &["local/local"]);
        check("local/local*2", &["local/local#1", "local/local#2"]);
        check(
            "local*2/local*2",
            &[
                "local#1/local#1",
                "local#1/local#2",
                "local#2/local#1",
                "local#2/local#2",
            ],
        );
        check(
            "local,local/local*2",
            &["local#1", "local#2/local#1", "local#2/local#2"],
        );
    }

    #[test]
    fn a_count_shares_its_parent() {
        let plan = plan("local/local*3");
        assert_eq!(plan.nodes.len(), 4);
        assert!(plan.nodes[1..].iter().all(|node| node.parent == Some(0)));
    }

    #[test]
    fn a_host_has_its_own_name_wherever_it_is() {
        let mut targets: Vec<Target> = target::parse("local/local,local")
            .unwrap()
            .into_iter()
            .map(Target::from)
            .collect();
        targets[0].name = Some("web1".to_owned());
        let plan = Plan::new(&targets, &Passwords::default());
        let names: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["web1:local", "web1", "local"]);
    }
}
