//! The transcripts in the documents, run as they stand there.
//!
//! A block of `console` has commands, which start with `$`, and what each prints on both streams. A
//! number stands for any number, `[..]` for any text in a line, and `...` for any lines. Where results print as they come, which is
//! where a target has several contexts, the order of the lines does not count. The commands of one
//! document run one after the other in one shell, in a directory of their own, on real local children.
//!
//! A comment before a block says more: `<!-- not run: REASON -->`, and before a block of another
//! language `<!-- file: PATH -->`, which writes the block there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{offshoot, path, scratch};

/// Stands between the output of one command and that of the next.
const MARK: &str = "-- end of command --";

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Write { file: String, text: String },
    Run { command: String, want: Vec<String> },
}

#[test]
fn what_the_documents_show_is_what_happens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut documents = vec![root.join("README.md")];
    let others = fs::read_dir(root.join("docs")).expect("there are documents");
    documents.extend(others.map(|entry| entry.expect("it can be listed").path()));
    documents.retain(|file| file.extension().is_some_and(|it| it == "md"));
    for document in documents {
        let text = fs::read_to_string(&document).expect("it can be read");
        let steps = steps(&text);
        if !steps.is_empty() {
            play(&document, &steps);
        }
    }
}

fn play(document: &Path, steps: &[Step]) {
    let name = document
        .file_stem()
        .expect("it has a name")
        .to_string_lossy();
    let directory = scratch(&format!("document-{name}"));
    // As in a checkout.
    fs::create_dir(directory.join("plugins")).expect("it can be made");
    let output = shell(&directory, &script(&directory, steps));
    let mut outputs = output.split_inclusive(MARK);
    let mut differences = String::new();
    for step in steps {
        let Step::Run { command, want } = step else {
            continue;
        };
        let printed = outputs
            .next()
            .expect("each command ends")
            .trim_end_matches(MARK);
        let printed: Vec<&str> = printed.trim_matches('\n').lines().collect();
        if !fits(want, &printed, command.contains('*')) {
            let (want, printed) = (want.join("\n"), printed.join("\n"));
            differences += &format!("$ {command}\nshould print\n{want}\nand prints\n{printed}\n\n");
        }
    }
    assert!(differences.is_empty(), "{name}:\n{differences}");
}

fn script(directory: &Path, steps: &[Step]) -> String {
    let mut script = String::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Write { file, text } => {
                let copy = directory.join(format!("block-{number}"));
                fs::write(&copy, text).expect("it can be written");
                script += &format!("cp {} {file}\n", copy.display());
            }
            Step::Run { command, .. } => {
                script += &format!("{command}\nprintf '\\n%s' '{MARK}'\n");
            }
        }
    }
    script
}

fn shell(directory: &Path, script: &str) -> String {
    let plain = offshoot(&[]);
    let tools = PathBuf::from(plain.get_program());
    let tools = tools.parent().expect("it is in a directory");
    let search = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(directory)
        .env("PATH", format!("{}:{search}", path(tools)))
        .stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.output().expect("there is a shell");
    String::from_utf8(output.stdout).expect("it prints text")
}

/// What a document asks for, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut comment = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if !line.is_empty() {
                comment = line
                    .strip_prefix("<!-- ")
                    .and_then(|it| it.strip_suffix(" -->"));
            }
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match (comment.take().and_then(|it| it.split_once(": ")), language) {
            (Some(("not run", _)), _) => {}
            (Some(("file", file)), _) => steps.push(Step::Write {
                file: file.to_owned(),
                text: block.join("\n") + "\n",
            }),
            (_, "console") => steps.extend(commands(&block)),
            _ => {}
        }
    }
    steps
}

fn commands(block: &[&str]) -> Vec<Step> {
    let starts = block
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("$ "));
    let starts: Vec<usize> = starts.map(|(at, _)| at).chain([block.len()]).collect();
    starts
        .windows(2)
        .map(|range| Step::Run {
            command: block[range[0]][2..].to_owned(),
            want: block[range[0] + 1..range[1]]
                .iter()
                .map(|line| (*line).to_owned())
                .collect(),
        })
        .collect()
}

fn fits(want: &[String], printed: &[&str], any_order: bool) -> bool {
    let mut want: Vec<String> = want.iter().map(|line| without_numbers(line)).collect();
    let mut printed: Vec<String> = printed.iter().map(|line| without_numbers(line)).collect();
    if any_order {
        want.sort_unstable();
        printed.sort_unstable();
    }
    matches(&want, &printed)
}

fn matches(want: &[String], printed: &[String]) -> bool {
    match want.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        Some((first, rest)) => {
            let fits = printed.first().is_some_and(|line| fits_line(first, line));
            fits && matches(rest, &printed[1..])
        }
    }
}

/// `[..]` stands for any text.
fn fits_line(want: &str, line: &str) -> bool {
    let Some((start, rest)) = want.split_once("[..]") else {
        return want == line;
    };
    let after = line.strip_prefix(start);
    after.is_some_and(|after| {
        let mut ends = after.char_indices().map(|(at, _)| &after[at..]).chain([""]);
        ends.any(|end| fits_line(rest, end))
    })
}

/// The line with each number as `0`.
fn without_numbers(line: &str) -> String {
    let mut out = String::new();
    for c in line.chars() {
        match c.is_ascii_digit() {
            true if out.ends_with('0') => {}
            true => out.push('0'),
            false => out.push(c),
        }
    }
    out
}

#[test]
fn a_document_is_read_as_its_commands_and_files() {
    let text = "<!-- not run: why -->\n```console\n$ gone\n```\n\n<!-- file: a/b.rs -->\n```rust\nfn f() {}\n\
        ```\n```console\n$ one\nout\n$ two\n```\n";
    let run = |command: &str, want: &[&str]| Step::Run {
        command: command.to_owned(),
        want: want.iter().map(|line| (*line).to_owned()).collect(),
    };
    let write = Step::Write {
        file: "a/b.rs".to_owned(),
        text: "fn f() {}\n".to_owned(),
    };
    assert_eq!(steps(text), [write, run("one", &["out"]), run("two", &[])]);
}

#[test]
fn numbers_and_lines_that_vary_may_vary_and_nothing_else() {
    let want = ["took 12 ms".to_owned(), "...".to_owned(), "end".to_owned()];
    assert!(fits(&want, &["took 7 ms", "a", "b", "end"], false));
    let path = ["built [..]/a.wasm".to_owned()];
    assert!(fits(&path, &["built /somewhere/a.wasm"], false));
    assert!(!fits(&path, &["built /somewhere/b.wasm"], false));
    assert!(!fits(&want, &["took 7 s", "end"], false));
    assert!(!fits(&want, &["took 7 ms", "end", "more"], false));
}
