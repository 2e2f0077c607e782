//! One test made ready: its value read once, so that comparing costs neither parsing nor allocation. Three-valued:
//! what is not known is neither true nor false. Pure.

use super::condition::{Op, Test, Value};
use super::fact::Kind;
use super::facts::{HeaderValue, Known, hash_of};
use super::rule::shown;
use platform::net::Network;
use platform::tls::TlsVersion;
use std::net::IpAddr;

/// Stars of one pattern; each can make matching look at the text once more.
const STARS_MAX: usize = 8;

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// A fact it depends on is not known.
    Unknown,
}

impl Truth {
    pub(super) fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Yes where all are, No where one is.
    pub(super) fn all(each: impl Iterator<Item = Self>) -> Self {
        Self::all_until(each, Self::No)
    }

    /// Yes where one is, No where all are.
    pub(super) fn any(each: impl Iterator<Item = Self>) -> Self {
        Self::all_until(each, Self::Yes)
    }

    fn all_until(each: impl Iterator<Item = Self>, decides: Self) -> Self {
        let mut truth = !decides;
        for one in each {
            if one == decides {
                return decides;
            }
            if one == Self::Unknown {
                truth = Self::Unknown;
            }
        }
        truth
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    /// The opposite; what is not known stays so.
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// A test's value, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Check {
    Present,
    Flag(bool),
    /// From and to, both counted in.
    Number(u64, u64),
    Numbers(Box<[u64]>),
    /// One of these, in lower case, in order.
    TextIs(Box<[Box<str>]>),
    TextBegins(Box<str>),
    TextEnds(Box<str>),
    TextContains(Box<str>),
    TextMatches(Box<str>),
    Networks(Box<[Network]>),
    /// From and to, both counted in.
    Versions(TlsVersion, TlsVersion),
    VersionIs(Box<[TlsVersion]>),
    /// From (counted in) and to (not), minutes after midnight; the first may be the later one.
    Minutes(u16, u16),
    /// Bit 0 is Monday.
    Days(u8),
}

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

pub(super) const VERSIONS: [(&str, TlsVersion); 4] = [
    ("1.0", TlsVersion::V1_0),
    ("1.1", TlsVersion::V1_1),
    ("1.2", TlsVersion::V1_2),
    ("1.3", TlsVersion::V1_3),
];

impl Check {
    /// Reads a test's value.
    ///
    /// # Errors
    /// Where the value does not fit the fact and the operator, in words for whoever wrote it.
    pub(super) fn of(test: &Test) -> Result<Self, String> {
        let Some(value) = &test.value else {
            return Ok(Self::Present);
        };
        let wrong = |what: &str| format!("\"{} {}\" needs {what}", test.fact, test.op.word());
        match test.fact.kind() {
            Kind::Flag => match value {
                Value::Flag(flag) => Ok(Self::Flag(*flag)),
                _ => Err(wrong("true or false")),
            },
            Kind::Number => number(test.op, value).ok_or_else(|| wrong("a number")),
            Kind::Text => text(test.op, value, &wrong),
            Kind::Address => {
                let networks = value.texts().iter().map(|text| text.parse::<Network>());
                let networks = networks.collect::<Result<Box<[_]>, _>>();
                let networks = networks.map_err(|error| error.to_string())?;
                some(networks, &wrong, "a network such as 192.0.2.0/24").map(Self::Networks)
            }
            Kind::Version => version(test.op, value)
                .ok_or_else(|| wrong("a TLS version: \"1.0\", \"1.1\", \"1.2\" or \"1.3\"")),
            Kind::Time => time(test.op, value)
                .ok_or_else(|| wrong("a time such as \"06:30\", or \"22:00-06:00\" for within")),
            Kind::Weekday => {
                let mut days = 0;
                for text in value.texts() {
                    let day = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
                    let day = day.ok_or_else(|| wrong("a day such as \"monday\""))?;
                    days |= 1 << day;
                }
                (days != 0)
                    .then_some(Self::Days(days))
                    .ok_or_else(|| wrong("a day such as \"monday\""))
            }
        }
    }

    pub(super) fn flag(&self, known: Known<bool>) -> Truth {
        self.on(known, |value| {
            Truth::of(matches!(self, Self::Flag(wanted) if *wanted == value))
        })
    }

