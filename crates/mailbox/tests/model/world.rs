//! The model itself, and how each operation is done both to it and to the real mailboxes. What a
//! call returns is compared at once, what it leaves behind in `check`.

use crate::operations::{NAMES, Op};
use crate::support::{ANNA, BERND, Node, START, name, nowhere};
use directory::AccountId;
use mailbox::{
    DeliverInto, ExpungeScope, FlagChange, FlagOperation, Flags, Keywords, MailboxId, NewMessage,
    UidSet, Watermark,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) flags: u8,
    pub(crate) keywords: BTreeSet<String>,
    pub(crate) body: i64,
    pub(crate) size: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) uidnext: u32,
    pub(crate) messages: BTreeMap<u32, Message>,
}

impl Folder {
    fn put(&mut self, message: Message) -> u32 {
        let uid = self.uidnext;
        self.messages.insert(uid, message);
        self.uidnext += 1;
        uid
    }

    /// Some of the UIDs that are or were there, chosen by the bits of `pick`.
    fn picked(&self, pick: u32) -> UidSet {
        (1..self.uidnext)
            .filter(|uid| pick >> (uid % 32) & 1 == 1)
            .collect()
    }
}

/// What a session that never closes knows of a mailbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct Session {
    pub(crate) watermark: Watermark,
    pub(crate) flags: BTreeMap<u32, (u8, BTreeSet<String>)>,
    pub(crate) uids: UidSet,
}

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) folders: BTreeMap<String, (MailboxId, Folder)>,
    pub(crate) sessions: BTreeMap<MailboxId, Session>,
    pub(crate) uidvalidities: BTreeSet<u32>,
}

pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) accounts: [Account; 2],
    pub(crate) bodies: i64,
}

pub(crate) const IDS: [AccountId; 2] = [ANNA, BERND];

pub(crate) fn bits(flags: Flags) -> u8 {
    flags.bits() as u8
}

pub(crate) fn words(keywords: &Keywords) -> BTreeSet<String> {
    keywords.iter().map(str::to_owned).collect()
}

impl World {
    pub(crate) async fn new(node: Node) -> World {
        let mut world = World {
            node,
            accounts: Default::default(),
            bodies: 0,
        };
        for (account, id) in IDS.into_iter().enumerate() {
            world.node.create_account(id).await;
            for info in world.node.mailboxes.list(id).await.unwrap() {
                let folder = Folder {
                    uidnext: 1,
                    ..Folder::default()
                };
                let fresh = world.accounts[account]
                    .uidvalidities
                    .insert(info.status.uidvalidity);
                assert!(fresh, "a UIDVALIDITY came twice");
                world.accounts[account]
                    .folders
                    .insert(info.name.as_str().to_owned(), (info.mailbox, folder));
            }
        }
        world
    }

    fn find(&mut self, account: usize, at: usize) -> Option<(MailboxId, &mut Folder)> {
        self.accounts[account]
            .folders
            .get_mut(NAMES[at])
            .map(|(id, folder)| (*id, folder))
    }

    pub(crate) async fn run(&mut self, op: &Op) {
        match *op {
            Op::Deliver {
                account,
                mailbox,
                seen,
            } => self.deliver(account, mailbox, seen).await,
            Op::Append {
                account,
                mailbox,
                count,
                keyword,
            } => {
                self.append(account, mailbox, count, keyword).await;
            }
            Op::Store {
                account,
                mailbox,
                pick,
                operation,
                flags,
            } => {
                self.store(account, mailbox, pick, operation, flags).await;
            }
            Op::Copy {
                account,
                from,
                to,
                pick,
            } => self.copy(account, from, to, pick).await,
            Op::Move {
                account,
                from,
                to,
                pick,
            } => self.relocate(account, from, to, pick).await,
            Op::Expunge {
                account,
                mailbox,
                pick,
            } => self.expunge(account, mailbox, pick).await,
            Op::Remove {
                account,
                mailbox,
                pick,
            } => self.remove(account, mailbox, pick).await,
            Op::Create { account, name } => self.create(account, name).await,
            Op::Rename { account, from, to } => self.rename(account, from, to).await,
            Op::Delete { account, name } => self.delete(account, name).await,
            Op::Look { account, mailbox } => self.look(account, mailbox).await,
        }
    }

