//! The least that a child process can do: what the benchmarks call the machine's limit.
//!
//! `bench-peer echo SIZE` writes one byte when it is up, then reads SIZE bytes and writes them
//! back, again and again until its input ends. `bench-peer relay LEVELS SIZE` does the same
//! through that many further processes, each on its own pair of pipes. `bench-peer sink SIZE` reads
//! SIZE bytes and writes one, and `bench-peer source SIZE` the other way round.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["echo", size] => size.parse().map_err(io::Error::other).and_then(echo),
        ["sink", size] => size.parse().map_err(io::Error::other).and_then(sink),
        ["source", size] => size.parse().map_err(io::Error::other).and_then(source),
        ["relay", levels, size] => match (levels.parse(), size.parse()) {
            (Ok(levels), Ok(size)) => relay(levels, size),
            _ => Err(io::Error::other("LEVELS and SIZE are numbers")),
        },
        _ => Err(io::Error::other(
            "usage: bench-peer echo SIZE | sink SIZE | source SIZE | relay LEVELS SIZE",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn echo(size: usize) -> io::Result<()> {
    let (mut input, mut output) = pipes()?;
    announce(&mut output)?;
    let mut buffer = vec![0; size];
    while fill(&mut input, &mut buffer)? {
        output.write_all(&buffer)?;
    }
    Ok(())
}

fn sink(size: usize) -> io::Result<()> {
    let (mut input, mut output) = pipes()?;
    announce(&mut output)?;
    let mut buffer = vec![0; size];
    while fill(&mut input, &mut buffer)? {
        output.write_all(&buffer[..1])?;
    }
    Ok(())
}

fn source(size: usize) -> io::Result<()> {
    let (mut input, mut output) = pipes()?;
    announce(&mut output)?;
    let buffer = noise(size);
    while fill(&mut input, &mut [0])? {
        output.write_all(&buffer)?;
    }
    Ok(())
}

/// Bytes that a connection cannot compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let bytes = (0..size).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    bytes.collect()
}

fn relay(levels: u32, size: usize) -> io::Result<()> {
    if levels == 0 {
        return echo(size);
    }
    let mut next = spawn_next(levels - 1, size)?;
    let (Some(mut down), Some(mut up)) = (next.stdin.take(), next.stdout.take()) else {
        return Err(io::Error::other("a child without pipes"));
    };
    let (mut input, mut output) = pipes()?;
    let mut byte = [0; 1];
    up.read_exact(&mut byte)?;
    announce(&mut output)?;
    let mut buffer = vec![0; size];
    while fill(&mut input, &mut buffer)? {
        down.write_all(&buffer)?;
        up.read_exact(&mut buffer)?;
        output.write_all(&buffer)?;
    }
    drop(down);
    next.wait().map(drop)
}

fn spawn_next(levels: u32, size: usize) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(["relay", &levels.to_string(), &size.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

/// Standard input and output without std's buffers: each read and write is one system call.
fn pipes() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

fn announce(output: &mut impl Write) -> io::Result<()> {
    output.write_all(b"!")
}

/// Fills `buffer`; `false` when the input ended before its first byte.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let first = input.read(buffer)?;
    if first == 0 {
        return Ok(false);
    }
    input.read_exact(&mut buffer[first..])?;
    Ok(true)
}
