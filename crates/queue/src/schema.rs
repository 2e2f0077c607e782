//! The tables of mail in motion. Rows of a message waiting for other servers, and the traces.

use platform::store::{Component, Migration};

/// Everything this crate keeps.
pub const SCHEMA: Component = Component {
    name: "queue",
    migrations: &[Migration {
        number: 1,
        name: "queue and traces",
        sql: "
CREATE TABLE queue_messages (
  message {int} NOT NULL PRIMARY KEY,
  accepted_at {int} NOT NULL,
  sender {text} NOT NULL,
  submitter {int},
  envelope_id {text},
  ret {int} NOT NULL,
  segment {int} NOT NULL,
  segment_offset {int} NOT NULL,
  facts_bytes {int} NOT NULL,
  body_bytes {int} NOT NULL
);
CREATE INDEX queue_messages_by_body ON queue_messages (segment, segment_offset);
CREATE TABLE queue_recipients (
  message {int} NOT NULL,
  n {int} NOT NULL,
  domain {text} NOT NULL,
  address {text} NOT NULL,
  notify {int} NOT NULL,
  original {text},
  attempts {int} NOT NULL,
  next_attempt_at {int} NOT NULL,
  delay_notified {int} NOT NULL,
  last_reply {text} NOT NULL,
  PRIMARY KEY (message, n)
) {clustered};
CREATE INDEX queue_recipients_due ON queue_recipients (next_attempt_at, message, n);
CREATE TABLE traces (
  trace {int} NOT NULL,
  at {int} NOT NULL,
  n {int} NOT NULL,
  event {text} NOT NULL,
  detail {text} NOT NULL,
  PRIMARY KEY (trace, at, n, event)
) {clustered};
",
    }],
};
