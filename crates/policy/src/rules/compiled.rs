//! A set of rules made ready to be asked: for each point the rules asked there, indexed by the one value a rule
//! demands (a recipient's domain, an account ...), so that hundreds of rules about single customers cost as
//! little as a few. Immutable; made when a snapshot is built. Pure.

use super::action::Action;
use super::check::{Check, Truth};
use super::condition::Condition;
use super::fact::Fact;
use super::facts::{Facts, HeaderNames, Known, Recipient, hash_of};
use super::rule::{Point, RULES_MAX, Rule, RuleSet};
use crate::local_time;
use crate::measure::{Timeline, Zone};
use platform::clock::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Words of 64 bits that hold a bit per rule.
const WORDS: usize = RULES_MAX.div_ceil(64);

/// Rules by their place in the set.
pub(super) type Places = [u64; WORDS];

/// A set of rules, ready to be asked.
#[derive(Debug)]
pub struct Compiled {
    set: Arc<RuleSet>,
    rules: Box<[Ready]>,
    points: [Index; Point::ALL.len()],
    headers: HeaderNames,
    changes_headers: bool,
    mentioned: HashSet<Fact>,
    zone: Zone,
    version: i64,
}

#[derive(Debug)]
pub(super) struct Ready {
    pub(super) when: Node,
    pub(super) timeline: Timeline,
}

/// A condition, ready.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Always,
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Test(Fact, Check),
}

/// The rules of one point.
#[derive(Debug, Default)]
struct Index {
    /// Rules that have to be looked at whatever the facts are.
    always: Places,
    /// Rules that hold only where one fact has one of these values.
    by_value: Vec<ByValue>,
    any: bool,
}

#[derive(Debug)]
struct ByValue {
    fact: Fact,
    /// All of them, for when the fact is not known.
    all: Places,
    values: HashMap<u64, Vec<u32>>,
}

impl Default for Compiled {
    fn default() -> Self {
        Self::new(Arc::default(), &Zone::default(), 0)
    }
}

impl Compiled {
    /// Makes a set ready. Dates and times of the day are meant in `zone`; `version` is its number in the store,
    /// 0 for one that is not kept.
    pub fn new(set: Arc<RuleSet>, zone: &Zone, version: i64) -> Self {
        let rules: Box<[Ready]> = (set.rules().iter())
            .map(|rule| Ready {
                when: Node::of(&rule.when),
                timeline: Timeline::new(&rule.schedule, zone, &format!("rule/{}", rule.name)),
            })
            .collect();
        let points = Point::ALL.map(|point| Index::of(&set, &rules, point));
        Self {
            headers: HeaderNames::of(&set),
            changes_headers: (set.rules().iter())
                .any(|rule| rule.then.iter().any(|a| matches!(a, Action::Header { .. }))),
            mentioned: mentioned(&set),
            zone: zone.clone(),
            set,
            rules,
            points,
            version,
        }
    }

    /// The rules.
    pub fn set(&self) -> &Arc<RuleSet> {
        &self.set
    }

    /// The version in the store; 0 where nothing was ever set.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The header fields rules ask about.
    pub fn header_names(&self) -> &HeaderNames {
        &self.headers
    }

    /// Whether the header of a message has to be at hand: a rule asks about it or changes it.
    pub fn needs_header(&self) -> bool {
        self.changes_headers || !self.headers.is_empty()
    }

    /// Whether any rule asks about this fact, so that finding it out is worth something.
    pub fn mentions(&self, fact: &Fact) -> bool {
        self.mentioned.contains(fact)
    }

    /// Whether any rule is asked at this point.
    pub fn asks_at(&self, point: Point) -> bool {
        self.points
            .get(point as usize)
            .is_some_and(|index| index.any)
    }

    /// When the rule with this name is at which stage.
    pub(crate) fn timeline(&self, name: &str) -> Option<&Timeline> {
        let place = (self.set.rules().iter()).position(|rule| rule.name == name)?;
        self.rules.get(place).map(|ready| &ready.timeline)
    }

    pub(super) fn ready(&self, place: usize) -> Option<(&Rule, &Ready)> {
        self.set.rules().get(place).zip(self.rules.get(place))
    }

    /// The places of rules that may hold, in order.
    pub(super) fn candidates(&self, point: Point, facts: &Facts<'_>) -> Candidates {
        let mut places = Places::default();
        if let Some(index) = self.points.get(point as usize) {
            places = index.always;
            for by_value in &index.by_value {
                by_value.add(facts, &mut places);
            }
        }
        Candidates { places, word: 0 }
    }