    async fn deliver(&mut self, account: usize, mailbox: usize, seen: bool) {
        self.bodies += 1;
        let number = self.bodies;
        let into = match self.find(account, mailbox) {
            Some((id, _)) => DeliverInto::Mailbox(id),
            // A mailbox that never was: INBOX takes the message.
            None => DeliverInto::Mailbox(MailboxId(9_999)),
        };
        let flags = if seen { Flags::SEEN } else { Flags::NONE };
        let body = nowhere(number);
        let delivered = self
            .node
            .deliver(IDS[account], into, body, flags)
            .await
            .unwrap();
        let at = if self.find(account, mailbox).is_some() {
            mailbox
        } else {
            0
        };
        let (id, folder) = self.find(account, at).unwrap();
        let size = body.body_bytes as u64 + "Delivered-To: x@firma.test\r\n".len() as u64;
        let message = Message {
            flags: bits(flags),
            keywords: BTreeSet::new(),
            body: number,
            size,
        };
        assert_eq!(
            (delivered.mailbox, delivered.uid),
            (id, folder.put(message))
        );
    }

    async fn append(&mut self, account: usize, mailbox: usize, count: usize, keyword: bool) {
        let first = self.bodies;
        self.bodies += count as i64;
        let Some((id, folder)) = self.find(account, mailbox) else {
            return;
        };
        let keywords = Keywords::new(keyword.then_some("$Forwarded")).unwrap();
        let mut messages = Vec::new();
        let mut expected = UidSet::new();
        for number in first + 1..=first + count as i64 {
            let body = nowhere(number);
            messages.push(NewMessage {
                body,
                flags: Flags::FLAGGED,
                keywords: keywords.clone(),
                internal_date: START,
            });
            let uid = folder.put(Message {
                flags: bits(Flags::FLAGGED),
                keywords: words(&keywords),
                body: number,
                size: body.body_bytes as u64,
            });
            expected.push(uid, uid);
        }
        let appended = self
            .node
            .mailboxes
            .append(IDS[account], id, messages, None)
            .await
            .unwrap();
        assert_eq!(appended.uids, expected);
    }

    async fn store(
        &mut self,
        account: usize,
        mailbox: usize,
        pick: u32,
        operation: FlagOperation,
        flags: u8,
    ) {
        let Some((id, folder)) = self.find(account, mailbox) else {
            return;
        };
        let keywords = Keywords::new((pick & 2 == 2).then_some("k")).unwrap();
        let flags = Flags::from_bits(i64::from(flags));
        let change = FlagChange {
            operation,
            flags,
            keywords: keywords.clone(),
        };
        let uids = folder.picked(pick);
        let mut expected = Vec::new();
        for (uid, message) in folder
            .messages
            .iter_mut()
            .filter(|(uid, _)| uids.contains(**uid))
        {
            match operation {
                FlagOperation::Replace => {
                    message.flags = bits(flags);
                    message.keywords = words(&keywords);
                }
                FlagOperation::Add => {
                    message.flags |= bits(flags);
                    message.keywords.extend(words(&keywords));
                }
                FlagOperation::Remove => {
                    message.flags &= !bits(flags);
                    message.keywords.retain(|own| !keywords.contains(own));
                }
            }
            expected.push((*uid, message.flags, message.keywords.clone()));
        }
        let stored = self
            .node
            .mailboxes
            .store_flags(IDS[account], id, uids, change, None)
            .await;
        let stored = stored.unwrap();
        assert!(stored.rest.is_empty() && stored.modified.is_empty());
        let rows: Vec<_> = stored
            .rows
            .iter()
            .map(|row| (row.now.uid, bits(row.now.flags), words(&row.now.keywords)))
            .collect();
        assert_eq!(rows, expected);
    }

    async fn copy(&mut self, account: usize, from: usize, to: usize, pick: u32) {
        let (Some(source), Some(target)) = (self.pair(account, from), self.pair(account, to))
        else {
            return;
        };
        let (_, folder) = self.find(account, from).unwrap();
        let uids = folder.picked(pick);
        let copies: Vec<_> = folder
            .messages
            .iter()
            .filter(|(uid, _)| uids.contains(**uid))
            .map(|(uid, message)| (*uid, message.clone()))
            .collect();
        let (_, folder) = self.find(account, to).unwrap();
        let pairs: Vec<_> = copies
            .into_iter()
            .map(|(uid, message)| (uid, folder.put(message)))
            .collect();
        let copied = self
            .node
            .mailboxes
            .copy(IDS[account], source, uids, target, None)
            .await;
        let copied = copied.unwrap();
        assert_eq!(
            copied
                .source
                .iter()
                .zip(copied.target.iter())
                .collect::<Vec<_>>(),
            pairs
        );
        assert_eq!(copied.source.len(), copied.target.len());
    }

