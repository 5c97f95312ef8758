//! The machine: who gets which core, and what it is called in the report.

use std::fs;
use std::thread::available_parallelism;

use serde_json::{Value, json};

/// Cores of the proxy: the first ones.
pub(crate) fn proxy_cores(workers: u32) -> String {
    let cores: Vec<String> = (0..workers.min(count()))
        .map(|core| core.to_string())
        .collect();
    cores.join(",")
}

/// Core of the backend: after those of the proxy where there are so many, else the last.
pub(crate) fn backend_core() -> String {
    2.min(count() - 1).to_string()
}

/// Core of the load generator: its own where there are four, else the last.
pub(crate) fn load_core() -> String {
    3.min(count() - 1).to_string()
}

fn count() -> u32 {
    let cores = available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// What others need to judge the figures. No names of hosts or directories.
pub(crate) fn facts() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    json!({
        "cores": count(),
        "processor": field(&processors, "model name"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "memory_kib": field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB"),
        "load_core": load_core(),
        "backend_core": backend_core(),
    })
}

/// The value of the first `name : value` line.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let values = text.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    });
    values.into_iter().next().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_field_of_proc() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\nprocessor\t: 1\n";
        assert_eq!(field(text, "model name"), "Some CPU");
        assert_eq!(field(text, "stepping"), "unknown");
    }

    #[test]
    fn gives_the_proxy_the_first_core() {
        assert_eq!(proxy_cores(1), "0");
    }
}