    /// Minute and day of the week at `now` where the installation is.
    pub(super) fn local(&self, now: Timestamp) -> Local {
        let here = local_time::local(now, self.zone.inner());
        Local {
            minute: here.map_or(Known::Unknown, |at| {
                let minute = i32::from(at.hour()) * 60 + i32::from(at.minute());
                Known::of(u16::try_from(minute).ok())
            }),
            weekday: here.map_or(Known::Unknown, |at| {
                Known::of(u8::try_from(at.weekday().to_monday_zero_offset()).ok())
            }),
        }
    }
}

fn mentioned(set: &RuleSet) -> HashSet<Fact> {
    let mut mentioned = HashSet::new();
    for rule in set.rules() {
        rule.when.each_test(&mut |test| {
            mentioned.insert(test.fact.clone());
        });
        for action in &rule.then {
            if let Action::Rate { by, .. } = action {
                mentioned.extend(by.iter().cloned());
            }
        }
    }
    mentioned
}

/// A time of the day and a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    minute: Known<u16>,
    weekday: Known<u8>,
}

/// What tests look at.
pub(super) struct View<'f> {
    pub(super) facts: &'f Facts<'f>,
    /// Tags set by rules of this asking.
    pub(super) tags: &'f [&'f str],
    pub(super) now: Timestamp,
    pub(super) compiled: &'f Compiled,
}

impl Node {
    pub(super) fn of(condition: &Condition) -> Self {
        let each = |all: &[Condition]| all.iter().map(Self::of).collect();
        match condition {
            _ if condition.is_always() => Self::Always,
            Condition::All(all) => Self::All(each(all)),
            Condition::Any(all) => Self::Any(each(all)),
            Condition::Not(one) => Self::Not(Box::new(Self::of(one))),
            Condition::Test(test) => match Check::of(test) {
                Ok(check) => Self::Test(test.fact.clone(), check),
                // Conditions are checked when they are read; one that cannot be is never true.
                Err(_) => Self::Any(Box::default()),
            },
        }
    }

    /// Whether it holds.
    pub(super) fn truth(&self, view: &View<'_>) -> Truth {
        match self {
            Self::Always => Truth::Yes,
            Self::All(all) => Truth::all(all.iter().map(|one| one.truth(view))),
            Self::Any(all) => Truth::any(all.iter().map(|one| one.truth(view))),
            Self::Not(one) => !one.truth(view),
            Self::Test(fact, check) => truth(fact, check, view),
        }
    }

    /// The value a rule with this condition demands, if it is one of few.
    fn demands(&self) -> Option<(&Fact, &[Box<str>])> {
        match self {
            Self::Test(fact, Check::TextIs(values)) if indexed(fact) => Some((fact, values)),
            Self::All(all) => all.iter().find_map(Self::demands),
            _ => None,
        }
    }
}

/// Facts by whose values rules are indexed. Tags are not: they change while rules are asked.
fn indexed(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Account
            | Fact::AccountGroup
            | Fact::Sender
            | Fact::SenderDomain
            | Fact::Recipient
            | Fact::RecipientDomain
            | Fact::RecipientGroup
            | Fact::Service
            | Fact::Hello
    )
}

impl Index {
    fn of(set: &RuleSet, rules: &[Ready], point: Point) -> Self {
        let mut index = Self::default();
        for (place, (rule, ready)) in set.rules().iter().zip(rules).enumerate() {
            if !rule.at.contains(&point) {
                continue;
            }
            index.any = true;
            match ready.when.demands() {
                Some((fact, values)) => index.by_value(fact).insert(values, place),
                None => set_bit(&mut index.always, place),
            }
        }
        index
    }

    fn by_value(&mut self, fact: &Fact) -> &mut ByValue {
        let at = self.by_value.iter().position(|by| by.fact == *fact);
        let at = at.unwrap_or_else(|| {
            self.by_value.push(ByValue {
                fact: fact.clone(),
                all: Places::default(),
                values: HashMap::new(),
            });
            self.by_value.len() - 1
        });
        &mut self.by_value[at]
    }
}

impl ByValue {
    fn insert(&mut self, values: &[Box<str>], place: usize) {
        set_bit(&mut self.all, place);
        for value in values {
            let places = self.values.entry(hash_of(value, 0)).or_default();
            places.push(u32::try_from(place).unwrap_or(u32::MAX));
        }
    }

