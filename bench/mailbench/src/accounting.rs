//! What the server and the machine have used: CPU of the server's cgroup (exact, also for short-lived
//! children), bytes written, flushes of the disk, memory, and what others did meanwhile.
//! Reads /proc and /sys only; where something is missing the figure is 0. Scenarios call it before
//! and after what they measure.
//!
//! `MB_CGROUP` names the cgroup's folder, `MB_DISK` the block device.

use std::fs;
use std::time::Instant;

use crate::record::Record;

/// Ticks per second of the CPU figures in /proc/stat.
const TICKS_PER_SECOND: f64 = 100.0;
/// Bytes per sector in /sys/block/DISK/stat, whatever the device says.
const SECTOR_BYTES: u64 = 512;

/// The counters at one moment.
pub(crate) struct Snapshot {
    at: Instant,
    cpu: Cpu,
    io: ServerIo,
    disk: Disk,
    machine: Machine,
    own_cpu_s: f64,
}

/// CPU time of the server's cgroup.
struct Cpu {
    all_ns: u64,
    user_ns: u64,
    system_ns: u64,
}

/// Bytes that live server processes read from and wrote to the block layer.
#[derive(Default)]
struct ServerIo {
    written_bytes: u64,
    read_bytes: u64,
}

/// The whole disk's counters, whoever caused them.
#[derive(Default)]
struct Disk {
    writes: u64,
    written_bytes: u64,
    flushes: u64,
}

#[derive(Default)]
struct Machine {
    busy_s: f64,
    steal_s: f64,
}

impl Snapshot {
    /// Reads all counters.
    pub(crate) fn take() -> Snapshot {
        Snapshot {
            at: Instant::now(),
            cpu: Cpu::read(),
            io: ServerIo::read(),
            disk: Disk::read(),
            machine: Machine::read(),
            own_cpu_s: own_cpu_s(),
        }
    }

    /// Server CPU since `earlier`, in seconds.
    pub(crate) fn cpu_s_since(&self, earlier: &Snapshot) -> f64 {
        seconds(self.cpu.all_ns, earlier.cpu.all_ns)
    }

    /// Wall time since `earlier`, in seconds.
    pub(crate) fn wall_s_since(&self, earlier: &Snapshot) -> f64 {
        self.at.duration_since(earlier.at).as_secs_f64()
    }

    /// What was used since `earlier`, in all and per operation.
    pub(crate) fn since(&self, earlier: &Snapshot, operations: f64) -> Record {
        let cpu_s = self.cpu_s_since(earlier);
        let client_s = self.own_cpu_s - earlier.own_cpu_s;
        let others_s = self.machine.busy_s - earlier.machine.busy_s - cpu_s - client_s;
        let per_op = |now: u64, then: u64| now.saturating_sub(then) as f64 / operations;
        let (io, disk) = (&self.io, &self.disk);
        let (io0, disk0) = (&earlier.io, &earlier.disk);
        let written = per_op(io.written_bytes, io0.written_bytes);
        let disk_written = per_op(disk.written_bytes, disk0.written_bytes);
        Record::default()
            .figure("acct_wall_s", self.wall_s_since(earlier), 3)
            .figure("srv_cpu_s", cpu_s, 4)
            .figure(
                "srv_user_s",
                seconds(self.cpu.user_ns, earlier.cpu.user_ns),
                4,
            )
            .figure(
                "srv_sys_s",
                seconds(self.cpu.system_ns, earlier.cpu.system_ns),
                4,
            )
            .figure("srv_cpu_us_per_op", cpu_s * 1e6 / operations, 2)
            .figure("client_cpu_s", client_s, 3)
            .figure("other_cpu_s", others_s, 3)
            .figure("steal_s", self.machine.steal_s - earlier.machine.steal_s, 3)
            .figure("srv_write_bytes_per_op", written, 0)
            .figure("disk_write_bytes_per_op", disk_written, 0)
            .figure("disk_wios_per_op", per_op(disk.writes, disk0.writes), 2)
            .figure(
                "disk_flushes_per_op",
                per_op(disk.flushes, disk0.flushes),
                3,
            )
            .count(
                "srv_read_bytes",
                io.read_bytes.saturating_sub(io0.read_bytes),
            )
    }
}

impl Cpu {
    /// cgroup v1 has a file per figure (cpuacct), v2 has cpu.stat in microseconds.
    fn read() -> Cpu {
        let group = cgroup();
        let stat = text(&format!("{group}/cpu.stat"));
        let figure = |v1: &str, v2: &str| {
            let line = stat
                .lines()
                .find_map(|line| line.strip_prefix(v2)?.strip_prefix(' '));
            let microseconds = line.and_then(|value| value.parse::<u64>().ok());
            microseconds.map_or_else(|| number(&format!("{group}/{v1}")), |us| us * 1000)
        };
        Cpu {
            all_ns: figure("cpuacct.usage", "usage_usec"),
            user_ns: figure("cpuacct.usage_user", "user_usec"),
            system_ns: figure("cpuacct.usage_sys", "system_usec"),
        }
    }
}

