//! Why a recipient waits, and when it is tried next, in words. Pure: facts of the row, of its
//! destination and of the running worker go in.

use crate::accept::HELD;
use crate::list::Row;
use crate::schedule::{DestinationState, Down, State};
use platform::clock::Timestamp;

/// Why a recipient waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Somebody holds it.
    Held {
        /// Who: `operator` or `rule`.
        by: String,
    },
    /// Its time to leave has not come: time for undoing, or a delivery for later.
    KeptBack {
        /// Until when.
        until: Timestamp,
    },
    /// The last attempt failed.
    Retry {
        /// When it is tried again.
        at: Timestamp,
    },
    /// Its destination cannot be reached.
    DestinationDown {
        /// The destination.
        destination: String,
        /// Since when.
        since: Timestamp,
        /// When it is tried again; one message goes first.
        until: Timestamp,
        /// Why.
        reply: String,
    },
    /// Its destination asked us to slow down.
    DestinationSlowed {
        /// The destination.
        destination: String,
        /// Until when.
        until: Timestamp,
        /// Its words.
        reply: String,
    },
    /// Its destination gets as much at once as it bears.
    DestinationFull {
        /// The destination.
        destination: String,
        /// Attempts under way.
        under_way: u32,
    },
    /// Attempts for other mail go first; its group has as many under way as it may.
    ShareUsed {
        /// The group; `None` for mail without one.
        group: Option<String>,
        /// Attempts under way.
        under_way: usize,
    },
    /// It goes back to its sender.
    GoesBack,
    /// It is due, and its turn comes as soon as the node runs and has a free place.
    Next,
}

/// What is known beside the row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Its destination, where that is down, from the store.
    pub down: Option<&'a Down>,
    /// What the running worker does; `None` where none runs.
    pub state: Option<&'a State>,
}

/// Finds out why.
pub fn why(row: &Row, facts: Facts<'_>, now: Timestamp) -> Why {
    if row.ordered_back {
        return Why::GoesBack;
    }
    if row.held.is_some() || row.next_attempt_at == HELD {
        let by = row.held.clone().unwrap_or_else(|| "operator".to_owned());
        return Why::Held { by };
    }
    if row.attempts == 0
        && let Some(until) = row.release_at
        && until > now
    {
        return Why::KeptBack { until };
    }
    let destination = row.destination();
    let running = facts
        .state
        .and_then(|state| (state.destinations.iter()).find(|known| *known.domain == *destination));
    if let Some(why) = running.and_then(|running| of_destination(running, row, now)) {
        return why;
    }
    if let (Some(down), None) = (facts.down, facts.state)
        && down.until > now
    {
        return Why::DestinationDown {
            destination: destination.into_owned(),
            since: down.since,
            until: down.until.max(row.next_attempt_at),
            reply: down.last_reply.to_string(),
        };
    }
    if row.next_attempt_at > now {
        let at = row.next_attempt_at;
        return Why::Retry { at };
    }
    let group = facts.state.and_then(|state| {
        (state.groups.iter()).find(|group| group.name.as_deref() == row.group.as_deref())
    });
    match (group, running) {
        (_, Some(running)) if running.under_way >= running.allowed => Why::DestinationFull {
            destination: destination.into_owned(),
            under_way: running.under_way,
        },
        (Some(group), _) if group.under_way > 0 => Why::ShareUsed {
            group: row.group.clone(),
            under_way: group.under_way,
        },
        _ => Why::Next,
    }
}

fn of_destination(running: &DestinationState, row: &Row, now: Timestamp) -> Option<Why> {
    let until = running
        .until_ms
        .map(Timestamp)
        .filter(|until| *until > now)?;
    // The message's own wait may be longer than its destination's.
    let until = until.max(row.next_attempt_at);
    let (destination, reply) = (running.domain.to_string(), running.last_reply.to_string());
    Some(match running.down_since_ms.map(Timestamp) {
        Some(since) => Why::DestinationDown {
            destination,
            since,
            until,
            reply,
        },
        None => Why::DestinationSlowed {
            destination,
            until,
            reply,
        },
    })
}