    pub(super) fn number(&self, known: Known<u64>) -> Truth {
        self.on(known, |value| {
            Truth::of(match self {
                Self::Number(from, to) => (*from..=*to).contains(&value),
                Self::Numbers(all) => all.contains(&value),
                _ => false,
            })
        })
    }

    pub(super) fn address(&self, known: Known<IpAddr>) -> Truth {
        self.on(known, |value| {
            Truth::of(match self {
                Self::Networks(all) => all.iter().any(|network| network.contains(value)),
                Self::Present => true,
                _ => false,
            })
        })
    }

    pub(super) fn version(&self, known: Known<TlsVersion>) -> Truth {
        self.on(known, |value| {
            Truth::of(match self {
                Self::Versions(from, to) => *from <= value && value <= *to,
                Self::VersionIs(all) => all.contains(&value),
                Self::Present => true,
                _ => false,
            })
        })
    }

    pub(super) fn minute(&self, known: Known<u16>) -> Truth {
        self.on(known, |value| {
            Truth::of(match self {
                Self::Minutes(from, to) if from < to => (*from..*to).contains(&value),
                Self::Minutes(from, to) => value >= *from || value < *to,
                _ => false,
            })
        })
    }

    pub(super) fn weekday(&self, known: Known<u8>) -> Truth {
        self.on(known, |value| {
            Truth::of(matches!(self, Self::Days(days) if days & (1 << value) != 0))
        })
    }

    pub(super) fn text(&self, known: Known<&str>) -> Truth {
        self.on(known, |value| Truth::of(self.text_holds(value)))
    }

    /// A value of which perhaps only the hash is known.
    pub(super) fn header(&self, value: &HeaderValue, salt: u64) -> Truth {
        match (value, self) {
            (HeaderValue::Text(text), _) => Truth::of(self.text_holds(text)),
            (HeaderValue::Hashed(_), Self::Present) => Truth::Yes,
            (HeaderValue::Hashed(hash), Self::TextIs(all)) => {
                Truth::of(all.iter().any(|text| hash_of(text, salt) == *hash))
            }
            (HeaderValue::Hashed(_), _) => Truth::Unknown,
        }
    }

    fn on<T>(&self, known: Known<T>, holds: impl FnOnce(T) -> Truth) -> Truth {
        match known {
            Known::Unknown => Truth::Unknown,
            Known::Absent => Truth::No,
            Known::Is(value) => holds(value),
        }
    }

