//! Latencies of one kind, in milliseconds, and their quantiles for the record.

use std::time::{Duration, Instant};

use crate::record::Record;

/// Measured durations in the order in which they were added.
#[derive(Default)]
pub(crate) struct Latencies {
    milliseconds: Vec<f32>,
}

impl Latencies {
    /// Adds the time that has gone by since `start`.
    pub(crate) fn add_since(&mut self, start: Instant) {
        self.add(start.elapsed());
    }

    /// Adds one duration.
    pub(crate) fn add(&mut self, duration: Duration) {
        self.milliseconds.push(duration.as_secs_f32() * 1e3);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.milliseconds.len()
    }

    /// Adds all of `other`.
    pub(crate) fn extend(&mut self, other: Latencies) {
        self.milliseconds.extend(other.milliseconds);
    }

    /// `NAME_n`, and the quantiles if there are any.
    pub(crate) fn record(&self, name: &str) -> Record {
        let count = Record::default().count(format!("{name}_n"), self.len());
        count.and(self.quantiles(&format!("{name}_")))
    }

    /// p50, p90, p95, p99 and max as `PREFIXp50_ms` and so on; nothing if there are none.
    pub(crate) fn quantiles(&self, prefix: &str) -> Record {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f32::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return Record::default();
        };
        let at = |quantile: f64| f64::from(sorted[(last as f64 * quantile).round() as usize]);
        Record::default()
            .figure(format!("{prefix}p50_ms"), at(0.5), 3)
            .figure(format!("{prefix}p90_ms"), at(0.9), 3)
            .figure(format!("{prefix}p95_ms"), at(0.95), 3)
            .figure(format!("{prefix}p99_ms"), at(0.99), 3)
            .figure(format!("{prefix}max_ms"), at(1.0), 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        let mut latencies = Latencies::default();
        for milliseconds in [5, 1, 4, 2, 3] {
            latencies.add(Duration::from_millis(milliseconds));
        }
        let record = latencies.record("x").to_string();
        assert!(record.contains("\"x_p50_ms\":3.000"), "{record}");
        assert!(record.contains("\"x_max_ms\":5.000"), "{record}");
        assert_eq!(Latencies::default().record("x").to_string(), "{\"x_n\":0}");
    }
}