impl Why {
    /// The reason as a word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Held { .. } => "held",
            Self::KeptBack { .. } => "kept-back",
            Self::Retry { .. } => "retry",
            Self::DestinationDown { .. } => "destination-down",
            Self::DestinationSlowed { .. } => "destination-slowed",
            Self::DestinationFull { .. } => "destination-full",
            Self::ShareUsed { .. } => "share-used",
            Self::GoesBack => "goes-back",
            Self::Next => "next",
        }
    }

    /// When it is tried next, where that is a known time.
    pub fn next_try(&self) -> Option<Timestamp> {
        match self {
            Self::KeptBack { until }
            | Self::Retry { at: until }
            | Self::DestinationDown { until, .. }
            | Self::DestinationSlowed { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// The reason as a sentence; `time` writes a time.
    pub fn sentence(&self, time: impl Fn(Timestamp) -> String) -> String {
        match self {
            Self::Held { by } if by == "operator" => {
                "held by the operator; `rohrpost queue release` lets it go".to_owned()
            }
            Self::Held { by } => {
                format!("held by a {by}; `rohrpost queue release` lets it go")
            }
            Self::KeptBack { until } => format!(
                "kept back for undoing or later delivery until {}; it can be cancelled till then",
                time(*until)
            ),
            Self::Retry { at } => format!("the last try failed; next try {}", time(*at)),
            Self::DestinationDown {
                destination,
                since,
                until,
                reply,
            } => format!(
                "destination {destination} is down since {}, next try {}: {reply}",
                time(*since),
                time(*until)
            ),
            Self::DestinationSlowed {
                destination,
                until,
                reply,
            } => format!(
                "destination {destination} asked us to slow down until {}: {reply}",
                time(*until)
            ),
            Self::DestinationFull {
                destination,
                under_way,
            } => format!(
                "destination {destination} gets {under_way} messages at once just now, which is \
                 as much as it bears"
            ),
            Self::ShareUsed { group, under_way } => match group {
                Some(group) => format!(
                    "the share of group {group} is used: {under_way} of its messages are under way"
                ),
                None => format!("{under_way} other messages are under way; its turn comes"),
            },
            Self::GoesBack => "the operator returned it; the sender gets a notice".to_owned(),
            Self::Next => "due; it is tried as soon as there is a free place".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::TraceId;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn row() -> Row {
        Row {
            message: TraceId(1),
            n: 0,
            sender: "anna@firma.test".into(),
            recipient: "x@else.test".into(),
            domain: "else.test".into(),
            group: Some("private".into()),
            priority: 0,
            accepted_at: Timestamp(0),
            release_at: None,
            held: None,
            route: None,
            ordered_back: false,
            warned: false,
            attempts: 0,
            next_attempt_at: Timestamp(0),
            last_reply: String::new(),
            bytes: 100,
        }
    }

    fn later(ms: i64) -> Timestamp {
        Timestamp(NOW.0 + ms)
    }

    #[test]
    fn each_reason_is_told() {
        let facts = Facts::default();
        assert_eq!(why(&row(), facts, NOW), Why::Next);
        let held = Row {
            held: Some("operator".into()),
            next_attempt_at: HELD,
            ..row()
        };
        assert_eq!(why(&held, facts, NOW).word(), "held");
        let kept = Row {
            release_at: Some(later(9)),
            next_attempt_at: later(9),
            ..row()
        };
        let told = why(&kept, facts, NOW);
        assert_eq!(told, Why::KeptBack { until: later(9) });
        assert_eq!(told.next_try(), Some(later(9)));
        let retry = Row {
            attempts: 1,
            next_attempt_at: later(9),
            ..row()
        };
        assert_eq!(why(&retry, facts, NOW), Why::Retry { at: later(9) });
    }

    #[test]
    fn a_destination_that_is_down_is_named_with_and_without_a_node() {
        let down = Down {
            domain: "else.test".into(),
            since: Timestamp(5),
            failures: 3,
            until: later(60),
            last_reply: "no connection".into(),
        };
        let stopped = Facts {
            down: Some(&down),
            state: None,
        };
        let told = why(&row(), stopped, NOW).sentence(|time| time.0.to_string());
        assert_eq!(
            told,
            "destination else.test is down since 5, next try 1000060: no connection"
        );
        let state = State {
            destinations: vec![DestinationState {
                domain: "else.test".into(),
                waiting: 9,
                under_way: 0,
                allowed: 1,
                down_since_ms: Some(5),
                until_ms: Some(later(60).0),
                last_reply: "no connection".into(),
            }],
            ..State::default()
        };
        let running = Facts {
            down: None,
            state: Some(&state),
        };
        assert_eq!(why(&row(), running, NOW).word(), "destination-down");
    }
}
