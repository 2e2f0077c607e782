//! A search worked out: a tree of questions, most of which a row answers. Pure.

use super::leaf::Leaf;
use crate::imap::grammar::search::{DateOf, FlagKey, Key};
use crate::imap::reply::Reply;
use crate::imap::selected::Selected;
use mailbox::{FlagRow, Flags, Keywords, MessageRow, UidSet};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// A search over one mailbox.
pub(super) struct Test {
    root: Node,
    leaves: Vec<Leaf>,
    needs: Needs,
    modseq: bool,
    among: UidSet,
}

/// What has to be read of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Needs {
    /// Nothing: sequence numbers and UIDs decide.
    Nothing,
    /// Flags.
    Flags,
    /// The whole row, and of some messages more.
    Rows,
}

/// Whether a message is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// The leaf with this index has to be known first.
    Needs(usize),
}

/// What a row says.
pub(super) struct RowView<'a> {
    uid: u32,
    sequence: u32,
    recent: bool,
    flags: Flags,
    keywords: &'a Keywords,
    modseq: i64,
    day: i64,
    size: u64,
}

impl<'a> RowView<'a> {
    /// Of a whole row.
    pub(super) fn of(selected: &Selected, row: &'a MessageRow) -> Self {
        Self {
            flags: row.flags,
            keywords: &row.keywords,
            modseq: row.modseq,
            day: row.internal_date.0.div_euclid(DAY_MS),
            size: row.size,
            ..RowView::of_uid(selected, row.uid)
        }
    }

    /// Of a UID alone; for searches that `Needs` nothing.
    pub(super) fn of_uid(selected: &Selected, uid: u32) -> RowView<'static> {
        static NONE: std::sync::LazyLock<Keywords> = std::sync::LazyLock::new(Keywords::default);
        RowView {
            uid,
            // Only messages the peer knows are asked about.
            sequence: selected.uids.sequence_of(uid).unwrap_or(0),
            recent: selected.recent.contains(uid),
            flags: Flags::NONE,
            keywords: &NONE,
            modseq: 0,
            day: 0,
            size: 0,
        }
    }

    /// Of flags alone; for searches that `Needs` no more.
    pub(super) fn of_flags(selected: &Selected, row: &'a FlagRow) -> Self {
        Self {
            flags: row.flags,
            keywords: &row.keywords,
            modseq: row.modseq,
            ..RowView::of_uid(selected, row.uid)
        }
    }
}

/// Sets are kept as the peer wrote them: what they come to in a mailbox with many gaps is much larger,
/// and a search may hold hundreds.
enum Node {
    Const(Answer),
    Flag(Flags),
    Keyword(Box<str>),
    Recent,
    /// UIDs, whether there are such messages or not.
    Uids(UidSet),
    /// Sequence numbers.
    Sequences(UidSet),
    ModSeq(u64),
    Before(i64),
    On(i64),
    Since(i64),
    Larger(u64),
    Smaller(u64),
    Leaf(usize),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

impl Test {
    /// Works out `keys`, all of which must hold.
    ///
    /// # Errors
    /// The answer for texts that are no UTF-8 and numbers that do not exist.
    pub(super) fn new(keys: &[Key], selected: &Selected) -> Result<Self, Reply> {
        let mut builder = Builder {
            selected,
            leaves: Vec::new(),
            needs: Needs::Nothing,
            modseq: false,
        };
        let mut among = selected.uids.clone();
        let mut nodes = Vec::new();
        for key in keys {
            match builder.node(key)? {
                // Sets at the top leave fewer messages to look at.
                Node::Uids(uids) => among = among.intersection(&uids),
                Node::Sequences(numbers) => {
                    among = among.intersection(&selected.uids.at_sequences(&numbers));
                }
                node => nodes.push(node),
            }
        }
        let (leaves, needs, modseq) = (builder.leaves, builder.needs, builder.modseq);
        Ok(Self {
            root: Node::And(nodes),
            leaves,
            needs,
            modseq,
            among,
        })
    }

    /// What has to be read.
    pub(super) fn needs(&self) -> Needs {
        self.needs
    }

    /// Whether modification sequences were asked for, which the answer then tells (RFC 7162 §3.1.6).
    pub(super) fn asks_modseq(&self) -> bool {
        self.modseq
    }

    /// The messages that come into question.
    pub(super) fn among(&self) -> &UidSet {
        &self.among
    }

    /// The questions a row does not answer.
    pub(super) fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Asks a row; `known` are the leaves answered so far.
    pub(super) fn ask(&self, row: &RowView<'_>, known: &[Option<bool>]) -> Answer {
        self.root.ask(row, known)
    }
}

struct Builder<'a> {
    selected: &'a Selected,
    leaves: Vec<Leaf>,
    needs: Needs,
    modseq: bool,
}

