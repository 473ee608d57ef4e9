//! What the machine has.

/// The memory that this process can have: the least of what the machine, the control group and the address space limit
/// allow. `None` where that cannot be found out.
pub(crate) fn memory() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let limits = [
        read("/proc/meminfo").and_then(|text| after(&text, "MemTotal:")).map(|kilobytes| kilobytes << 10),
        read("/proc/self/limits").and_then(|text| after(&text, "Max address space")),
        group().and_then(|group| read(&format!("/sys/fs/cgroup{group}/memory.max"))?.trim().parse().ok()),
        read("/sys/fs/cgroup/memory/memory.limit_in_bytes").and_then(|text| text.trim().parse().ok()),
    ];
    limits.into_iter().flatten().min()
}

/// The number behind a heading.
fn after(text: &str, heading: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(heading))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The control group of this process.
fn group() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix("0::"))?.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_headings() {
        let text = "Max cpu time  unlimited  unlimited  seconds\nMax address space  314572800  unlimited  bytes\n";
        assert_eq!(after(text, "Max address space"), Some(314_572_800));
        assert_eq!(after(text, "Max cpu time"), None);
        assert_eq!(after(text, "MemTotal:"), None);
    }
}
