//! Conditions as data: tests of single facts, joined by ALL, ANY and NOT. Read from JSON and TOML, shown in
//! words. Never evaluated here: `compiled` makes something fast of them.

use super::fact::{Fact, Kind};
use super::rule::shown;
use formats::language::Language;
use serde::{Deserialize, Serialize};

/// Nesting of one condition.
pub const DEPTH_MAX: usize = 8;
/// Tests and groups in one condition.
pub const PARTS_MAX: usize = 64;
/// Values one test is compared with.
pub(super) const VALUES_MAX: usize = 200;
/// Longest text a fact is compared with, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 500;

/// When a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Condition {
    /// Each of these; none: always.
    All(Vec<Condition>),
    /// At least one of these; never empty but at the top, where it means always.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// One fact.
    Test(Test),
}

impl Default for Condition {
    /// Always.
    fn default() -> Self {
        Self::All(Vec::new())
    }
}

/// One fact compared with something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// What is looked at.
    pub fact: Fact,
    /// How.
    pub op: Op,
    /// With what; `None` for `present`.
    pub value: Option<Value>,
}

/// What a fact is compared with, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(u64),
    /// A text; also networks, versions, times and days.
    Text(String),
    /// Several of them.
    List(Vec<String>),
}

impl Value {
    /// Its texts; empty for flags and numbers.
    pub(super) fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::List(texts) => texts,
            Self::Flag(_) | Self::Number(_) => &[],
        }
    }
}

macro_rules! ops {
    ($($name:ident $word:literal $en:literal $de:literal;)*) => {
        /// How a fact is compared.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Op {
            $(#[doc = $en] $name,)*
        }

        impl Op {
            /// Every operator.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word in rules.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// For people.
            pub fn says(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::English) => $en, (Self::$name, Language::German) => $de,)*
                }
            }
        }
    };
}

ops! {
    Is "is" "is" "ist";
    IsOneOf "is-one-of" "is one of" "ist eines von";
    BeginsWith "begins-with" "begins with" "beginnt mit";
    EndsWith "ends-with" "ends with" "endet mit";
    Contains "contains" "contains" "enthält";
    Matches "matches" "matches" "passt auf";
    Below "below" "is below" "ist kleiner als";
    Above "above" "is above" "ist größer als";
    InNetwork "in-network" "is in the network" "liegt im Netz";
    Within "within" "is within" "liegt zwischen";
    Present "present" "is there" "ist vorhanden";
}

impl Op {
    /// Whether it can be asked of a fact of this kind.
    pub fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Is | Self::IsOneOf => true,
            Self::Present => matches!(kind, Kind::Text | Kind::Version | Kind::Address),
            Self::BeginsWith | Self::EndsWith | Self::Contains | Self::Matches => {
                kind == Kind::Text
            }
            Self::Below | Self::Above => {
                matches!(kind, Kind::Number | Kind::Version | Kind::Time)
            }
            Self::InNetwork => kind == Kind::Address,
            Self::Within => kind == Kind::Time,
        }
    }
}

/// A condition as it stands in JSON and TOML: exactly one of the groups, or a test, or nothing (always).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<Vec<Written>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any: Option<Vec<Written>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not: Option<Box<Written>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<Op>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

impl TryFrom<Written> for Condition {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let mut parts = 0;
        read(written, 0, &mut parts)
    }
}