    fn add(&self, facts: &Facts<'_>, places: &mut Places) {
        let mut one = |known: Known<&str>| match known {
            Known::Absent => {}
            Known::Is(value) => {
                for place in self.values.get(&hash_of(value, 0)).into_iter().flatten() {
                    set_bit(places, *place as usize);
                }
            }
            Known::Unknown => {
                for (word, all) in places.iter_mut().zip(&self.all) {
                    *word |= all;
                }
            }
        };
        match recipients_part(&self.fact) {
            None => one(text_of(&self.fact, facts)),
            Some(part) => match facts.recipients {
                Known::Is(all) => all.iter().for_each(|recipient| one(part(recipient))),
                Known::Absent => {}
                Known::Unknown => one(Known::Unknown),
            },
        }
    }
}

fn set_bit(places: &mut Places, place: usize) {
    if let Some(word) = places.get_mut(place / 64) {
        *word |= 1 << (place % 64);
    }
}

/// Walks places in order.
pub(super) struct Candidates {
    places: Places,
    word: usize,
}

impl Iterator for Candidates {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let word = self.places.get_mut(self.word)?;
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(self.word * 64 + bit);
            }
            self.word += 1;
        }
    }
}

type Part = for<'r> fn(&Recipient<'r>) -> Known<&'r str>;

fn recipients_part(fact: &Fact) -> Option<Part> {
    match fact {
        Fact::Recipient => Some(|r| r.address),
        Fact::RecipientDomain => Some(|r| Known::Is(r.domain)),
        Fact::RecipientGroup => Some(|r| r.group),
        _ => None,
    }
}

/// The value of a fact that is one text.
pub(super) fn text_of<'f>(fact: &Fact, facts: &Facts<'f>) -> Known<&'f str> {
    match fact {
        Fact::ReverseName => facts.reverse_name,
        Fact::Service => facts.service,
        Fact::Door => facts.door.map(crate::measure::Door::word),
        Fact::Cipher => facts.tls.map(|tls| tls.cipher),
        Fact::Program => facts.program,
        Fact::Hello => facts.hello,
        Fact::Mechanism => facts.mechanism,
        Fact::Account => facts.account,
        Fact::AccountGroup => facts.account_group,
        Fact::Direction => facts.way.map(super::Way::word),
        Fact::Sender => facts.sender,
        Fact::SenderDomain => facts.sender_domain,
        _ => Known::Unknown,
    }
}

fn present<T>(known: &Known<T>) -> Known<bool> {
    match known {
        Known::Unknown => Known::Unknown,
        Known::Absent => Known::Is(false),
        Known::Is(_) => Known::Is(true),
    }
}

fn truth(fact: &Fact, check: &Check, view: &View<'_>) -> Truth {
    let facts = view.facts;
    match fact {
        Fact::Client => check.address(facts.client),
        Fact::Port => check.number(facts.port.map(u64::from)),
        Fact::Tls => check.flag(present(&facts.tls)),
        Fact::TlsVersion => check.version(facts.tls.map(|tls| tls.version)),
        // Of what leaves the queue knows the account's number, not its name.
        Fact::Authenticated if facts.account_number.is_some() => check.flag(Known::Is(true)),
        Fact::Authenticated => check.flag(present(&facts.account)),
        Fact::Size => check.number(facts.size),
        Fact::Recipients => check.number(facts.recipients.map(|all| all.len() as u64)),
        Fact::Recipient | Fact::RecipientDomain | Fact::RecipientGroup => {
            let Some(part) = recipients_part(fact) else {
                return Truth::Unknown;
            };
            match facts.recipients {
                Known::Unknown => Truth::Unknown,
                Known::Absent => Truth::No,
                Known::Is(all) => Truth::any(all.iter().map(|r| check.text(part(r)))),
            }
        }
        Fact::Header(name) => match facts.headers {
            Known::Unknown => Truth::Unknown,
            Known::Absent => Truth::No,
            Known::Is(headers) if !headers.knows(name) => Truth::Unknown,
            Known::Is(headers) => {
                let each = headers.values(name);
                Truth::any(each.map(|value| check.header(value, headers.salt)))
            }
        },
        Fact::HeaderCount(name) => {
            let known = match facts.headers {
                Known::Is(headers) if !headers.knows(name) => Known::Unknown,
                headers => headers.map(|h| h.values(name).count() as u64),
            };
            check.number(known)
        }
        Fact::Tag => {
            let earlier = facts.tags.iter().map(|tag| &**tag);
            let mut all = earlier.chain(view.tags.iter().copied());
            Truth::of(all.any(|tag| check.text_holds(tag)))
        }
        Fact::Time => check.minute(view.compiled.local(view.now).minute),
        Fact::Weekday => check.weekday(view.compiled.local(view.now).weekday),
        _ => check.text(text_of(fact, facts)),
    }
}
