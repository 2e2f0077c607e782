//! Actions on header fields as data: remove, replace, rename, add, prepend. `apply` carries them out
//! over one header, in order, and keeps every byte of every field no action names, folding included.
//! Pure. Called on submission before signing and on arrival after verification; operators' rules and
//! the default list of fields that tell where a sender sits are both made of these actions.

use crate::header::fields;
use std::borrow::Cow;
use std::sync::LazyLock;

mod names;
mod text;

pub use names::{FieldName, NamePattern, WrongName};
pub use text::{FieldText, WrongAction};

/// Actions one policy may carry; each costs a look at every field of every message.
pub const ACTIONS_MAX: usize = 100;

/// Which of the fields with a name are meant, counted from the top of the message.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The uppermost.
    First,
    /// The n-th from the top, from 1.
    Nth(u16),
    /// The lowest.
    Last,
    /// Each of them.
    #[default]
    All,
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Takes fields out.
    Remove {
        /// Their name; `*` stands for any characters.
        name: NamePattern,
        /// Which of them.
        #[serde(default)]
        which: Which,
    },
    /// Gives fields another value in the place where they stand. Where none stands, none is made.
    Replace {
        /// Their name; `*` stands for any characters.
        name: NamePattern,
        /// Which of them.
        #[serde(default)]
        which: Which,
        /// The new value.
        value: FieldText,
    },
    /// Gives fields another name; their values stay as they are, byte for byte.
    Rename {
        /// Their name; `*` stands for any characters.
        name: NamePattern,
        /// Which of them.
        #[serde(default)]
        which: Which,
        /// The new name.
        to: FieldName,
    },
    /// Puts a field below all others.
    Add {
        /// Its name.
        name: FieldName,
        /// Its value.
        value: FieldText,
    },
    /// Puts a field above all others.
    Prepend {
        /// Its name.
        name: FieldName,
        /// Its value.
        value: FieldText,
    },
}

/// Fields on which trace, loop detection or a signature rests; touching them deserves a warning.
const PROTECTED: [&str; 6] = [
    "Received",
    "DKIM-Signature",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "Authentication-Results",
];

impl Action {
    /// The field this action may touch although others rely on it: Received (RFC 5321 §4.4: must not
    /// be altered), DKIM-Signature, ARC-* and Authentication-Results. Whoever keeps the action warns.
    pub fn protected(&self) -> Option<&'static str> {
        let touches = |field: &str| match self {
            Self::Remove { name, .. } | Self::Replace { name, .. } => {
                name.matches(field.as_bytes())
            }
            Self::Rename { name, to, .. } => {
                name.matches(field.as_bytes()) || to.as_str().eq_ignore_ascii_case(field)
            }
            Self::Add { name, .. } | Self::Prepend { name, .. } => {
                name.as_str().eq_ignore_ascii_case(field)
            }
        };
        PROTECTED.into_iter().find(|field| touches(field))
    }

    /// The pattern of fields this looks for; `None` where it makes a field in any case.
    fn looks_for(&self) -> Option<&NamePattern> {
        match self {
            Self::Remove { name, .. } | Self::Replace { name, .. } | Self::Rename { name, .. } => {
                Some(name)
            }
            Self::Add { .. } | Self::Prepend { .. } => None,
        }
    }
}

/// What no mail needs that leaves us, and what tells where or with what it was written: the fields
/// webmail and web servers add about the client (addresses, scripts, forwarded chains).
pub fn default_outbound() -> &'static [Action] {
    static LIST: LazyLock<Vec<Action>> = LazyLock::new(|| {
        removals(&[
            "X-Originating-IP",
            "X-Client-IP",
            "X-Sender-IP",
            "X-Forwarded-*",
            "X-Source",
            "X-Source-*",
            "X-PHP-Script",
            "X-PHP-*-Script",
            "X-PHP-Originating-Script",
        ])
    });
    &LIST
}

/// Names of the sender's mail program, which a domain may have removed as well.
pub fn mail_programs() -> &'static [Action] {
    static LIST: LazyLock<Vec<Action>> = LazyLock::new(|| removals(&["User-Agent", "X-Mailer"]));
    &LIST
}

/// Bcc and Resent-Bcc: their recipients shall not be known to the others (RFC 5322 §3.6.3), and the
/// envelope carries them.
pub fn blind_copies() -> &'static [Action] {
    static LIST: LazyLock<Vec<Action>> = LazyLock::new(|| removals(&["Bcc", "Resent-Bcc"]));
    &LIST
}