fn read(written: Written, depth: usize, parts: &mut usize) -> Result<Condition, String> {
    *parts += 1;
    if depth > DEPTH_MAX {
        return Err(format!("a condition is nested at most {DEPTH_MAX} deep"));
    }
    if *parts > PARTS_MAX {
        return Err(format!("a condition has at most {PARTS_MAX} parts"));
    }
    let group = |several: Vec<Written>, word: &str, parts: &mut usize| {
        if several.is_empty() && depth > 0 {
            return Err(format!("the group \"{word}\" has nothing in it; remove it"));
        }
        let read = several.into_iter().map(|one| read(one, depth + 1, parts));
        read.collect::<Result<Vec<_>, _>>()
    };
    match written {
        Written {
            all: Some(all),
            any: None,
            not: None,
            fact: None,
            op: None,
            value: None,
        } => Ok(Condition::All(group(all, "all", parts)?)),
        Written {
            any: Some(any),
            all: None,
            not: None,
            fact: None,
            op: None,
            value: None,
        } => Ok(Condition::Any(group(any, "any", parts)?)),
        Written {
            not: Some(not),
            all: None,
            any: None,
            fact: None,
            op: None,
            value: None,
        } => Ok(Condition::Not(Box::new(read(*not, depth + 1, parts)?))),
        Written {
            fact: Some(fact),
            op,
            value,
            all: None,
            any: None,
            not: None,
        } => test(&fact, op, value).map(Condition::Test),
        Written {
            all: None,
            any: None,
            not: None,
            fact: None,
            op: None,
            value: None,
        } if depth == 0 => Ok(Condition::default()),
        _ => Err(
            "a condition is one of {\"all\": [...]}, {\"any\": [...]}, {\"not\": {...}} and \
             {\"fact\": ..., \"op\": ..., \"value\": ...}"
                .to_owned(),
        ),
    }
}

fn test(fact: &str, op: Option<Op>, value: Option<Value>) -> Result<Test, String> {
    let fact: Fact = fact.parse()?;
    let op = op.unwrap_or(Op::Is);
    if !op.fits(fact.kind()) {
        let fitting: Vec<_> = (Op::ALL.iter())
            .filter(|op| op.fits(fact.kind()))
            .map(|op| op.word())
            .collect();
        return Err(format!(
            "\"{fact}\" cannot be asked with \"{}\"; it can with {}",
            op.word(),
            fitting.join(", ")
        ));
    }
    if (op == Op::Present) != value.is_none() {
        return Err(match op {
            Op::Present => format!("\"{fact} present\" has no value"),
            _ => format!("\"{fact} {}\" needs a value", op.word()),
        });
    }
    let texts = value.as_ref().map_or(&[][..], Value::texts);
    if texts.len() > VALUES_MAX {
        return Err(format!("a test has at most {VALUES_MAX} values"));
    }
    if texts.len() > 1 && !matches!(op, Op::IsOneOf | Op::InNetwork) {
        return Err(format!("\"{fact} {}\" has one value", op.word()));
    }
    if let Some(text) = texts.iter().find(|text| text.len() > VALUE_BYTES_MAX) {
        return Err(format!(
            "\"{}\" is longer than {VALUE_BYTES_MAX} bytes",
            shown(text)
        ));
    }
    if texts.iter().any(|text| text.chars().any(char::is_control)) {
        return Err(format!("the value of \"{fact}\" has control characters"));
    }
    let test = Test { fact, op, value };
    super::check::Check::of(&test)?;
    Ok(test)
}

impl From<Condition> for Written {
    fn from(condition: Condition) -> Self {
        let each = |all: Vec<Condition>| Some(all.into_iter().map(Written::from).collect());
        match condition {
            Condition::All(all) => Self {
                all: each(all),
                ..Self::default()
            },
            Condition::Any(any) => Self {
                any: each(any),
                ..Self::default()
            },
            Condition::Not(not) => Self {
                not: Some(Box::new(Self::from(*not))),
                ..Self::default()
            },
            Condition::Test(test) => Self {
                fact: Some(test.fact.to_string()),
                op: Some(test.op),
                value: test.value,
                ..Self::default()
            },
        }
    }
}

impl Condition {
    /// Whether it holds whatever the facts are: nothing was asked for.
    pub fn is_always(&self) -> bool {
        matches!(self, Self::All(parts) | Self::Any(parts) if parts.is_empty())
    }

    /// Calls `each` with every test in it.
    pub fn each_test<'c>(&'c self, each: &mut impl FnMut(&'c Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each_test(each);
                }
            }
            Self::Not(part) => part.each_test(each),
            Self::Test(test) => each(test),
        }
    }
}
