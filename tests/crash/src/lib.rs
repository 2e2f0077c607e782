//! Kill and power-cut tests: every message that was acknowledged is there exactly once and whole,
//! whenever the power fails or the process is killed. Test code only.
//!
//! `tests/power_cut.rs` records what the store and the segments do to the disk, in one order, and
//! opens what a power cut at each position could have left. `tests/kill.rs` kills a running server.
//! `CRASH_SECONDS` lengthens both.

pub mod delivery;
pub mod disk;
pub mod sqlite_vfs;
pub mod time;
pub mod workload;
