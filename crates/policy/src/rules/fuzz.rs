//! Entry for the fuzz target `rules`: a set, a described session and a header out of arbitrary text. Asserts more than
//! that nothing panics: what is written reads the same, and the explanation agrees with the decision.

use super::case::Case;
use super::compiled::Compiled;
use super::evaluate::evaluate;
use super::explain::explain;
use super::facts::{Facts, HeaderFacts, Known};
use super::lint::{Existing, lint};
use super::replay::{Replay, Stages};
use super::rule::{Point, RuleSet};
use super::store::diff;
use super::{record::Recorded, words};
use crate::measure::Zone;
use formats::language::Language;
use platform::clock::Timestamp;
use std::sync::Arc;

/// The parts of `text` are separated by NUL: rules, a session as JSON, a header.
pub fn rules(text: &str) {
    let mut parts = text.splitn(3, '\0');
    let set = parts.next().unwrap_or_default();
    let Ok(set) = RuleSet::from_json(set).or_else(|_| RuleSet::from_toml(set)) else {
        return;
    };
    assert_eq!(RuleSet::from_json(&set.to_json()).as_ref(), Ok(&set));
    if let Ok(toml) = set.to_toml() {
        assert_eq!(RuleSet::from_toml(&toml).as_ref(), Ok(&set));
    }
    assert!(diff(&set, &set).is_empty());
    for remark in lint(&set, &Existing::default()) {
        assert!(set.named(&remark.rule).is_some());
    }
    for rule in set.rules() {
        assert!(!rule.when.in_words(Language::German).contains('\n'));
        assert!(!words::pick(Language::English, "a", "b").is_empty());
    }
    let case: Case = parts
        .next()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let header = parts.next().unwrap_or_default();
    let (zone, now) = (Zone::default(), Timestamp(1_709_204_400_000));
    let compiled = Compiled::new(Arc::new(set.clone()), &zone, 1);
    let seen = HeaderFacts::read(header.as_bytes(), compiled.header_names());
    let prepared = case.prepare(0);
    for point in Point::ALL {
        prepared.at(point, |facts| {
            let facts = Facts {
                headers: Known::Is(&seen),
                ..*facts
            };
            let decision = evaluate(&compiled, point, &facts, now);
            let (again, _) = explain(&compiled, point, &facts, now);
            assert_eq!(decision, again);
        });
    }
    let mut replay = Replay::new(&set, &set, Stages::AsTheyAre, &zone, now);
    let recorded = Recorded {
        at: now.0,
        point: Point::Data,
        salt: 0,
        case,
    };
    replay.look(&recorded);
    assert!(
        replay.finish().totals.is_empty(),
        "a set differs from itself"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn made_up_rules_do_no_harm(text in r#"\{"rules":\[\{"name":"[a-z]","at":\["(data|rcpt|connect)"\],"when":\{"fact":"(size|tls|sender|header:x)","value":("[a-z]?"|1|true)\},"then":\[\{"do":"(junk|accept|reject)"\}\]\}\]\}"#) {
            super::rules(&text);
        }

        #[test]
        fn made_up_text_does_no_harm(text in r#"[\[\]{}":,a-z0-9\n= ]{0,200}"#) {
            super::rules(&text);
        }
    }
}
