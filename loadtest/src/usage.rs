//! What processes use of the machine, as `/proc` tells it, and what a folder is stored on.
//!
//! **Architecture invariant:** reading costs microseconds, and happens outside the measured loop.

use std::path::Path;

/// Ticks of processor time in a second, as Linux shows them to every process.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that a process has used, all threads.
pub(crate) fn cpu_seconds(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold spaces.
    let (_, fields) = text.rsplit_once(')')?;
    let ticks = |position| fields.split_whitespace().nth(position)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// A process and its children.
fn family(process: u32) -> Vec<u32> {
    let is_child = |other: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        let parent = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent.and_then(|parent| parent.parse().ok()) == Some(process)
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    std::iter::once(process).chain(numbers.filter(is_child)).collect()
}

/// Seconds of processor time that a process and its living children have used.
pub(crate) fn family_cpu_seconds(process: u32) -> Option<f64> {
    let of_itself = cpu_seconds(process)?;
    let children = family(process).into_iter().skip(1).filter_map(cpu_seconds);
    Some(of_itself + children.sum::<f64>())
}

/// Bytes that a process and its children have in memory, what they share counted once.
pub(crate) fn family_resident_bytes(process: u32) -> Option<u64> {
    let share = |process: u32| {
        let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
    };
    let of_itself = share(process)?;
    Some(of_itself + family(process).into_iter().skip(1).filter_map(share).sum::<u64>())
}

/// Seconds of processor time that the whole machine has used, all processes.
pub(crate) fn machine_cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    // All but idle and waiting for a disk, the fourth and fifth; guests are in the first two.
    let used = |(at, ticks): (usize, &f64)| (!(3..=4).contains(&at) && at < 8).then_some(*ticks);
    Some(ticks.iter().enumerate().filter_map(used).sum::<f64>() / TICKS_PER_SECOND)
}

/// Bytes that a process has in memory.
pub(crate) fn resident_bytes(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

/// Bytes of a folder's files, as they are named. A file that goes away meanwhile counts nothing.
pub(crate) fn folder_bytes(folder: &Path) -> Option<u64> {
    let bytes = |entry: std::fs::DirEntry| {
        let about = entry.metadata().ok()?;
        if about.is_dir() { folder_bytes(&entry.path()) } else { Some(about.len()) }
    };
    Some(std::fs::read_dir(folder).ok()?.flatten().filter_map(bytes).sum())
}

/// The kind of file system that a folder is on. A measurement of durability on `tmpfs` is none.
pub(crate) fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind.to_owned())
}

/// Processors that this machine has.
pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory_and_time() {
        let me = std::process::id();
        assert!(resident_bytes(me).unwrap() > 100_000);
        assert!(cpu_seconds(me).is_some_and(f64::is_finite));
        assert!(cpu_seconds(me).unwrap() <= family_cpu_seconds(me).unwrap() + 0.05);
        assert!(family_resident_bytes(me).unwrap() > 100_000);
        assert!(cpu_seconds(me).unwrap() <= machine_cpu_seconds().unwrap());
        assert!(
            file_system(Path::new("/")).is_some() && file_system(Path::new("/no such")).is_none()
        );
    }
}