    pub(super) fn text_holds(&self, value: &str) -> bool {
        let bytes = value.as_bytes();
        match self {
            Self::Present => !value.is_empty(),
            Self::TextIs(all) => all.iter().any(|text| text.eq_ignore_ascii_case(value)),
            Self::TextBegins(text) => (bytes.get(..text.len()))
                .is_some_and(|head| head.eq_ignore_ascii_case(text.as_bytes())),
            Self::TextEnds(text) => (bytes.len().checked_sub(text.len()))
                .and_then(|at| bytes.get(at..))
                .is_some_and(|tail| tail.eq_ignore_ascii_case(text.as_bytes())),
            Self::TextContains(text) => contains(bytes, text.as_bytes()),
            Self::TextMatches(pattern) => matches(pattern.as_bytes(), bytes),
            _ => false,
        }
    }
}

fn some<T>(
    values: Box<[T]>,
    wrong: &impl Fn(&str) -> String,
    what: &str,
) -> Result<Box<[T]>, String> {
    if values.is_empty() {
        return Err(wrong(what));
    }
    Ok(values)
}

fn number(op: Op, value: &Value) -> Option<Check> {
    let one = match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    match op {
        Op::Below => Some(Check::Number(0, one?.checked_sub(1)?)),
        Op::Above => Some(Check::Number(one?.checked_add(1)?, u64::MAX)),
        _ => match (one, value) {
            (Some(one), _) => Some(Check::Number(one, one)),
            (None, Value::List(all)) if !all.is_empty() => {
                let numbers = all.iter().map(|text| text.parse().ok());
                numbers.collect::<Option<Box<[u64]>>>().map(Check::Numbers)
            }
            _ => None,
        },
    }
}

fn text(op: Op, value: &Value, wrong: &impl Fn(&str) -> String) -> Result<Check, String> {
    let lower = |text: &String| text.to_ascii_lowercase().into_boxed_str();
    let one = || match value {
        Value::Text(text) if !text.is_empty() => Ok(lower(text)),
        _ => Err(wrong("a text")),
    };
    Ok(match op {
        Op::BeginsWith => Check::TextBegins(one()?),
        Op::EndsWith => Check::TextEnds(one()?),
        Op::Contains => Check::TextContains(one()?),
        Op::Matches => {
            let pattern = one()?;
            if pattern.bytes().filter(|b| *b == b'*').count() > STARS_MAX {
                return Err(format!(
                    "\"{}\" has more than {STARS_MAX} stars",
                    shown(&pattern)
                ));
            }
            Check::TextMatches(pattern)
        }
        _ => {
            let mut all: Vec<_> = value.texts().iter().map(lower).collect();
            all.sort_unstable();
            all.dedup();
            Check::TextIs(some(all.into(), wrong, "a text")?)
        }
    })
}

fn version(op: Op, value: &Value) -> Option<Check> {
    let read = |text: &String| {
        let mut known = VERSIONS.iter().filter(|(word, _)| word == text);
        known.next().map(|(_, version)| *version)
    };
    let all = value
        .texts()
        .iter()
        .map(read)
        .collect::<Option<Box<[_]>>>()?;
    let first = *all.first()?;
    let beside = |step: isize| {
        let at = VERSIONS.iter().position(|(_, version)| *version == first)?;
        VERSIONS.get(at.checked_add_signed(step)?).map(|(_, v)| *v)
    };
    Some(match op {
        Op::Below => Check::Versions(TlsVersion::V1_0, beside(-1)?),
        Op::Above => Check::Versions(beside(1)?, TlsVersion::V1_3),
        _ => Check::VersionIs(all),
    })
}

fn time(op: Op, value: &Value) -> Option<Check> {
    let Value::Text(text) = value else {
        return None;
    };
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let two = |digits: &str, max: u16| {
            let fits = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| digits.parse::<u16>().ok())?
                .filter(|n| *n <= max)
        };
        Some(two(hour, 23)? * 60 + two(minute, 59)?)
    };
    match op {
        Op::Within => {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            (from != to).then_some(Check::Minutes(from, to))
        }
        Op::Below => minute(text)
            .filter(|m| *m > 0)
            .map(|m| Check::Minutes(0, m)),
        Op::Above => {
            let after = minute(text)?.checked_add(1).filter(|m| *m < 1440)?;
            Some(Check::Minutes(after, 1440))
        }
        _ => minute(text).map(|m| Check::Minutes(m, m + 1)),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let mut windows = text.windows(part.len().max(1));
    windows.any(|window| window.eq_ignore_ascii_case(part))
}

/// Whether `text` is what `pattern` describes: `*` any characters, `?` any one byte.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    // Where the last star stands, and up to where it has taken in.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(byte) => {
                at += 1;
                of += 1;
            }
            _ => {
                let Some((star_of, star_at)) = star else {
                    return false;
                };
                star = Some((star_of, star_at + 1));
                of = star_of + 1;
                at = star_at + 1;
            }
        }
    }
    pattern
        .get(of..)
        .is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unknown_gives_way_only_to_what_decides() {
        use Truth::{No, Unknown, Yes};
        for (a, b, all, any) in [
            (Yes, Yes, Yes, Yes),
            (Yes, No, No, Yes),
            (No, Yes, No, Yes),
            (No, No, No, No),
            (Yes, Unknown, Unknown, Yes),
            (Unknown, Yes, Unknown, Yes),
            (No, Unknown, No, Unknown),
            (Unknown, No, No, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            assert_eq!(Truth::all([a, b].into_iter()), all, "{a:?} and {b:?}");
            assert_eq!(Truth::any([a, b].into_iter()), any, "{a:?} or {b:?}");
        }
        assert_eq!((!Yes, !No, !Unknown), (No, Yes, Unknown));
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "ABC", true),
            ("*.test", "firma.test", true),
            ("*.test", "firma.test.", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
            ("", "a", false),
        ] {
            let holds = matches(pattern.as_bytes(), text.as_bytes());
            assert_eq!(holds, expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_of_pieces_of_a_text_matches_it(text in "[a-c]{0,12}", cut in 0usize..12) {
            let cut = cut.min(text.len());
            let (head, tail) = text.split_at(cut);
            let pattern = format!("{head}*{tail}");
            prop_assert!(matches(pattern.as_bytes(), text.as_bytes()));
            let middle = format!("*{tail}");
            prop_assert!(matches(middle.as_bytes(), text.as_bytes()));
        }
    }
}
