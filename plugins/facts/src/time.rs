//! Uptime and load: `/proc/uptime` and `/proc/loadavg`.

use offshoot_guest::data;

/// How long the machine has been running.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Uptime {
    /// Seconds since it started.
    pub seconds: f64,
    /// Seconds that its CPUs spent idle, added up.
    pub idle_seconds: f64,
}

/// How busy the machine is.
#[data]
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Average number of tasks that wanted to run, over one minute.
    pub one: f64,
    /// The same over five minutes.
    pub five: f64,
    /// The same over fifteen minutes.
    pub fifteen: f64,
    /// Tasks that are running or ready now.
    pub running: u32,
    /// Tasks in all: every thread of every process.
    pub tasks: u32,
}

pub(crate) fn uptime(text: &str) -> Result<Uptime, &'static str> {
    let mut fields = text.split_whitespace();
    Ok(Uptime {
        seconds: seconds(fields.next()).ok_or("no seconds since start")?,
        // Some container runtimes leave the second field out.
        idle_seconds: seconds(fields.next()).unwrap_or(0.0),
    })
}

pub(crate) fn load(text: &str) -> Result<Load, &'static str> {
    let mut fields = text.split_whitespace();
    let mut average = || seconds(fields.next()).ok_or("no three load averages");
    let (one, five, fifteen) = (average()?, average()?, average()?);
    let (running, tasks) = fields
        .next()
        .and_then(|field| field.split_once('/'))
        .ok_or("no task counts")?;
    let count = |field: &str| field.parse().map_err(|_| "a task count is not a number");
    Ok(Load {
        one,
        five,
        fifteen,
        running: count(running)?,
        tasks: count(tasks)?,
    })
}

/// A number as the kernel writes them; `f64` alone would also read `inf` and `nan`.
fn seconds(field: Option<&str>) -> Option<f64> {
    field?
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_as_linux_writes_it() {
        let uptime = uptime("914.89 1596.98\n").unwrap();
        assert_eq!(uptime.seconds, 914.89);
        assert_eq!(uptime.idle_seconds, 1596.98);
    }

    #[test]
    fn odd_uptimes() {
        assert_eq!(uptime("12.00").unwrap().idle_seconds, 0.0);
        assert!(uptime("").is_err());
        assert!(uptime("nan 1").is_err());
        assert!(uptime("inf 1").is_err());
        assert!(uptime("-4 1").is_err());
    }

    #[test]
    fn load_as_linux_writes_it() {
        let load = load("0.01 0.21 12.16 3/891 7645\n").unwrap();
        assert_eq!(load.fifteen, 12.16);
        assert_eq!((load.running, load.tasks), (3, 891));
    }

    #[test]
    fn odd_loads() {
        assert_eq!(load("0.01 0.21"), Err("no three load averages"));
        assert_eq!(load("0.01 0.21 0.1 7645"), Err("no task counts"));
        assert_eq!(
            load("0.01 0.21 0.1 1/99999999999 1"),
            Err("a task count is not a number")
        );
    }
}
