//! LSUB (RFC 3501 §6.3.9): the names that are subscribed, whether such mailboxes exist or not.

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::{Code, Reply};
use crate::imap::wire::Wire;
use directory::AccountId;
use std::collections::BTreeMap;

/// Whether a name is subscribed itself or lies above one that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Itself,
    Above,
}

pub(super) async fn run(
    wire: &mut Wire,
    account: AccountId,
    reference: &[u8],
    pattern: &[u8],
) -> Outcome {
    let texts = (
        names::text_from_wire(reference),
        names::text_from_wire(pattern),
    );
    let (Some(reference), Some(pattern)) = texts else {
        return Ok(Reply::no(
            Code::Cannot,
            "The pattern is not valid modified UTF-7.",
        ));
    };
    let pattern = names::join(&reference, &pattern);
    let subscribed = match wire.context.mailboxes.subscriptions(account).await {
        Ok(subscribed) => subscribed,
        Err(error) => return Ok(Reply::from(error)),
    };
    for (name, why) in answers(&pattern, &subscribed) {
        let out = wire.out();
        out.extend_from_slice(match why {
            Why::Itself => b"* LSUB () \"/\" ".as_slice(),
            Why::Above => b"* LSUB (\\Noselect) \"/\" ".as_slice(),
        });
        names::write(out, name);
        out.extend_from_slice(b"\r\n");
        wire.relieve().await?;
    }
    Ok(Reply::ok("That is all."))
}

/// RFC 3501 §6.3.9: with `%` at the end, a level above a subscribed name is told as \Noselect.
fn answers<'a>(pattern: &str, subscribed: &'a [String]) -> BTreeMap<&'a str, Why> {
    let mut answers = BTreeMap::new();
    for name in subscribed {
        if names::matches(pattern, name) {
            answers.insert(name.as_str(), Why::Itself);
        } else if pattern.ends_with('%') {
            for (at, _) in name.match_indices('/') {
                let above = name.get(..at).unwrap_or_default();
                if names::matches(pattern, above) {
                    answers.entry(above).or_insert(Why::Above);
                }
            }
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_above_are_told_for_percent_only() {
        let subscribed = ["a/b".to_owned(), "c".to_owned()];
        let told: Vec<_> = answers("%", &subscribed).into_iter().collect();
        assert_eq!(told, [("a", Why::Above), ("c", Why::Itself)]);
        let told: Vec<_> = answers("*", &subscribed).into_iter().collect();
        assert_eq!(told, [("a/b", Why::Itself), ("c", Why::Itself)]);
    }
}
