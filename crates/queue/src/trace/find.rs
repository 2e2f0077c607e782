//! Finds stories by an address or a Message-ID. Reads the stories themselves, newest first, in
//! pages: nothing is written for it when a message is accepted, and operators ask seldom.

use super::TraceId;
use platform::params;
use platform::store::{Store, StoreError};

/// Lines read in one transaction.
const PAGE_LINES: i64 = 4000;

/// What to look for, and where.
#[derive(Debug, Clone)]
pub struct Query {
    /// An address, or a Message-ID with or without angle brackets. Letter case does not count.
    pub text: String,
    /// No story before this one.
    pub since: TraceId,
    /// Most stories to find.
    pub limit: usize,
}

/// Stories that name what the query asks for, newest first.
///
/// # Errors
/// Where the store fails.
pub async fn find(store: &Store, query: &Query) -> Result<Vec<TraceId>, StoreError> {
    let needles = needles(&query.text);
    let mut found = Vec::new();
    let mut before = (i64::MAX, i64::MAX, i64::MAX, String::new());
    while found.len() < query.limit {
        let (since, wanted, place) = (query.since.0, needles.clone(), before.clone());
        let (hits, last) = store
            .read(move |tx| page(tx, &place, since, &wanted))
            .await?;
        for hit in hits {
            if !found.contains(&hit) && found.len() < query.limit {
                found.push(hit);
            }
        }
        match last {
            Some(last) => before = last,
            None => break,
        }
    }
    Ok(found)
}

/// Where a line stands: the primary key of `traces`.
type Place = (i64, i64, i64, String);

fn page(
    tx: &mut dyn platform::store::Tx,
    before: &Place,
    since: i64,
    needles: &[String],
) -> Result<(Vec<TraceId>, Option<Place>), StoreError> {
    let (mut hits, mut last, mut lines) = (Vec::new(), None, 0);
    tx.query(
        "SELECT trace, at, n, event, detail FROM traces \
         WHERE (trace, at, n, event) < (?1, ?2, ?3, ?4) AND trace >= ?5 \
         ORDER BY trace DESC, at DESC, n DESC, event DESC LIMIT ?6",
        params![before.0, before.1, before.2, &before.3, since, PAGE_LINES],
        &mut |row| {
            let trace = row.int(0)?;
            last = Some((trace, row.int(1)?, row.int(2)?, row.text(3)?.to_owned()));
            lines += 1;
            let detail = row.text(4)?.to_lowercase();
            if needles
                .iter()
                .any(|needle| detail.contains(needle.as_str()))
            {
                hits.push(TraceId(trace));
            }
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    let is_full = lines >= PAGE_LINES;
    Ok((hits, last.filter(|_| is_full)))
}

/// How the text stands in a line: as a JSON string, within angle brackets, or, in lines of older
/// releases, within angle brackets too. With its limits, so that `a@b.c` does not find `aa@b.c`.
fn needles(text: &str) -> Vec<String> {
    let inner = text.trim().trim_start_matches('<').trim_end_matches('>');
    let lower = inner.to_lowercase();
    let quoted = serde_json::to_string(&lower).unwrap_or_default();
    vec![quoted, format!("<{lower}>")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_has_limits() {
        let found = |line: &str| {
            needles("<A@b.test>")
                .iter()
                .any(|needle| line.contains(needle))
        };
        assert!(found(r#"{"from":"a@b.test"}"#));
        assert!(found("from=<a@b.test> local=1"));
        assert!(!found(r#"{"from":"aa@b.test"}"#));
    }
}
