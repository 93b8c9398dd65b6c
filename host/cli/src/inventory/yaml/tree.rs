//! A YAML file as a tree that knows its lines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use crate::inventory::SourceLocation;
use crate::report::Diagnostic;

/// Things inside of things.
///
/// Groups may be nested so deep as the model lets them, three levels each.
const DEPTH_MAX: usize = 200;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Text(String),
    List(Vec<Arc<Node>>),
    Table(Vec<(Arc<Node>, Arc<Node>)>),
    /// By Ansible's vault.
    Encrypted,
}

impl Kind {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Text(text) => format!("`{}`", text.chars().take(40).collect::<String>()),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Encrypted => "something encrypted".to_owned(),
        }
    }
}

/// Builds the tree.
pub(super) struct Reader<'a> {
    file: &'a Arc<str>,
    anchors: HashMap<usize, Arc<Node>>,
    open: Vec<Open>,
    root: Option<Arc<Node>>,
    count: usize,
}

/// What a file has in it.
pub(super) struct Tree {
    pub(super) root: Arc<Node>,
    /// Nodes that were written; aliases count as one.
    pub(super) count: usize,
}

/// A list or table that has not ended yet.
struct Open {
    line: usize,
    anchor: usize,
    is_table: bool,
    items: Vec<Arc<Node>>,
    keys: HashSet<String>,
}

impl<'a> Reader<'a> {
    /// The tree of the only document in a file; `None` if it has none.
    pub(super) fn read(file: &'a Arc<str>, text: &str) -> Result<Option<Tree>, Diagnostic> {
        let mut reader = Self {
            file,
            anchors: HashMap::new(),
            open: Vec::new(),
            root: None,
            count: 0,
        };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let problem = reader.at(error.marker().line()).problem(error.info());
                problem.help("it must be YAML; give a file in the INI form another ending than `.yml`, `.yaml` or `.json`")
            })?;
            reader.event(event, span.start.line())?;
        }
        let count = reader.count;
        Ok(reader.root.map(|root| Tree { root, count }))
    }

    fn at(&self, line: usize) -> SourceLocation {
        SourceLocation {
            file: self.file.clone(),
            line,
        }
    }

    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(text.into_owned(), style, tag.as_deref());
                self.add(Node { kind, line }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(false, anchor, line),
            Event::MappingStart(anchor, _) => self.open(true, anchor, line),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => {
                    let (line, anchor) = (open.line, open.anchor);
                    let kind = open.close();
                    self.add(Node { kind, line }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.put(node),
                None => Err(self
                    .at(line)
                    .problem("an alias stands inside of what it names")),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, is_table: bool, anchor: usize, line: usize) -> Result<(), Diagnostic> {
        if self.open.len() >= DEPTH_MAX {
            let what = format!("it is nested more than {DEPTH_MAX} deep");
            return Err(self.at(line).problem(what));
        }
        self.open.push(Open {
            line,
            anchor,
            is_table,
            items: Vec::new(),
            keys: HashSet::new(),
        });
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Diagnostic> {
        let node = Arc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node)
    }

    fn put(&mut self, node: Arc<Node>) -> Result<(), Diagnostic> {
        self.count += 1;
        let Some(open) = self.open.last_mut() else {
            if self.root.is_some() {
                let what = "there is a second document; an inventory is one";
                return Err(self.at(node.line).problem(what));
            }
            self.root = Some(node);
            return Ok(());
        };
        let is_key = open.is_table && open.items.len().is_multiple_of(2);
        if let (true, Kind::Text(key)) = (is_key, &node.kind)
            && key != "<<"
            && !open.keys.insert(key.clone())
        {
            let what = format!("`{key}` is there twice");
            return Err(self.at(node.line).problem(what));
        }
        open.items.push(node);
        Ok(())
    }
}

impl Open {
    fn close(self) -> Kind {
        if !self.is_table {
            return Kind::List(self.items);
        }
        let mut items = self.items.into_iter();
        let mut pairs = Vec::new();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            pairs.push((key, value));
        }
        Kind::Table(pairs)
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Kind {
    match tag {
        Some(tag) if tag.suffix == "vault" || tag.suffix == "vault-encrypted" => Kind::Encrypted,
        None if style == ScalarStyle::Plain
            && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") =>
        {
            Kind::Null
        }
        _ => Kind::Text(text),
    }
}