fn removals(names: &[&str]) -> Vec<Action> {
    let patterns = names.iter().filter_map(|name| name.parse().ok());
    patterns
        .map(|name| Action::Remove {
            name,
            which: Which::All,
        })
        .collect()
}

/// A field on its way through the actions.
struct Line<'h> {
    /// Empty for a line that is no field.
    name: Cow<'h, [u8]>,
    /// The whole field up to and including its line end.
    bytes: Cow<'h, [u8]>,
}

/// Carries out `actions` in order over `header`, which ends before or after its empty line. Borrows
/// where nothing changes. Fields written anew are folded and end with CRLF; all others keep every
/// byte.
pub fn apply<'h, 'a>(
    header: &'h [u8],
    actions: impl IntoIterator<Item = &'a Action> + Clone,
) -> Cow<'h, [u8]> {
    // Most messages have none of the fields: one look at each, and nothing is copied.
    let named = |name: &[u8]| {
        let mut patterns = actions.clone().into_iter().filter_map(Action::looks_for);
        patterns.any(|pattern| pattern.matches(name))
    };
    let makes = actions
        .clone()
        .into_iter()
        .any(|action| action.looks_for().is_none());
    if !makes && !fields(header).any(|field| named(field.name)) {
        return Cow::Borrowed(header);
    }
    let mut end = 0;
    let mut lines: Vec<Line<'h>> = fields(header)
        .map(|field| {
            end = field.end;
            Line {
                name: Cow::Borrowed(field.name),
                bytes: Cow::Borrowed(header.get(field.start..field.end).unwrap_or_default()),
            }
        })
        .collect();
    for action in actions {
        carry_out(&mut lines, action);
    }
    let mut edited = Vec::with_capacity(header.len());
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        edited.extend_from_slice(&line.bytes);
        // A field cut off by the end of the message; another one follows it now.
        if lines.peek().is_some() && !line.bytes.ends_with(b"\n") {
            edited.extend_from_slice(b"\r\n");
        }
    }
    edited.extend_from_slice(header.get(end..).unwrap_or_default());
    Cow::Owned(edited)
}

fn carry_out(lines: &mut Vec<Line<'_>>, action: &Action) {
    match action {
        Action::Remove { name, which } => {
            let mut chosen = chosen(lines, name, *which).into_iter();
            lines.retain(|_| !chosen.next().unwrap_or(false));
        }
        Action::Replace { name, which, value } => {
            for (line, _) in pick(lines, name, *which) {
                let written = String::from_utf8_lossy(&line.name).into_owned();
                line.bytes = Cow::Owned(value.field(&written));
            }
        }
        Action::Rename { name, which, to } => {
            for (line, _) in pick(lines, name, *which) {
                let colon = memchr::memchr(b':', &line.bytes).unwrap_or(line.name.len());
                let rest = line.bytes.get(colon..).unwrap_or_default();
                line.bytes = Cow::Owned([to.as_str().as_bytes(), rest].concat());
                line.name = Cow::Owned(to.as_str().as_bytes().to_vec());
            }
        }
        Action::Add { name, value } => lines.push(made(name, value)),
        Action::Prepend { name, value } => lines.insert(0, made(name, value)),
    }
}

fn made(name: &FieldName, value: &FieldText) -> Line<'static> {
    Line {
        name: Cow::Owned(name.as_str().as_bytes().to_vec()),
        bytes: Cow::Owned(value.field(name.as_str())),
    }
}

/// For each line whether it is meant.
fn chosen(lines: &[Line<'_>], name: &NamePattern, which: Which) -> Vec<bool> {
    let mut marks: Vec<bool> = lines.iter().map(|line| name.matches(&line.name)).collect();
    let at = match which {
        Which::All => return marks,
        Which::First => marks.iter().position(|&mark| mark),
        Which::Last => marks.iter().rposition(|&mark| mark),
        Which::Nth(n) => {
            let mut hits = marks.iter().enumerate().filter(|(_, mark)| **mark);
            usize::from(n)
                .checked_sub(1)
                .and_then(|n| hits.nth(n))
                .map(|(at, _)| at)
        }
    };
    for (n, mark) in marks.iter_mut().enumerate() {
        *mark = Some(n) == at;
    }
    marks
}

fn pick<'l, 'h>(
    lines: &'l mut [Line<'h>],
    name: &NamePattern,
    which: Which,
) -> impl Iterator<Item = (&'l mut Line<'h>, bool)> {
    let marks = chosen(lines, name, which);
    lines.iter_mut().zip(marks).filter(|(_, mark)| *mark)
}

#[cfg(test)]
mod tests;
