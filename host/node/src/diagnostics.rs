//! What a context writes about itself on its own machine, for whoever looks for a fault or for
//! lost time: a debug log as it goes, and a profile at its end.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use foldhash::HashMap;

/// Files of ended processes with the same id may still be there.
const TRIES: u32 = 100;

/// Functions that a profile tells apart.
const FUNCTIONS_MAX: usize = 4096;

/// The debug log of this process: `offshoot.<pid>.log` in the system's directory for temporary
/// files.
pub struct DebugLog {
    file: Mutex<File>,
    started: Instant,
}

impl DebugLog {
    /// Creates the file; gives the log and where it is.
    pub fn create() -> std::io::Result<(Self, PathBuf)> {
        let (file, path) = create(&format!("offshoot.{}", std::process::id()))?;
        let log = Self {
            file: Mutex::new(file),
            started: Instant::now(),
        };
        Ok((log, path))
    }

    /// Writes a record. One that cannot be written is lost: a full disk must stop nothing.
    pub fn write(&self, target: &str, text: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let text = text.replace('\n', "\n    ");
        let line = format!("{seconds:12.6} {target}: {text}\n");
        let _ = lock(&self.file).write_all(line.as_bytes());
    }
}

/// How often each function ran here, and how long.
#[derive(Default)]
pub struct Profile {
    functions: Mutex<HashMap<String, Times>>,
}

#[derive(Clone, Copy, Default)]
struct Times {
    calls: u64,
    total: Duration,
    longest: Duration,
}

impl Profile {
    /// A call has ended.
    pub fn note(&self, function: &str, took: Duration) {
        let mut functions = lock(&self.functions);
        if functions.len() >= FUNCTIONS_MAX && !functions.contains_key(function) {
            return;
        }
        let times = functions.entry(function.to_owned()).or_default();
        times.calls += 1;
        times.total += took;
        times.longest = times.longest.max(took);
    }

    /// Writes `offshoot.stats.<pid>.<thread>.log`, and what else is known of the process.
    pub fn write(&self, thread: &str, remarks: &str) -> std::io::Result<PathBuf> {
        let stem = format!("offshoot.stats.{}.{thread}", std::process::id());
        let (mut file, path) = create(&stem)?;
        let mut functions: Vec<_> = lock(&self.functions)
            .iter()
            .map(|(name, &times)| (name.clone(), times))
            .collect();
        functions.sort_by(|one, other| other.1.total.cmp(&one.1.total).then(one.0.cmp(&other.0)));
        let mut text = format!(
            "{remarks}\n{:>10} {:>12} {:>12} {:>12}  function\n",
            "calls", "total us", "mean us", "longest us"
        );
        for (name, times) in functions {
            let mean = times.total.as_micros() / u128::from(times.calls.max(1));
            text.push_str(&format!(
                "{:>10} {:>12} {mean:>12} {:>12}  {name}\n",
                times.calls,
                times.total.as_micros(),
                times.longest.as_micros()
            ));
        }
        file.write_all(text.as_bytes())?;
        Ok(path)
    }
}

/// Creates `<stem>.log`, or `<stem>.<n>.log` where that is taken. The names can be guessed and the
/// directory is everyone's, so nothing that is there already is opened, whatever it is.
fn create(stem: &str) -> std::io::Result<(File, PathBuf)> {
    let directory = std::env::temp_dir();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut taken = None;
    for number in 0..TRIES {
        let name = match number {
            0 => format!("{stem}.log"),
            number => format!("{stem}.{number}.log"),
        };
        let path = directory.join(name);
        match options.open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                taken = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(taken.unwrap_or_else(|| std::io::ErrorKind::AlreadyExists.into()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn s073_nothing_that_is_there_is_opened() {
        let stem = format!("offshoot-test.{}", std::process::id());
        let taken = std::env::temp_dir().join(format!("{stem}.log"));
        let victim = std::env::temp_dir().join(format!("{stem}.victim"));
        symlink(&victim, &taken).unwrap();
        let (file, path) = create(&stem).unwrap();
        let metadata = file.metadata().unwrap();
        assert_ne!(path, taken);
        assert!(!victim.exists());
        assert_eq!(metadata.mode() & 0o777, 0o600);
        for path in [taken, path] {
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn s072_a_profile_adds_up_calls() {
        let profile = Profile::default();
        profile.note("p::f", Duration::from_micros(10));
        profile.note("p::f", Duration::from_micros(30));
        let path = profile.write("test", "a test").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let line = text.lines().last().unwrap();
        let columns: Vec<_> = line.split_whitespace().collect();
        assert_eq!(columns, ["2", "40", "20", "30", "p::f"]);
    }
}
