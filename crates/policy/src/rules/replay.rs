//! What a changed set of rules would have done to what was recorded, compared with the set that holds: in named
//! accounts and domains. Pure but for the reading, which the caller does.

use super::action::Action;
use super::case::{Case, domain_of};
use super::compiled::Compiled;
use super::evaluate::{Acting, Decision, evaluate};
use super::facts::Facts;
use super::rates::{Rates, Room};
use super::record::Recorded;
use super::rule::{Point, Rule, RuleSet};
use crate::measure::{Schedule, Timeline, Zone};
use crate::model::{Sender, Stage};
use platform::clock::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one report; what is beyond is counted only.
const ROWS_MAX: usize = 10_000;

/// What became of somebody's mail or login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It would be refused, and is not.
    Refused,
    /// It would no longer be refused.
    NoLongerRefused,
    /// Something else is done to it.
    Changed,
    /// It hangs on something that was not recorded.
    CannotBeTold,
}

impl Difference {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "new refusal",
            Self::NoLongerRefused => "no longer refused",
            Self::Changed => "changed",
            Self::CannotBeTold => "cannot be told",
        }
    }
}

/// Whom it concerns, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Whom {
    /// How it differs.
    pub difference: Difference,
    /// The account, or the sender's domain for mail of other servers; empty for neither.
    pub who: String,
    /// Domains that the mail is for, or nothing.
    pub to: String,
    /// The rule that makes the difference.
    pub rule: String,
    /// Where.
    pub point: &'static str,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// What was looked at.
    pub looked_at: u64,
    /// How many differ in each way.
    pub totals: BTreeMap<Difference, u64>,
    /// Accounts and domains, and how often.
    #[serde(serialize_with = "as_rows")]
    pub rows: BTreeMap<Whom, u64>,
    /// Rows that were left out, because there were too many.
    pub left_out: u64,
}

fn as_rows<S: serde::Serializer>(rows: &BTreeMap<Whom, u64>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Row<'r> {
        #[serde(flatten)]
        whom: &'r Whom,
        count: u64,
    }
    to.collect_seq(rows.iter().map(|(whom, count)| Row {
        whom,
        count: *count,
    }))
}

/// Whether rules that are not enforced count as they are or as if they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// As they are now.
    AsTheyAre,
    /// Every rule of the changed set as if it were enforced.
    AllEnforced,
}

/// A comparison under way.
pub struct Replay {
    present: Compiled,
    changed: Compiled,
    /// Counters of the rates in each.
    rates: [Rates; 2],
    report: Report,
}

impl Replay {
    /// Compares `changed` with `present`. Which stage a rule is at is decided as of `now`, whatever day a case is of;
    /// times of the day and days of the week are those of the case.
    pub fn new(
        present: &RuleSet,
        changed: &RuleSet,
        stages: Stages,
        zone: &Zone,
        now: Timestamp,
    ) -> Self {
        let ready = |set: &RuleSet, stages| {
            let rules = set
                .rules()
                .iter()
                .map(|rule| settled(rule, stages, zone, now));
            let set = RuleSet::new(rules.collect()).unwrap_or_default();
            Compiled::new(std::sync::Arc::new(set), zone, 0)
        };
        Self {
            present: ready(present, Stages::AsTheyAre),
            changed: ready(changed, stages),
            rates: Default::default(),
            report: Report::default(),
        }
    }

    /// Looks at one case.
    pub fn look(&mut self, recorded: &Recorded) {
        self.report.looked_at += 1;
        let now = Timestamp(recorded.at);
        for point in points(recorded) {
            let prepared = recorded.case.prepare(recorded.salt);
            let found = prepared.at(*point, |facts| {
                let [of_present, of_changed] = &self.rates;
                // A session passes its earlier points once, but each of its recipients was recorded.
                let counted = *point == recorded.point;
                let came_of = |rules, rates| {
                    let decision = evaluate(rules, *point, facts, now);
                    let stopped =
                        stopped(&decision, *point, facts, counted.then_some((rates, now)));
                    CameOf { decision, stopped }
                };
                let before = came_of(&self.present, of_present);
                let after = came_of(&self.changed, of_changed);
                difference(&before, &after, *point, counted)
            });
            if let Some((difference, rule)) = found {
                self.add(&recorded.case, difference, rule, *point);
                return;
            }
        }
    }

    fn add(&mut self, case: &Case, difference: Difference, rule: String, point: Point) {
        *self.report.totals.entry(difference).or_default() += 1;
        let to: BTreeSet<_> = case
            .recipients
            .iter()
            .map(|r| domain_of(&r.address))
            .collect();
        let to: Vec<_> = to.into_iter().take(5).collect();
        let whom = Whom {
            difference,
            who: match (&case.account, &case.sender) {
                (Some(account), _) => account.clone(),
                (None, Some(sender)) => domain_of(sender),
                (None, None) => String::new(),
            },
            to: to.join(" "),
            rule,
            point: point.word(),
        };
        if self.report.rows.len() < ROWS_MAX || self.report.rows.contains_key(&whom) {
            *self.report.rows.entry(whom).or_default() += 1;
        } else {
            self.report.left_out += 1;
        }
    }

