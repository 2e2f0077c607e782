//! The tables of mail in motion: rows of a message waiting for other servers, what is known of
//! destinations that are down, and the traces.
//!
//! A recipient that is held has `next_attempt_at` at the end of time, so that nobody looking for
//! what is due ever meets it; `held` says by whom. `queue_messages.recipients` counts the rows a
//! message began with (0: written before migration 3), which tells whether nothing was attempted.

use platform::store::{Component, Migration};

/// Everything this crate keeps.
pub const SCHEMA: Component = Component {
    name: "queue",
    migrations: &[
        QUEUE_AND_TRACES,
        CAUSES_AND_ORIGINS,
        DISPATCH,
        NOTICES_FOR_DOMAINS,
    ],
};

const QUEUE_AND_TRACES: Migration = Migration {
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
};

/// Why the last attempt failed, where a message came from (kept shorter than its story), and who
/// looked at stories.
const CAUSES_AND_ORIGINS: Migration = Migration {
    number: 2,
    name: "causes of failures, origins and views of traces",
    sql: "
ALTER TABLE queue_recipients ADD COLUMN last_cause {int} NOT NULL DEFAULT 0;
CREATE TABLE trace_origins (
  trace {int} NOT NULL PRIMARY KEY,
  client {text} NOT NULL,
  hello {text} NOT NULL
);
CREATE TABLE trace_views (
  at {int} NOT NULL,
  trace {int} NOT NULL,
  viewer {text} NOT NULL,
  PRIMARY KEY (at, trace, viewer)
) {clustered};
",
};

const DISPATCH: Migration = Migration {
    number: 3,
    name: "groups, priorities, release, signatures, destinations",
    sql: "
ALTER TABLE queue_messages ADD COLUMN recipients {int} NOT NULL DEFAULT 0;
ALTER TABLE queue_messages ADD COLUMN release_at {int};
ALTER TABLE queue_messages ADD COLUMN tls_demand {int} NOT NULL DEFAULT 0;
ALTER TABLE queue_messages ADD COLUMN front {bytes};
ALTER TABLE queue_messages ADD COLUMN forward_sender {text};
ALTER TABLE queue_recipients ADD COLUMN customer_group {text};
ALTER TABLE queue_recipients ADD COLUMN priority {int} NOT NULL DEFAULT 0;
ALTER TABLE queue_recipients ADD COLUMN account {int};
ALTER TABLE queue_recipients ADD COLUMN held {text};
ALTER TABLE queue_recipients ADD COLUMN route {text};
ALTER TABLE queue_recipients ADD COLUMN ordered {int} NOT NULL DEFAULT 0;
CREATE TABLE queue_destinations (
  domain {text} NOT NULL PRIMARY KEY,
  down_since {int} NOT NULL,
  failures {int} NOT NULL,
  next_attempt_at {int} NOT NULL,
  last_reply {text} NOT NULL
) {clustered};
",
};

/// Whose rules hold for a notice, which has no sender that could tell.
const NOTICES_FOR_DOMAINS: Migration = Migration {
    number: 4,
    name: "the domain whose rules hold for a notice",
    sql: "ALTER TABLE queue_messages ADD COLUMN rules_of {text};",
};
