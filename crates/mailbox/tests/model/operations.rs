//! The operations the model test chooses from. Pure.

use mailbox::FlagOperation;
use proptest::prelude::*;

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Deliver {
        account: usize,
        mailbox: usize,
        seen: bool,
    },
    Append {
        account: usize,
        mailbox: usize,
        count: usize,
        keyword: bool,
    },
    Store {
        account: usize,
        mailbox: usize,
        pick: u32,
        operation: FlagOperation,
        flags: u8,
    },
    Copy {
        account: usize,
        from: usize,
        to: usize,
        pick: u32,
    },
    Move {
        account: usize,
        from: usize,
        to: usize,
        pick: u32,
    },
    Expunge {
        account: usize,
        mailbox: usize,
        pick: Option<u32>,
    },
    Remove {
        account: usize,
        mailbox: usize,
        pick: u32,
    },
    Create {
        account: usize,
        name: usize,
    },
    Rename {
        account: usize,
        from: usize,
        to: usize,
    },
    Delete {
        account: usize,
        name: usize,
    },
    Look {
        account: usize,
        mailbox: usize,
    },
}

/// Names the operations choose from; INBOX and Archive exist at the start.
pub(crate) const NAMES: [&str; 6] = ["INBOX", "Archive", "a", "a/b", "a/b/c", "d"];

/// A random step.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    // Most of it happens in few places, or messages, flags and expunges would seldom meet.
    let account = prop_oneof![3 => Just(0usize), 1 => Just(1usize)];
    let at = prop_oneof![5 => Just(0usize), 3 => Just(2usize), 2 => 0..NAMES.len()];
    let operation = prop_oneof![
        Just(FlagOperation::Add),
        Just(FlagOperation::Remove),
        Just(FlagOperation::Replace)
    ];
    prop_oneof![
        4 => (account.clone(), at.clone(), any::<bool>())
            .prop_map(|(account, mailbox, seen)| Op::Deliver { account, mailbox, seen }),
        2 => (account.clone(), at.clone(), 0..4usize, any::<bool>())
            .prop_map(|(account, mailbox, count, keyword)| Op::Append { account, mailbox, count, keyword }),
        4 => (account.clone(), at.clone(), any::<u32>(), operation, 0..32u8)
            .prop_map(|(account, mailbox, pick, operation, flags)| Op::Store { account, mailbox, pick, operation, flags }),
        2 => (account.clone(), at.clone(), at.clone(), any::<u32>())
            .prop_map(|(account, from, to, pick)| Op::Copy { account, from, to, pick }),
        2 => (account.clone(), at.clone(), at.clone(), any::<u32>())
            .prop_map(|(account, from, to, pick)| Op::Move { account, from, to, pick }),
        3 => (account.clone(), at.clone(), any::<Option<u32>>())
            .prop_map(|(account, mailbox, pick)| Op::Expunge { account, mailbox, pick }),
        1 => (account.clone(), at.clone(), any::<u32>())
            .prop_map(|(account, mailbox, pick)| Op::Remove { account, mailbox, pick }),
        2 => (account.clone(), at.clone()).prop_map(|(account, name)| Op::Create { account, name }),
        1 => (account.clone(), at.clone(), at.clone())
            .prop_map(|(account, from, to)| Op::Rename { account, from, to }),
        1 => (account.clone(), at.clone()).prop_map(|(account, name)| Op::Delete { account, name }),
        3 => (account, at).prop_map(|(account, mailbox)| Op::Look { account, mailbox }),
    ]
}
