//! The tables of reports: sessions counted for domains that may ask, reports on their way out, and
//! figures from reports about our own domains.

use platform::store::{Component, Migration};

/// Everything this crate keeps.
pub const SCHEMA: Component = Component {
    name: "reports",
    migrations: &[
        Migration {
            number: 1,
            name: "TLS sessions, outgoing reports, figures of reports about us",
            sql: "
CREATE TABLE report_tls_sessions (
  day {int} NOT NULL,
  domain {text} NOT NULL,
  kind {bytes} NOT NULL,
  policy {text} NOT NULL,
  failure {text} NOT NULL,
  sessions {int} NOT NULL,
  PRIMARY KEY (day, domain, kind)
) {clustered};
CREATE TABLE report_outgoing (
  day {int} NOT NULL,
  domain {text} NOT NULL,
  place {int} NOT NULL,
  destination {text} NOT NULL,
  document {bytes} NOT NULL,
  state {int} NOT NULL,
  attempts {int} NOT NULL,
  made_at {int} NOT NULL,
  next_at {int} NOT NULL,
  PRIMARY KEY (day, domain, place)
);
CREATE INDEX report_outgoing_due ON report_outgoing (state, next_at);
CREATE TABLE report_progress (
  account {int} NOT NULL PRIMARY KEY,
  uidvalidity {int} NOT NULL,
  uid {int} NOT NULL
);
CREATE TABLE report_received (
  kind {int} NOT NULL,
  domain {text} NOT NULL,
  reporter {text} NOT NULL,
  report {text} NOT NULL,
  day {int} NOT NULL,
  received_at {int} NOT NULL,
  proven {int} NOT NULL,
  PRIMARY KEY (kind, domain, reporter, report)
);
CREATE TABLE report_dmarc (
  domain {text} NOT NULL,
  day {int} NOT NULL,
  reporter {text} NOT NULL,
  source {text} NOT NULL,
  disposition {text} NOT NULL,
  dkim {text} NOT NULL,
  spf {text} NOT NULL,
  messages {int} NOT NULL,
  PRIMARY KEY (domain, day, reporter, source, disposition, dkim, spf)
) {clustered};
CREATE TABLE report_tls (
  domain {text} NOT NULL,
  day {int} NOT NULL,
  reporter {text} NOT NULL,
  policy {text} NOT NULL,
  result {text} NOT NULL,
  host {text} NOT NULL,
  sessions {int} NOT NULL,
  PRIMARY KEY (domain, day, reporter, policy, result, host)
) {clustered};
",
        },
        Migration {
            number: 2,
            name: "who signed mail that others report about",
            // signer: the domain of a valid signature; envelope: the domain SPF was asked for. Both
            // empty where the report does not say.
            sql: "
CREATE TABLE report_dmarc_origins (
  domain {text} NOT NULL,
  day {int} NOT NULL,
  source {text} NOT NULL,
  signer {text} NOT NULL,
  envelope {text} NOT NULL,
  messages {int} NOT NULL,
  PRIMARY KEY (domain, day, source, signer, envelope)
) {clustered}",
        },
    ],
};