impl ServerIo {
    fn read() -> ServerIo {
        let mut io = ServerIo::default();
        for process in processes() {
            for line in text(&format!("/proc/{process}/io")).lines() {
                if let Some(bytes) = line.strip_prefix("write_bytes: ") {
                    io.written_bytes += bytes.parse::<u64>().unwrap_or(0);
                } else if let Some(bytes) = line.strip_prefix("read_bytes: ") {
                    io.read_bytes += bytes.parse::<u64>().unwrap_or(0);
                }
            }
        }
        io
    }
}

impl Disk {
    /// Fields of Documentation/block/stat.rst: 5th write I/Os, 7th write sectors, 16th flushes.
    fn read() -> Disk {
        let name = std::env::var("MB_DISK").unwrap_or_else(|_| "vda".into());
        let line = text(&format!("/sys/block/{name}/stat"));
        let fields: Vec<u64> = line
            .split_whitespace()
            .filter_map(|f| f.parse().ok())
            .collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or(0);
        Disk {
            writes: field(4),
            written_bytes: field(6) * SECTOR_BYTES,
            flushes: field(15),
        }
    }
}

impl Machine {
    /// First line of /proc/stat: user nice system idle iowait irq softirq steal.
    fn read() -> Machine {
        let stat = text("/proc/stat");
        let first = stat.lines().next().unwrap_or("");
        let ticks: Vec<f64> = first
            .split_whitespace()
            .skip(1)
            .filter_map(|f| f.parse().ok())
            .collect();
        let tick = |index: usize| ticks.get(index).copied().unwrap_or(0.0);
        Machine {
            busy_s: (tick(0) + tick(1) + tick(2) + tick(5) + tick(6)) / TICKS_PER_SECOND,
            steal_s: tick(7) / TICKS_PER_SECOND,
        }
    }
}

/// Memory of all processes in the server's cgroup.
pub(crate) struct Memory {
    /// How many processes there are.
    pub(crate) processes: usize,
    /// Proportional set size: shared pages are divided among those who share them.
    pub(crate) pss_bytes: u64,
    /// Resident set size, shared pages counted in each process.
    pub(crate) rss_bytes: u64,
    /// Pages nobody else has.
    pub(crate) private_bytes: u64,
}

impl Memory {
    /// Adds up smaps_rollup of the server's processes.
    pub(crate) fn of_server() -> Memory {
        let processes = processes();
        let mut memory = Memory {
            processes: processes.len(),
            pss_bytes: 0,
            rss_bytes: 0,
            private_bytes: 0,
        };
        for process in processes {
            for line in text(&format!("/proc/{process}/smaps_rollup")).lines() {
                let mut words = line.split_whitespace();
                let name = words.next().unwrap_or("");
                let kib: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                match name {
                    "Pss:" => memory.pss_bytes += kib * 1024,
                    "Rss:" => memory.rss_bytes += kib * 1024,
                    "Private_Clean:" | "Private_Dirty:" => memory.private_bytes += kib * 1024,
                    _ => {}
                }
            }
        }
        memory
    }

    /// `procs`, `pss_mb` and `rss_mb` (10^6 bytes).
    pub(crate) fn record(&self) -> Record {
        Record::default()
            .count("procs", self.processes)
            .figure("pss_mb", self.pss_bytes as f64 / 1e6, 1)
            .figure("rss_mb", self.rss_bytes as f64 / 1e6, 1)
    }
}

/// MemAvailable of the machine, in bytes: falls also by what the kernel keeps for sockets.
pub(crate) fn machine_available_bytes() -> u64 {
    let info = text("/proc/meminfo");
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.map(|value| value.trim().trim_end_matches(" kB"));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Resident memory of the load generator itself, in bytes.
pub(crate) fn own_resident_bytes() -> u64 {
    let pages = text("/proc/self/statm");
    let resident = pages
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    resident.unwrap_or(0) * rustix::param::page_size() as u64
}

/// The one-minute load average.
pub(crate) fn load_average() -> f64 {
    let load = text("/proc/loadavg");
    load.split(' ')
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(f64::NAN)
}

fn own_cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn cgroup() -> String {
    std::env::var("MB_CGROUP").unwrap_or_else(|_| "/sys/fs/cgroup/cpuacct/mailbench".into())
}

fn processes() -> Vec<u32> {
    let list = text(&format!("{}/cgroup.procs", cgroup()));
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

fn seconds(now_ns: u64, then_ns: u64) -> f64 {
    now_ns.saturating_sub(then_ns) as f64 / 1e9
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(path: &str) -> u64 {
    text(path).trim().parse().unwrap_or(0)
}
