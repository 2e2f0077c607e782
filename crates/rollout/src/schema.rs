//! The tables of rollouts: documents with their state and history, what they set, rounds, letters,
//! subscriptions, and what is said about the provider. Rows of letters begin with the rollout and
//! are found by account, so that they go with it.

use platform::store::{Component, Migration};

/// Everything this crate keeps.
pub const SCHEMA: Component = Component {
    name: "rollout",
    migrations: &[ROLLOUTS],
};

const ROLLOUTS: Migration = Migration {
    number: 1,
    name: "rollouts, rounds, letters, the provider's words",
    sql: "
CREATE TABLE rollouts (
  slug {text} NOT NULL PRIMARY KEY,
  state {text} NOT NULL,
  document {text} NOT NULL,
  created_at {int} NOT NULL,
  changed_at {int} NOT NULL
) {clustered};
CREATE TABLE rollout_history (
  slug {text} NOT NULL,
  at {int} NOT NULL,
  n {int} NOT NULL,
  action {text} NOT NULL,
  changed_by {text} NOT NULL,
  reason {text} NOT NULL,
  PRIMARY KEY (slug, at, n)
) {clustered};
CREATE TABLE rollout_settings (
  slug {text} NOT NULL,
  scope {text} NOT NULL,
  name {text} NOT NULL,
  item {text} NOT NULL,
  written {text} NOT NULL,
  earlier {text},
  earlier_ends_at {int},
  earlier_owner {text},
  PRIMARY KEY (slug, scope, name, item)
) {clustered};
CREATE TABLE rollout_rounds (
  slug {text} NOT NULL,
  round {int} NOT NULL,
  written_at {int} NOT NULL,
  letters {int} NOT NULL,
  PRIMARY KEY (slug, round)
) {clustered};
CREATE TABLE rollout_letters (
  slug {text} NOT NULL,
  round {int} NOT NULL,
  kind {text} NOT NULL,
  recipient {text} NOT NULL,
  account {int},
  domain {text} NOT NULL,
  address {text} NOT NULL,
  token {int} NOT NULL,
  facts {text} NOT NULL,
  written_at {int} NOT NULL,
  due_at {int} NOT NULL,
  status {text} NOT NULL,
  status_at {int} NOT NULL,
  reply {text} NOT NULL,
  PRIMARY KEY (slug, round, kind, recipient)
) {clustered};
CREATE INDEX rollout_letters_of_account ON rollout_letters (account, written_at);
CREATE INDEX rollout_letters_of_domain ON rollout_letters (domain);
CREATE INDEX rollout_letters_open ON rollout_letters (status, due_at);
CREATE TABLE rollout_subscriptions (
  token {text} NOT NULL PRIMARY KEY,
  account {int} NOT NULL,
  ended_at {int}
) {clustered};
CREATE UNIQUE INDEX rollout_subscriptions_of_account ON rollout_subscriptions (account);
CREATE TABLE rollout_voice (
  name {text} NOT NULL PRIMARY KEY,
  value {text} NOT NULL
) {clustered};
",
};