    /// What was found.
    pub fn finish(self) -> Report {
        self.report
    }
}

/// The points a recorded case stands for. A recipient's stands for all before it, a message's for what comes after
/// its recipients were taken.
fn points(recorded: &Recorded) -> &'static [Point] {
    use Point::{Auth, Connect, Data, Deliver, Hello, Mail, Rcpt, Route};
    match recorded.point {
        Connect => &[Connect],
        Hello => &[Connect, Hello],
        Auth => &[Connect, Hello, Auth],
        Mail => &[Connect, Hello, Mail],
        Rcpt => &[Connect, Hello, Mail, Rcpt],
        Data | Route | Deliver => &[Data, Route, Deliver],
    }
}

/// The rule with the stage it is at now.
fn settled(rule: &Rule, stages: Stages, zone: &Zone, now: Timestamp) -> Rule {
    let mut rule = rule.clone();
    let timeline = Timeline::new(&rule.schedule, zone, "");
    let nobody = Sender {
        account: None,
        domain: "",
        group: None,
    };
    let stage = match stages {
        Stages::AllEnforced => Stage::Enforce,
        Stages::AsTheyAre if rule.schedule.canary.is_some() => return rule,
        Stages::AsTheyAre => timeline.stage(&nobody, now),
    };
    rule.schedule = Schedule::always(stage);
    rule
}

/// A decision, and what stops the case by it.
struct CameOf<'r> {
    decision: Decision<'r>,
    stopped: Option<Acting<'r>>,
}

/// What stops a case, in the order of the rules: TLS it does not have, a rate that is used up, or the ruling.
fn stopped<'r>(
    decision: &Decision<'r>,
    point: Point,
    facts: &Facts<'_>,
    rates: Option<(&Rates, Timestamp)>,
) -> Option<Acting<'r>> {
    let mut actions = decision.actions.iter();
    let demand = actions.find(|acting| match acting.action {
        Action::RequireTls { lowest, .. } => point != Point::Deliver && !facts.has_tls(lowest.0),
        Action::Rate { .. } => {
            rates.is_some_and(|(rates, now)| rates.count(acting, facts, now) != Room::Left)
        }
        _ => false,
    });
    let ruling = || {
        decision
            .ruling
            .filter(|ruling| *ruling.action != Action::Accept)
    };
    demand.copied().or_else(ruling)
}

/// How two decisions differ, and the rule that makes the difference.
fn difference(
    before: &CameOf<'_>,
    after: &CameOf<'_>,
    point: Point,
    counted: bool,
) -> Option<(Difference, String)> {
    match (before.stopped, after.stopped) {
        (None, Some(acting)) => return Some((Difference::Refused, acting.rule.name.clone())),
        (Some(acting), None) => {
            return Some((Difference::NoLongerRefused, acting.rule.name.clone()));
        }
        (Some(old), Some(new)) => {
            let differs = old.action != new.action;
            return differs.then(|| (Difference::Changed, new.rule.name.clone()));
        }
        (None, None) => {}
    }
    // A demand that is met and a rate that is not used up change nothing.
    let matters = |action: &Action| match action {
        Action::RequireTls { .. } => point == Point::Deliver,
        Action::Rate { .. } => !counted,
        _ => true,
    };
    let (before, after) = (&before.decision, &after.decision);
    let actions = |decision: &Decision<'_>| -> Vec<_> {
        let all = decision.actions.iter();
        all.filter(|acting| matters(acting.action))
            .map(|acting| (acting.action.clone(), acting.rule.name.clone()))
            .collect()
    };
    let (old, new) = (actions(before), actions(after));
    let what = |all: &[(Action, String)]| -> Vec<Action> {
        all.iter().map(|(action, _)| action.clone()).collect()
    };
    if what(&old) != what(&new) {
        let differs = new
            .iter()
            .find(|(action, _)| !old.iter().any(|(a, _)| a == action));
        let gone = old
            .iter()
            .find(|(action, _)| !new.iter().any(|(a, _)| a == action));
        let rule = differs
            .or(gone)
            .or(new.first())
            .map_or("", |(_, rule)| rule);
        return Some((Difference::Changed, rule.to_owned()));
    }
    let same = |rule: &Rule| before.undecided.contains(&rule);
    let open = after.undecided.iter().find(|rule| !same(rule));
    open.map(|rule| (Difference::CannotBeTold, rule.name.clone()))
}
