//! How much memory this process may use.

use std::path::Path;

/// In bytes: the lowest limit of the cgroups (version 2 or 1), or what the machine has if that is
/// less. 0 if this is not known: other systems than Linux have no cgroups, and there Node's
/// `os.totalmem()` is as good as anything we could ask.
pub(crate) fn available() -> u64 {
    if cfg!(target_os = "linux") { from(Path::new("/")) } else { 0 }
}

fn from(root: &Path) -> u64 {
    let read = |path: &str| std::fs::read_to_string(root.join(path.trim_start_matches('/'))).ok();
    let total = read("proc/meminfo").and_then(|text| total(&text));
    let limits = read("proc/self/cgroup").unwrap_or_default();
    let files = limits.lines().flat_map(limit_files);
    let limit = files.filter_map(|file| read(&file)?.trim().parse::<u64>().ok()).min();
    match (limit, total) {
        // In version 1, a huge number means "no limit".
        (Some(limit), Some(total)) => limit.min(total),
        (limit, total) => limit.or(total).unwrap_or(0),
    }
}

/// The files with the limits of a line of `/proc/self/cgroup`: of its group and of every group
/// around it. In a container, the path may be the host's, and the group is the root of the mount.
fn limit_files(line: &str) -> Vec<String> {
    let mut fields = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        list if list.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let groups = Path::new(path.trim_start_matches('/')).ancestors().map(|group| match group.to_string_lossy() {
        group if group.is_empty() => format!("{mount}/{file}"),
        group => format!("{mount}/{group}/{file}"),
    });
    // Never out of the mount.
    groups.filter(|path| !path.contains("..")).collect()
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Root(std::path::PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = Self(std::env::temp_dir().join(format!("wsbroker-memory-{}-{name}", std::process::id())));
            for (path, text) in files {
                let path = root.0.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            root
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal:        8000000 kB\nMemFree:         100 kB\n");

    #[test]
    fn a_cgroup_limit_counts_from_any_level() {
        let root = Root::new(
            "v2",
            &[
                MEMINFO,
                ("proc/self/cgroup", "0::/pods/pod1/app\n"),
                ("sys/fs/cgroup/pods/pod1/app/memory.max", "max\n"),
                ("sys/fs/cgroup/pods/pod1/memory.max", "536870912\n"),
            ],
        );
        assert_eq!(from(&root.0), 512 << 20);
    }

    #[test]
    fn version_1_without_a_limit_is_what_the_machine_has() {
        let root = Root::new(
            "v1",
            &[
                MEMINFO,
                ("proc/self/cgroup", "12:cpu,cpuacct:/x\n9:memory:/docker/abc\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
        );
        assert_eq!(from(&root.0), 8_000_000 << 10);
    }

    #[test]
    fn unknown_is_zero() {
        assert_eq!(from(Path::new("/nowhere-at-all")), 0);
    }
}
