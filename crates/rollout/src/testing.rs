//! What the tests of several modules need. Never part of the program.

use crate::model::Rollout;

/// A rollout of three measures with dates of their own, an internal step, legacy hosts and rounds.
pub(crate) const DOCUMENT: &str = r#"
slug = "tls-2025"
reason = "RFC 8996"
as_of = "2024-12-10"
audience = ["installation"]

[title]
de = "Nur noch sichere Verbindungen"
en = "Secure connections only"

[rounds]
newsletter = "2024-12-10T08:00"
first = "2025-02-14T08:00"
every_days = 7
last = "2025-03-04"

[legacy]
until = "2025-05-30"
tls = ["1.0", "1.1"]
cleartext = true

[[steps]]
measure = "tls-version/imap"
stage = "warn"
date = "2025-02-01"

[[steps]]
measure = "tls-version/imap"
stage = "enforce"
date = "2025-03-05"

[[steps]]
measure = "cleartext/imap"
stage = "enforce"
date = "2025-03-05"

[[steps]]
measure = "sender-ownership"
stage = "enforce"
date = "2025-04-01"
visibility = "internal"

[[evidence]]
source = "https://blog.other.example/"
seen = "2024-11-30"
note = "GEHEIM-another provider still takes TLS 1.0"
"#;

pub(crate) fn rollout() -> Rollout {
    toml::from_str(DOCUMENT).unwrap()
}
