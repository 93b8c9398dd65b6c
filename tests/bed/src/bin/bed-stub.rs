//! Stands in for a child: it greets as one does, tells what it sees around it, and sends back
//! whatever it gets.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use offshoot_proto::control::Hello;
use offshoot_proto::handshake::{first_frame, greeting};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--version"] => Ok(()),
        ["serve", nonce, directory] => serve(nonce, directory),
        _ => panic!("it was started like {arguments:?}"),
    }
}

fn serve(nonce: &str, directory: &str) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(greeting(nonce, "stub").as_bytes())?;
    output.write_all(&first_frame(&Hello {
        target: "stub".to_owned(),
        pid: std::process::id(),
    }))?;
    let variable = |name| std::env::var(name).unwrap_or_else(|_| "unset".to_owned());
    let shown = |path: std::io::Result<PathBuf>| {
        path.map_or_else(|error| error.to_string(), |path| path.display().to_string())
    };
    for (name, value) in [
        ("exe", shown(std::env::current_exe())),
        ("directory", directory.to_owned()),
        ("cwd", shown(std::env::current_dir())),
        ("path", variable("PATH")),
        ("home", variable("HOME")),
        ("umask", status("Umask:")?),
        ("uid", status("Uid:")?),
    ] {
        writeln!(output, "{name}={value}")?;
    }
    writeln!(output)?;
    output.flush()?;
    eprintln!("the stub's own error stream");
    let mut input = std::io::stdin().lock();
    let mut buffer = [0; 4096];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        output.write_all(&buffer[..count])?;
        output.flush()?;
    }
}

/// The first value of what the system says of this process.
fn status(name: &str) -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_whitespace().next());
    Ok(value.unwrap_or_default().to_owned())
}
