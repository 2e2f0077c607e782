//! What follows from conditions: can one hold at all, and does one hold wherever another does? Sound, not complete:
//! what it says is so, and where a condition is too large or too odd it says nothing. Pure; the linter asks.

use super::check::{Check, VERSIONS};
use super::compiled::Node;
use super::condition::Condition;
use super::fact::Fact;
use platform::net::Network;

/// Conjunctions a condition may come apart into; beyond that nothing is said about it.
const CONJUNCTIONS_MAX: usize = 128;

/// Values of one test that are taken as ways of their own.
const VALUES_SPLIT_MAX: usize = 8;

/// A test, or that it does not hold.
#[derive(Debug, Clone)]
struct Literal {
    fact: Fact,
    check: Check,
    sign: Sign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Holds,
    Fails,
}

impl Sign {
    fn turned(self) -> Self {
        match self {
            Self::Holds => Self::Fails,
            Self::Fails => Self::Holds,
        }
    }
}

/// The ways in which a condition can hold; each is a list of literals that hold together.
pub(super) struct Ways(Vec<Vec<Literal>>);

impl Ways {
    /// `None` where there are too many.
    pub(super) fn of(condition: &Condition) -> Option<Self> {
        let mut ways = ways(&Node::of(condition), Sign::Holds)?;
        ways.retain(|way| !contradicts_itself(way));
        Some(Self(ways))
    }

    /// Whether it can never hold.
    pub(super) fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `other` holds wherever this does.
    pub(super) fn implies(&self, other: &Self) -> bool {
        self.0.iter().all(|way| {
            other.0.iter().any(|wider| {
                (wider.iter()).all(|wanted| way.iter().any(|given| implies(given, wanted)))
            })
        })
    }
}

fn ways(node: &Node, sign: Sign) -> Option<Vec<Vec<Literal>>> {
    match (node, sign) {
        (Node::Always, Sign::Holds) => Some(vec![Vec::new()]),
        (Node::Always, Sign::Fails) => Some(Vec::new()),
        (Node::Not(one), _) => ways(one, sign.turned()),
        (Node::Test(fact, check), _) => {
            let literal = |check| Literal {
                fact: fact.clone(),
                check,
                sign,
            };
            Some(match (sign, singles(check)) {
                (Sign::Holds, Some(all)) => all.into_iter().map(|one| vec![literal(one)]).collect(),
                _ => vec![vec![literal(check.clone())]],
            })
        }
        (Node::All(all), Sign::Holds) | (Node::Any(all), Sign::Fails) => {
            let mut product = vec![Vec::new()];
            for one in all {
                let more = ways(one, sign)?;
                if product.len() * more.len() > CONJUNCTIONS_MAX {
                    return None;
                }
                let joined = product.iter().flat_map(|left: &Vec<Literal>| {
                    more.iter()
                        .map(move |right| [&left[..], &right[..]].concat())
                });
                product = joined.collect();
            }
            Some(product)
        }
        (Node::Any(all), Sign::Holds) | (Node::All(all), Sign::Fails) => {
            let mut sum = Vec::new();
            for one in all {
                sum.extend(ways(one, sign)?);
                if sum.len() > CONJUNCTIONS_MAX {
                    return None;
                }
            }
            Some(sum)
        }
    }
}

/// "One of a few" is a way for each of them.
fn singles(check: &Check) -> Option<Vec<Check>> {
    let few = |count: usize| (2..=VALUES_SPLIT_MAX).contains(&count);
    match check {
        Check::TextIs(all) if few(all.len()) => Some(
            all.iter()
                .map(|one| Check::TextIs([one.clone()].into()))
                .collect(),
        ),
        Check::Numbers(all) if few(all.len()) => {
            Some(all.iter().map(|one| Check::Number(*one, *one)).collect())
        }
        Check::VersionIs(all) if few(all.len()) => Some(
            all.iter()
                .map(|one| Check::VersionIs([*one].into()))
                .collect(),
        ),
        _ => None,
    }
}

fn contradicts_itself(way: &[Literal]) -> bool {
    way.iter().enumerate().any(|(place, one)| {
        let later = way.iter().skip(place + 1);
        later.into_iter().any(|other| {
            let denied = Literal {
                sign: other.sign.turned(),
                ..other.clone()
            };
            implies(one, &denied)
        })
    })
}

/// Facts of which a message has several at once, so that two values do not exclude each other.
fn is_several(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Recipient
            | Fact::RecipientDomain
            | Fact::RecipientGroup
            | Fact::Header(_)
            | Fact::Tag
    )
}

fn implies(given: &Literal, wanted: &Literal) -> bool {
    if given.fact != wanted.fact {
        return follows(given, wanted);
    }
    match (given.sign, wanted.sign) {
        (Sign::Holds, Sign::Holds) => within(&given.check, &wanted.check),
        (Sign::Fails, Sign::Fails) => within(&wanted.check, &given.check),
        (Sign::Holds, Sign::Fails) => {
            !is_several(&given.fact) && apart(&given.check, &wanted.check)
        }
        (Sign::Fails, Sign::Holds) => matches!(
            (&given.check, &wanted.check),
            (Check::Flag(a), Check::Flag(b)) if a != b
        ),
    }
}

