//! Memory bandwidth of one core: copying and reading 512 MiB, the best of five.

use std::hint::black_box;
use std::io::Result;
use std::time::Instant;

use crate::options::Options;
use crate::record::Record;

const BYTES: usize = 512 << 20;
const ROUNDS: usize = 5;

pub(super) fn run(_: &Options) -> Result<Record> {
    let mut target = vec![1u64; BYTES / 8];
    let source = vec![2u64; BYTES / 8];
    let (mut copied, mut read) = (0f64, 0f64);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        target.copy_from_slice(&source);
        // A copy reads and writes every byte.
        copied = copied.max(2.0 * gigabytes_per_s(start));
        let start = Instant::now();
        black_box(
            target
                .iter()
                .fold(0u64, |sum, word| sum.wrapping_add(*word)),
        );
        read = read.max(gigabytes_per_s(start));
    }
    Ok(Record::default()
        .figure("copy_gb_per_s", copied, 2)
        .figure("read_gb_per_s", read, 2))
}

fn gigabytes_per_s(start: Instant) -> f64 {
    BYTES as f64 / start.elapsed().as_secs_f64() / 1e9
}
