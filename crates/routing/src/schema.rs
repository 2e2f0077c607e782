//! The tables of routing: MTA-STS policies that outlive a restart, and which TLS was seen, per day.

use platform::store::{Component, Migration};

/// Everything this crate keeps.
///
/// `sts_policies`: one row per domain that had a policy; times in milliseconds, `mx` one pattern per
/// line. `tls_seen`: counts of messages; `direction` 0 out, 1 in; `ours` a domain of ours, `theirs` the
/// other side's; `protection` as `seen::Protection`; `day` days since 1970-01-01 UTC.
pub const SCHEMA: Component = Component {
    name: "routing",
    migrations: &[Migration {
        number: 1,
        name: "MTA-STS policies and TLS seen",
        sql: "
CREATE TABLE sts_policies (
  domain {text} NOT NULL PRIMARY KEY,
  id {text} NOT NULL,
  mode {text} NOT NULL,
  mx {text} NOT NULL,
  max_age {int} NOT NULL,
  fetched_at {int} NOT NULL,
  expires_at {int} NOT NULL,
  tried_at {int} NOT NULL,
  used_at {int} NOT NULL
);
CREATE INDEX sts_policies_by_age ON sts_policies (fetched_at, domain);
CREATE INDEX sts_policies_by_end ON sts_policies (expires_at, domain);
CREATE TABLE tls_seen (
  direction {int} NOT NULL,
  ours {text} NOT NULL,
  day {int} NOT NULL,
  theirs {text} NOT NULL,
  protection {int} NOT NULL,
  messages {int} NOT NULL,
  PRIMARY KEY (direction, ours, day, theirs, protection)
) {clustered};
CREATE INDEX tls_seen_by_day ON tls_seen (day);
",
    }],
};