    async fn relocate(&mut self, account: usize, from: usize, to: usize, pick: u32) {
        let (Some(source), Some(target)) = (self.pair(account, from), self.pair(account, to))
        else {
            return;
        };
        let (_, folder) = self.find(account, from).unwrap();
        let uids = folder.picked(pick);
        let moving: Vec<_> = folder
            .messages
            .keys()
            .copied()
            .filter(|uid| uids.contains(*uid))
            .collect();
        let mut pairs = Vec::new();
        for uid in moving {
            let message = self
                .find(account, from)
                .unwrap()
                .1
                .messages
                .remove(&uid)
                .unwrap();
            pairs.push((uid, self.find(account, to).unwrap().1.put(message)));
        }
        let moved = self
            .node
            .mailboxes
            .move_messages(IDS[account], source, uids, target)
            .await;
        let moved = moved.unwrap();
        assert_eq!(
            moved
                .source
                .iter()
                .zip(moved.target.iter())
                .collect::<Vec<_>>(),
            pairs
        );
    }

    fn pair(&mut self, account: usize, at: usize) -> Option<MailboxId> {
        self.find(account, at).map(|(id, _)| id)
    }

    async fn expunge(&mut self, account: usize, mailbox: usize, pick: Option<u32>) {
        let Some((id, folder)) = self.find(account, mailbox) else {
            return;
        };
        let within = pick.map(|pick| folder.picked(pick));
        let mut expected = UidSet::new();
        folder.messages.retain(|uid, message| {
            let goes = message.flags & bits(Flags::DELETED) != 0
                && within.as_ref().is_none_or(|set| set.contains(*uid));
            if goes {
                expected.push(*uid, *uid);
            }
            !goes
        });
        let scope = within.map_or(ExpungeScope::Deleted, ExpungeScope::DeletedWithin);
        let gone = self
            .node
            .mailboxes
            .expunge(IDS[account], id, scope)
            .await
            .unwrap();
        assert_eq!(gone.uids, expected);
    }

    async fn remove(&mut self, account: usize, mailbox: usize, pick: u32) {
        let Some((id, folder)) = self.find(account, mailbox) else {
            return;
        };
        let uids = folder.picked(pick);
        folder.messages.retain(|uid, _| !uids.contains(*uid));
        let scope = ExpungeScope::Exactly(uids);
        self.node
            .mailboxes
            .expunge(IDS[account], id, scope)
            .await
            .unwrap();
    }

    async fn create(&mut self, account: usize, at: usize) {
        let created = self
            .node
            .mailboxes
            .create(IDS[account], &name(NAMES[at]), None)
            .await;
        assert_eq!(
            created.is_ok(),
            !self.accounts[account].folders.contains_key(NAMES[at])
        );
        self.learn_new_folders(account).await;
        assert!(self.accounts[account].folders.contains_key(NAMES[at]));
    }

    /// Mailboxes the model has not: they must be new and empty and have a fresh UIDVALIDITY.
    async fn learn_new_folders(&mut self, account: usize) {
        for info in self.node.mailboxes.list(IDS[account]).await.unwrap() {
            let known = &mut self.accounts[account];
            if known.folders.contains_key(info.name.as_str()) {
                continue;
            }
            assert_eq!((info.status.messages, info.status.uidnext), (0, 1));
            assert!(
                known.uidvalidities.insert(info.status.uidvalidity),
                "UIDVALIDITY came twice"
            );
            assert!(known.folders.values().all(|(id, _)| *id != info.mailbox));
            let folder = Folder {
                uidnext: 1,
                ..Folder::default()
            };
            known
                .folders
                .insert(info.name.as_str().to_owned(), (info.mailbox, folder));
        }
    }