/// What follows about one fact from another.
fn follows(given: &Literal, wanted: &Literal) -> bool {
    let flag = |literal: &Literal, value: bool| {
        literal.check == Check::Flag(value) && literal.sign == Sign::Holds
            || literal.check == Check::Flag(!value) && literal.sign == Sign::Fails
    };
    let holds = |literal: &Literal| literal.sign == Sign::Holds;
    match (&given.fact, &wanted.fact) {
        (Fact::TlsVersion | Fact::Cipher, Fact::Tls) => holds(given) && flag(wanted, true),
        (Fact::Tls, Fact::TlsVersion | Fact::Cipher) => flag(given, false) && !holds(wanted),
        (Fact::Account | Fact::AccountGroup, Fact::Authenticated) => {
            holds(given) && flag(wanted, true)
        }
        (Fact::Authenticated, Fact::Account | Fact::AccountGroup) => {
            flag(given, false) && !holds(wanted)
        }
        (Fact::Sender, Fact::SenderDomain) | (Fact::Recipient, Fact::RecipientDomain) => {
            let Check::TextIs(all) = &given.check else {
                return false;
            };
            let mut domains = all.iter().map(|address| {
                let at = address.rsplit_once('@');
                at.map_or("", |(_, domain)| domain)
            });
            holds(given) && holds(wanted) && domains.all(|domain| wanted.check.text_holds(domain))
        }
        _ => false,
    }
}

/// Whether whatever fits `narrow` fits `wide`.
fn within(narrow: &Check, wide: &Check) -> bool {
    use Check::{Networks, Present, TextBegins, TextContains, TextEnds, TextIs};
    if narrow == wide {
        return true;
    }
    if let (Some(narrow), Some(wide)) = (ranges(narrow), ranges(wide)) {
        let inside = |(from, to): &(u64, u64)| wide.iter().any(|(f, t)| f <= from && to <= t);
        return narrow.iter().all(inside);
    }
    match (narrow, wide) {
        (TextIs(all), _) => all.iter().all(|text| wide.text_holds(text)),
        (_, Present) => true,
        (TextBegins(text), TextBegins(_) | TextContains(_))
        | (TextEnds(text), TextEnds(_) | TextContains(_))
        | (TextContains(text), TextContains(_)) => wide.text_holds(text),
        (Networks(all), Networks(wide)) => {
            (all.iter()).all(|narrow| wide.iter().any(|wide| network_within(narrow, wide)))
        }
        _ => false,
    }
}

/// Whether nothing fits both.
fn apart(one: &Check, other: &Check) -> bool {
    use Check::{Networks, TextBegins, TextEnds, TextIs};
    if let (Some(one), Some(other)) = (ranges(one), ranges(other)) {
        let beside = |(f, t): &(u64, u64)| other.iter().all(|(from, to)| t < from || to < f);
        return one.iter().all(beside);
    }
    match (one, other) {
        (TextIs(all), other) | (other, TextIs(all)) => {
            !all.iter().any(|text| other.text_holds(text))
        }
        (TextEnds(_), TextEnds(_)) | (TextBegins(_), TextBegins(_)) => {
            !within(one, other) && !within(other, one)
        }
        (Networks(one), Networks(other)) => one
            .iter()
            .all(|a| (other.iter()).all(|b| !network_within(a, b) && !network_within(b, a))),
        _ => false,
    }
}

fn network_within(narrow: &Network, wide: &Network) -> bool {
    wide.contains(narrow.address()) && narrow.prefix_bits() >= wide.prefix_bits()
}

/// The numbers a check means, both ends counted in; `None` where it means no numbers.
fn ranges(check: &Check) -> Option<Vec<(u64, u64)>> {
    let minute = u64::from;
    Some(match check {
        Check::Flag(flag) => vec![(u64::from(*flag), u64::from(*flag))],
        Check::Number(from, to) => vec![(*from, *to)],
        Check::Numbers(all) => all.iter().map(|n| (*n, *n)).collect(),
        Check::Versions(from, to) => {
            let at = |wanted| VERSIONS.iter().position(|(_, version)| *version == wanted);
            vec![(at(*from)? as u64, at(*to)? as u64)]
        }
        Check::VersionIs(all) => {
            let at = |wanted| VERSIONS.iter().position(|(_, version)| *version == wanted);
            let places = all
                .iter()
                .map(|version| at(*version).map(|n| (n as u64, n as u64)));
            places.collect::<Option<_>>()?
        }
        Check::Minutes(from, to) if from < to => vec![(minute(*from), minute(*to) - 1)],
        Check::Minutes(from, 0) => vec![(minute(*from), 1439)],
        Check::Minutes(from, to) => vec![(minute(*from), 1439), (0, minute(*to) - 1)],
        Check::Days(days) => (0..7)
            .filter(|day| days & (1 << day) != 0)
            .map(|day| (day, day))
            .collect(),
        _ => return None,
    })
}
