//! What the end-to-end tests call: functions that succeed, fail, crash, hang and talk.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offshoot_guest::{Host, Result, data, function, functions};

/// The sum of two numbers.
#[function]
pub fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// The same bytes back.
#[function]
pub fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often this was called in this instance.
#[function]
pub fn count() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// The same, on an instance of its own.
#[function(concurrent)]
pub fn count_alone() -> u64 {
    count()
}

/// Adds its argument to a list that lives as long as the instance, and returns the list.
#[function]
pub fn remember(item: u32) -> Vec<u32> {
    static ITEMS: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());
    let mut items = ITEMS.lock().expect("one thread");
    items.push(item);
    items.clone()
}

/// Why something was not found.
#[derive(Debug)]
pub struct NotFound(String);

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` was not found", self.0)
    }
}

impl std::error::Error for NotFound {}

/// Fails with an error of its own type.
#[function]
pub fn fail(what: String) -> std::result::Result<u8, NotFound> {
    Err(NotFound(what))
}

/// Fails deep down, with the SDK's error.
#[function]
pub fn parse(number: String) -> Result<u32> {
    parse_inner(&number)
}

#[inline(never)]
fn parse_inner(number: &str) -> Result<u32> {
    Ok(number.parse::<u32>()?)
}

/// Panics.
#[function]
pub fn crash(why: String) {
    panic!("{why}");
}

/// Works for that many milliseconds without a pause.
#[function]
pub fn busy(milliseconds: u64) -> u64 {
    let start = Instant::now();
    let mut rounds = 0_u64;
    while start.elapsed() < Duration::from_millis(milliseconds) {
        rounds += 1;
    }
    rounds
}

/// The same, beside other calls.
#[function(concurrent)]
pub fn busy_alone(milliseconds: u64) -> u64 {
    busy(milliseconds)
}

/// Sleeps for that many milliseconds.
#[function]
pub fn sleep(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

/// A value of that many bytes.
#[function]
pub fn large(bytes: u64) -> Vec<u8> {
    vec![7; usize::try_from(bytes).unwrap_or(usize::MAX)]
}

/// Takes that many MiB of memory.
#[function]
pub fn hoard(mebibytes: u32) -> u64 {
    let memory: Vec<Vec<u8>> = (0..mebibytes).map(|_| vec![1; 1 << 20]).collect();
    memory.iter().map(|part| part.len() as u64).sum()
}

/// Reads a file.
#[function]
pub fn read(path: String) -> Result<String> {
    Ok(std::fs::read_to_string(path)?)
}

/// Writes a file.
#[function]
pub fn write(path: String, text: String) -> Result<()> {
    Ok(std::fs::write(path, text)?)
}

/// An environment variable.
#[function]
pub fn variable(name: String) -> Option<String> {
    std::env::var(name).ok()
}

/// Prints a line on each stream and logs one.
#[function]
pub fn talk(text: String) {
    println!("out: {text}");
    eprintln!("err: {text}");
    log::warn!("log: {text}");
}

/// Who runs this.
#[data]
#[derive(Debug, PartialEq)]
pub struct Identity {
    /// The context's id.
    pub id: u32,
    /// Ids of its ancestors, nearest first.
    pub parents: Vec<u32>,
    /// Its name.
    pub name: String,
    /// Whether it is the controller.
    pub controller: bool,
}

/// Where this runs.
#[function]
pub fn identity(host: &Host) -> Identity {
    Identity {
        id: host.context_id(),
        parents: host.parent_ids().to_vec(),
        name: host.name().to_owned(),
        controller: host.is_controller(),
    }
}

/// A type with functions of its own.
#[derive(Clone, Copy, Debug)]
pub struct Circle;

#[functions]
impl Circle {
    /// The area of a circle.
    #[function]
    pub fn area(radius: f64) -> f64 {
        std::f64::consts::PI * radius * radius
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_ordinary_functions() {
        assert_eq!(add(1, 2), 3);
        assert_eq!(
            fail("x".to_owned()).unwrap_err().to_string(),
            "`x` was not found"
        );
        assert!((Circle::area(1.0) - std::f64::consts::PI).abs() < f64::EPSILON);
    }
}

/// Writes a file after so many milliseconds.
#[function]
pub fn write_later(path: String, milliseconds: u64) -> Result<()> {
    std::thread::sleep(Duration::from_millis(milliseconds));
    Ok(std::fs::write(path, b"done")?)
}
