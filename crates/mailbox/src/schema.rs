//! The tables of mail at rest. Only SQL text and why it has this shape; the statements are in the
//! files that run them.
//!
//! A delivery changes one row of `mailboxes` and adds one to `messages` at the end of its mailbox:
//! two pages, plus a share of the last page of `messages_by_body`, whose keys arrive in order.
//! There is no index over modification sequences of new messages: a session that knows UIDNEXT
//! finds them by UID. Only a later change of flags enters `messages_changed`, a partial index.
//! Counters stand in the mailbox row and change with the rows they count, in the same transaction.
//!
//! Every transaction that touches messages of a mailbox also updates the mailbox row. So two of
//! them never run side by side: on PostgreSQL the second one waits for that row or is retried.
//!
//! A deleted mailbox loses its name at once and its messages later, in batches (`sweep`), so that
//! deleting 100,000 messages holds nobody up. Mailbox numbers are never used again.

use platform::store::{Component, Migration};

/// The tables of this crate.
pub const SCHEMA: Component = Component {
    name: "mailbox",
    migrations: &[FIRST],
};

/// `mailbox_accounts.uidvalidity`: the last one given out, so that none comes twice.
/// `mailboxes.mailbox`: 1 is INBOX, always. `name`: NULL once deleted. `special_use`: see
/// `SpecialUse`. `tombstones_from`: `expunged` is complete for sessions that saw this modification
/// sequence or a later one. `messages.size`: bytes as a client sees them, `prefix` included.
/// `messages.changed`: modification sequence of the last change of flags, NULL before the first.
/// Times are milliseconds since 1970.
const FIRST: Migration = Migration {
    number: 1,
    name: "mailboxes and messages",
    sql: "
CREATE TABLE mailbox_accounts (
  account {int} NOT NULL,
  next_mailbox {int} NOT NULL,
  uidvalidity {int} NOT NULL,
  PRIMARY KEY (account)
) {clustered};
CREATE TABLE mailboxes (
  account {int} NOT NULL,
  mailbox {int} NOT NULL,
  name {text},
  uidvalidity {int} NOT NULL,
  uidnext {int} NOT NULL,
  highest_modseq {int} NOT NULL,
  messages {int} NOT NULL,
  unseen {int} NOT NULL,
  deleted {int} NOT NULL,
  bytes {int} NOT NULL,
  recent_from {int} NOT NULL,
  tombstones {int} NOT NULL,
  tombstones_from {int} NOT NULL,
  special_use {int},
  keywords {text},
  created {int} NOT NULL,
  PRIMARY KEY (account, mailbox)
) {clustered};
CREATE UNIQUE INDEX mailboxes_by_name ON mailboxes (account, name);
CREATE INDEX mailboxes_to_sweep ON mailboxes (account, mailbox) WHERE name IS NULL;
CREATE TABLE messages (
  account {int} NOT NULL,
  mailbox {int} NOT NULL,
  uid {int} NOT NULL,
  flags {int} NOT NULL,
  modseq {int} NOT NULL,
  changed {int},
  keywords {text},
  size {int} NOT NULL,
  internal_date {int} NOT NULL,
  segment {int} NOT NULL,
  segment_offset {int} NOT NULL,
  facts_bytes {int} NOT NULL,
  body_bytes {int} NOT NULL,
  trace {int},
  prefix {text},
  PRIMARY KEY (account, mailbox, uid)
) {clustered};
CREATE INDEX messages_by_body ON messages (segment, segment_offset);
CREATE INDEX messages_changed ON messages (account, mailbox, changed) WHERE changed IS NOT NULL;
CREATE TABLE expunged (
  account {int} NOT NULL,
  mailbox {int} NOT NULL,
  modseq {int} NOT NULL,
  first_uid {int} NOT NULL,
  last_uid {int} NOT NULL,
  PRIMARY KEY (account, mailbox, modseq, first_uid)
) {clustered};
CREATE TABLE subscriptions (
  account {int} NOT NULL,
  name {text} NOT NULL,
  PRIMARY KEY (account, name)
) {clustered};
",
};
