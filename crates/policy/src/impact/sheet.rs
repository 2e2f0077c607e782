//! A preview as a table for spreadsheets.

use super::{Impact, Now};
use formats::{csv, rfc3339};

impl Impact {
    /// The preview as CSV (RFC 4180): a line per account, then one per server, under one heading.
    pub fn csv(&self) -> String {
        let mut sheet = String::new();
        csv::push(
            &mut sheet,
            &[
                "kind", "name", "domain", "group", "clients", "details", "now", "seen", "last_day",
            ],
        );
        for affected in &self.accounts {
            let now = match affected.now {
                Now::Works => "works",
                Now::Refused => "refused",
            };
            csv::push(
                &mut sheet,
                &[
                    "account",
                    &affected.login,
                    &affected.domain,
                    affected.group.as_deref().unwrap_or_default(),
                    &affected.clients.join(" "),
                    &affected.details.join(" "),
                    now,
                    &affected.seen.to_string(),
                    &date(affected.last_day),
                ],
            );
        }
        for server in &self.servers {
            csv::push(
                &mut sheet,
                &[
                    "server",
                    &server.domain,
                    &server.ours,
                    "",
                    "",
                    &format!("{} would get through", server.passing),
                    "works",
                    &server.stopped.to_string(),
                    &date(server.last_day),
                ],
            );
        }
        sheet
    }
}

/// A number of days since 1970 as a date.
fn date(day: i64) -> String {
    let text = rfc3339::format(day.saturating_mul(24 * 3600 * 1000));
    text.chars().take(10).collect()
}