    async fn rename(&mut self, account: usize, from: usize, to: usize) {
        let (from, to) = (NAMES[from], NAMES[to]);
        let inside = to
            .strip_prefix(from)
            .is_some_and(|rest| rest.starts_with('/'));
        let folders = &self.accounts[account].folders;
        let possible =
            folders.contains_key(from) && !folders.contains_key(to) && (!inside || from == "INBOX");
        let moves_onto_taken = |name: &String| {
            name.strip_prefix(from)
                .filter(|rest| rest.starts_with('/') && from != "INBOX")
                .is_some_and(|rest| folders.contains_key(&format!("{to}{rest}")))
        };
        let possible = possible && !folders.keys().any(moves_onto_taken);
        let renamed = self
            .node
            .mailboxes
            .rename(IDS[account], &name(from), &name(to))
            .await;
        assert_eq!(renamed.is_ok(), possible, "{from} to {to}: {renamed:?}");
        if !possible {
            return;
        }
        if from == "INBOX" {
            self.renamed_inbox(account, to).await;
            return;
        }
        let folders = std::mem::take(&mut self.accounts[account].folders);
        for (name, folder) in folders {
            let new = match name.strip_prefix(from) {
                Some("") => to.to_owned(),
                Some(rest) if rest.starts_with('/') => format!("{to}{rest}"),
                _ => name,
            };
            self.accounts[account].folders.insert(new, folder);
        }
        self.learn_new_folders(account).await;
    }

    async fn renamed_inbox(&mut self, account: usize, to: &str) {
        let target = self
            .node
            .mailboxes
            .status(IDS[account], &name(to))
            .await
            .unwrap();
        let mut folder = Folder {
            uidnext: 1,
            ..Folder::default()
        };
        let (_, inbox) = self.find(account, 0).unwrap();
        for message in std::mem::take(&mut inbox.messages).into_values() {
            folder.put(message);
        }
        let known = &mut self.accounts[account];
        assert!(known.uidvalidities.insert(target.uidvalidity));
        known
            .folders
            .insert(to.to_owned(), (target.mailbox, folder));
        self.learn_new_folders(account).await;
    }

    async fn delete(&mut self, account: usize, at: usize) {
        let deleted = self
            .node
            .mailboxes
            .delete(IDS[account], &name(NAMES[at]))
            .await;
        let there = self.accounts[account].folders.contains_key(NAMES[at]);
        assert_eq!(deleted.is_ok(), there && at != 0);
        if deleted.is_ok() {
            let (id, _) = self.accounts[account].folders.remove(NAMES[at]).unwrap();
            self.accounts[account].sessions.remove(&id);
            let none = self
                .node
                .mailboxes
                .changes(IDS[account], id, Watermark::default())
                .await;
            assert!(matches!(none, Err(mailbox::Error::NoSuchMailbox)));
        }
    }

    /// A session looks what happened since it last looked, and then knows what is there.
    async fn look(&mut self, account: usize, at: usize) {
        let Some((id, folder)) = self.find(account, at) else {
            return;
        };
        let folder = folder.clone();
        let mut session = self.accounts[account]
            .sessions
            .remove(&id)
            .unwrap_or(Session {
                watermark: Watermark {
                    uidnext: 1,
                    modseq: 1,
                },
                ..Session::default()
            });
        loop {
            let changes = self
                .node
                .mailboxes
                .changes(IDS[account], id, session.watermark)
                .await
                .unwrap();
            for uid in changes.gone_from(&session.uids).iter() {
                assert!(session.uids.remove(uid).is_some());
                session.flags.remove(&uid);
            }
            for row in &changes.flags {
                if session.uids.contains(row.uid) {
                    session
                        .flags
                        .insert(row.uid, (bits(row.flags), words(&row.keywords)));
                }
            }
            session.uids = session.uids.union(&changes.arrived);
            for row in self.flag_rows(account, id, changes.arrived.clone()).await {
                session.flags.insert(row.0, (row.1, row.2));
            }
            session.watermark = changes.watermark;
            if !changes.more {
                break;
            }
        }
        let expected: BTreeMap<_, _> = folder
            .messages
            .iter()
            .map(|(uid, m)| (*uid, (m.flags, m.keywords.clone())))
            .collect();
        assert_eq!(session.flags, expected);
        let again = self
            .node
            .mailboxes
            .changes(IDS[account], id, session.watermark)
            .await
            .unwrap();
        assert!(again.is_empty() && !again.more);
        self.accounts[account].sessions.insert(id, session);
    }

    async fn flag_rows(
        &self,
        account: usize,
        id: MailboxId,
        uids: UidSet,
    ) -> Vec<(u32, u8, BTreeSet<String>)> {
        let page = self
            .node
            .mailboxes
            .flag_rows(IDS[account], id, uids)
            .await
            .unwrap();
        assert!(page.rest.is_empty());
        page.rows
            .iter()
            .map(|row| (row.uid, bits(row.flags), words(&row.keywords)))
            .collect()
    }
}