impl Builder<'_> {
    fn node(&mut self, key: &Key) -> Result<Node, Reply> {
        Ok(match key {
            Key::All => Node::Const(Answer::Yes),
            Key::Has(flag) => self.flag(flag),
            Key::Lacks(flag) => Node::Not(Box::new(self.flag(flag))),
            Key::Before(DateOf::Arrival, day) => self.row(Node::Before(day.0)),
            Key::On(DateOf::Arrival, day) => self.row(Node::On(day.0)),
            Key::Since(DateOf::Arrival, day) => self.row(Node::Since(day.0)),
            Key::Larger(bytes) => self.row(Node::Larger(*bytes)),
            Key::Smaller(bytes) => self.row(Node::Smaller(*bytes)),
            Key::Sequence(set) => Node::Sequences(self.selected.sequences_of(set)?),
            Key::Uid(set) => Node::Uids(self.selected.resolve_uids(set)),
            Key::ModSeq(modseq) => {
                self.needs = self.needs.max(Needs::Flags);
                self.modseq = true;
                Node::ModSeq(*modseq)
            }
            Key::Not(key) => Node::Not(Box::new(self.node(key)?)),
            Key::Or(either) => Node::Or(vec![self.node(&either.0)?, self.node(&either.1)?]),
            Key::And(keys) => Node::And(
                keys.iter()
                    .map(|key| self.node(key))
                    .collect::<Result<_, _>>()?,
            ),
            Key::Before(DateOf::Sent, _)
            | Key::On(DateOf::Sent, _)
            | Key::Since(DateOf::Sent, _)
            | Key::Field(..)
            | Key::Header(..)
            | Key::Body(_)
            | Key::Text(_) => {
                self.leaves.push(Leaf::new(key)?);
                let index = self.leaves.len() - 1;
                self.row(Node::Leaf(index))
            }
        })
    }

    fn row(&mut self, node: Node) -> Node {
        self.needs = Needs::Rows;
        node
    }

    fn flag(&mut self, flag: &FlagKey) -> Node {
        let flag = match flag {
            FlagKey::Recent => return Node::Recent,
            FlagKey::Keyword(keyword) => {
                self.needs = self.needs.max(Needs::Flags);
                return Node::Keyword(keyword.clone());
            }
            FlagKey::Answered => Flags::ANSWERED,
            FlagKey::Deleted => Flags::DELETED,
            FlagKey::Draft => Flags::DRAFT,
            FlagKey::Flagged => Flags::FLAGGED,
            FlagKey::Seen => Flags::SEEN,
        };
        self.needs = self.needs.max(Needs::Flags);
        Node::Flag(flag)
    }
}

impl Node {
    fn ask(&self, row: &RowView<'_>, known: &[Option<bool>]) -> Answer {
        let yes = match self {
            Node::Const(answer) => return *answer,
            Node::Flag(flag) => row.flags.contains(*flag),
            Node::Keyword(keyword) => row.keywords.contains(keyword),
            Node::Recent => row.recent,
            Node::Uids(uids) => uids.contains(row.uid),
            Node::Sequences(numbers) => numbers.contains(row.sequence),
            Node::ModSeq(modseq) => row.modseq.unsigned_abs() >= *modseq,
            Node::Before(day) => row.day < *day,
            Node::On(day) => row.day == *day,
            Node::Since(day) => row.day >= *day,
            Node::Larger(bytes) => row.size > *bytes,
            Node::Smaller(bytes) => row.size < *bytes,
            Node::Leaf(index) => match known.get(*index).copied().flatten() {
                Some(yes) => yes,
                None => return Answer::Needs(*index),
            },
            Node::Not(node) => {
                return match node.ask(row, known) {
                    Answer::Yes => Answer::No,
                    Answer::No => Answer::Yes,
                    needs => needs,
                };
            }
            Node::And(nodes) => return all(nodes, row, known, Answer::No, Answer::Yes),
            Node::Or(nodes) => return all(nodes, row, known, Answer::Yes, Answer::No),
        };
        if yes { Answer::Yes } else { Answer::No }
    }
}

/// AND and OR: one node that says `decides` is enough, whatever is not known yet.
fn all(
    nodes: &[Node],
    row: &RowView<'_>,
    known: &[Option<bool>],
    decides: Answer,
    otherwise: Answer,
) -> Answer {
    let mut result = otherwise;
    for node in nodes {
        match node.ask(row, known) {
            answer if answer == decides => return decides,
            needs @ Answer::Needs(_) if result == otherwise => result = needs,
            _ => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_decides_needs_no_message() {
        let keywords = Keywords::default();
        let row = RowView {
            uid: 1,
            sequence: 1,
            recent: false,
            flags: Flags::SEEN,
            keywords: &keywords,
            modseq: 1,
            day: 5,
            size: 9,
        };
        let unseen = || Node::Not(Box::new(Node::Flag(Flags::SEEN)));
        let and = Node::And(vec![Node::Leaf(0), unseen()]);
        assert_eq!(and.ask(&row, &[None]), Answer::No);
        let or = Node::Or(vec![Node::Leaf(0), Node::Flag(Flags::SEEN)]);
        assert_eq!(or.ask(&row, &[None]), Answer::Yes);
        let both = Node::And(vec![Node::Since(5), Node::Leaf(0)]);
        assert_eq!(both.ask(&row, &[None]), Answer::Needs(0));
        assert_eq!(both.ask(&row, &[Some(true)]), Answer::Yes);
        assert_eq!(both.ask(&row, &[Some(false)]), Answer::No);
    }
}
