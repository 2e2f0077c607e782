//! Looks that stand in the audit log already: a page that reloads itself, or somebody who comes back to it, is one look
//! in ten minutes. In memory of one node, bounded; forgotten at a restart, which costs a row. Called by `face`.

use axum::http::Uri;
use platform::clock::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a look lasts.
const LASTS: Duration = Duration::from_secs(600);
/// Looks that are remembered; beyond that all are forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// What only says how a page is shown.
const MANNERS: [&str; 2] = ["lang", "live"];

/// Who looks at what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    who: String,
    what: String,
}

impl Look {
    /// The look of `who` at this address.
    pub(crate) fn of(who: &str, uri: &Uri) -> Self {
        let asked = form_urlencoded::parse(uri.query().unwrap_or("").as_bytes());
        let mut asked: Vec<_> = asked
            .filter(|(name, _)| !MANNERS.contains(&&**name))
            .map(|(name, value)| (name.into_owned(), value.trim().to_lowercase()))
            .collect();
        asked.sort_unstable();
        let mut what = form_urlencoded::Serializer::new(String::new());
        what.extend_pairs(asked);
        Self {
            who: who.to_owned(),
            what: format!("{}?{}", uri.path(), what.finish()),
        }
    }
}

/// Looks of the last ten minutes.
#[derive(Default)]
pub(crate) struct Looks {
    begun: Mutex<HashMap<Look, Timestamp>>,
}

impl Looks {
    fn begun(&self) -> MutexGuard<'_, HashMap<Look, Timestamp>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this look goes on.
    pub(crate) fn goes_on(&self, look: &Look, now: Timestamp) -> bool {
        self.begun().get(look).is_some_and(|at| lasts(*at, now))
    }

    /// It began and stands in the log.
    pub(crate) fn begins(&self, look: Look, now: Timestamp) {
        let mut begun = self.begun();
        if begun.len() >= REMEMBERED_MAX {
            begun.retain(|_, at| lasts(*at, now));
        }
        if begun.len() >= REMEMBERED_MAX {
            begun.clear();
        }
        begun.insert(look, now);
    }
}

/// A clock that was set back lengthens nothing.
fn lasts(begun: Timestamp, now: Timestamp) -> bool {
    now >= begun && now.since(begun) < LASTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(who: &str, uri: &str) -> Look {
        Look::of(who, &uri.parse().unwrap())
    }

    #[test]
    fn a_page_that_reloads_itself_is_one_look_in_ten_minutes() {
        let looks = Looks::default();
        let noon = Timestamp(1_800_000_000_000);
        let later = |seconds| noon.plus(Duration::from_secs(seconds));
        let first = look("olga", "/support?address=anna@firma.test");
        assert!(!looks.goes_on(&first, noon));
        looks.begins(first.clone(), noon);
        for same in [
            "/support?address=anna@firma.test&live=1&lang=de",
            "/support?live=1&address=Anna%40firma.test+",
        ] {
            assert!(looks.goes_on(&look("olga", same), later(599)), "{same}");
        }
        assert!(!looks.goes_on(&first, later(600)), "it is over");
        assert!(!looks.goes_on(&first, Timestamp(noon.0 - 1)));
        for (who, other) in [
            ("emil", "/support?address=anna@firma.test"),
            ("olga", "/support?address=bert@firma.test"),
            (
                "olga",
                "/support?address=anna@firma.test&address=bert@firma.test",
            ),
            ("olga", "/other?address=anna@firma.test"),
        ] {
            assert!(!looks.goes_on(&look(who, other), noon), "{who} {other}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let looks = Looks::default();
        let noon = Timestamp(1_800_000_000_000);
        for n in 0..=REMEMBERED_MAX {
            looks.begins(look("olga", &format!("/support?address={n}")), noon);
        }
        assert!(looks.begun().len() <= REMEMBERED_MAX);
    }
}
