//! The server's memory as it is now, without any load; asked right after the start.

use std::io::Result;

use crate::accounting::Memory;
use crate::record::Record;

pub(super) async fn run() -> Result<Record> {
    let memory = Memory::of_server();
    Ok(memory
        .record()
        .figure("private_mb", memory.private_bytes as f64 / 1e6, 1))
}
