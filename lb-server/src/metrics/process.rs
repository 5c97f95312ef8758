//! What the system knows of this process, under the names that Prometheus gives it, where there is a `/proc`.

use super::families::{Family, Kind, Sample, Value};

/// Clock ticks a second in `/proc/self/stat`: `USER_HZ`, which is 100 on every architecture that Linux has in use.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn families() -> Vec<Family> {
    let stat = read("/proc/self/stat");
    let status = read("/proc/self/status");
    let limits = read("/proc/self/limits");
    let open = std::fs::read_dir("/proc/self/fd").ok();
    // The descriptor that reads the directory is none of the process's own.
    let open = open.map(|entries| entries.count().saturating_sub(1));
    [
        (
            Kind::Counter,
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds",
            cpu_seconds(&stat),
        ),
        (
            Kind::Gauge,
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds",
            started_at(&stat, &read("/proc/stat")),
        ),
        (
            Kind::Gauge,
            "process_resident_memory_bytes",
            "Resident memory size in bytes",
            kibibytes(&status, "VmRSS:"),
        ),
        (
            Kind::Gauge,
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            kibibytes(&status, "VmSize:"),
        ),
        (
            Kind::Gauge,
            "process_open_fds",
            "Number of open file descriptors",
            open.map(|open| Value::Whole(open as u64)),
        ),
        (
            Kind::Gauge,
            "process_max_fds",
            "Maximum number of open file descriptors",
            descriptor_limit(&limits).map(Value::Whole),
        ),
    ]
    .into_iter()
    .map(|(kind, name, help, value)| Family {
        name,
        help,
        kind,
        samples: value
            .map(|value| Sample {
                labels: Vec::new(),
                value,
            })
            .into_iter()
            .collect(),
    })
    .collect()
}

/// How many descriptors a process may open, of the text of its `limits`.
pub(crate) fn descriptor_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A field by its number in proc(5), of those after the name, which may hold blanks and brackets.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<Value> {
    let (user, system) = (field(stat, 14)?, field(stat, 15)?);
    Some(Value::Real((user + system) / TICKS_PER_SECOND))
}

fn started_at(stat: &str, system: &str) -> Option<Value> {
    let mut lines = system.lines();
    let booted: f64 = lines
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(Value::Real(booted + field(stat, 22)? / TICKS_PER_SECOND))
}

fn kibibytes(status: &str, name: &str) -> Option<Value> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(Value::Whole(kibibytes * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_says() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 4200 1 2";
        let is = |value: Option<Value>, wanted: f64| match value {
            Some(Value::Real(value)) => (value - wanted).abs() < 1e-9,
            _ => false,
        };
        assert!(is(cpu_seconds(stat), 3.0));
        assert!(is(started_at(stat, "cpu 1\nbtime 1000\n"), 1042.0));
        let status = "VmSize:\t   2048 kB\nVmRSS:\t 4 kB\n";
        assert!(matches!(
            kibibytes(status, "VmRSS:"),
            Some(Value::Whole(4096))
        ));
        let limits =
            "Max open files            1024                 524288               files     \n";
        assert_eq!(descriptor_limit(limits), Some(1024));
        assert!(cpu_seconds("").is_none() && kibibytes("", "VmRSS:").is_none());
    }

    #[test]
    fn knows_this_process() {
        let families = families();
        assert_eq!(families.len(), 6);
        for family in families {
            assert_eq!(family.samples.len(), 1, "{}", family.name);
        }
    }
}
