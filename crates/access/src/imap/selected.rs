//! A selected mailbox as the peer knows it, and the untagged lines that bring the peer up to date.
//! Message sequence numbers are positions in `uids`; they change only where EXPUNGE is said.
//!
//! RFC 3501 §7.4.1: EXPUNGE must not be sent while FETCH, STORE or SEARCH with sequence numbers are
//! answered, nor when no command is in progress. What went meanwhile is kept in `gone` until then.

use super::grammar::command::Numbering;
use super::grammar::set::Set;
use super::reply::{Code, Reply};
use super::wire::{Condstore, Ended, Wire, push_modseq, push_number};
use directory::{AccountId, Identity};
use mailbox::{FlagRow, Flags, Keywords, MailboxId, UidSet, View, Watermark};
use platform::signals::Subscription;
use std::sync::Arc;

/// Which untagged lines a command may have before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expunges {
    /// All, EXPUNGE too.
    Allowed,
    /// All but EXPUNGE.
    Held,
    /// None: the command leaves or changes the mailbox itself, or has none.
    Nothing,
}

/// Whether the mailbox was selected or examined.
pub(super) use super::grammar::command::Access;

/// A selected mailbox. Small while the mailbox has few gaps: a run of UIDs takes 12 bytes.
pub(super) struct Selected {
    /// Who has it selected.
    pub(super) identity: Arc<Identity>,
    /// Which one.
    pub(super) mailbox: MailboxId,
    /// SELECT or EXAMINE.
    pub(super) access: Access,
    /// Messages the peer knows, those in `gone` too.
    pub(super) uids: UidSet,
    /// Messages that are expunged and the peer does not know it yet.
    gone: UidSet,
    /// Messages that are \Recent here.
    pub(super) recent: UidSet,
    /// Recent messages that were told after SELECT and are not claimed yet.
    recent_unclaimed: bool,
    /// Keywords the peer was told of.
    keywords: Keywords,
    /// Up to where changes are known.
    mark: Watermark,
    /// Modification sequences of this session's own changes, which the peer has been told of.
    own: Vec<i64>,
    /// Wakes when something in the account changed.
    subscription: Subscription,
    /// `changed` has returned, which the subscription does not say again.
    woken: bool,
    /// The mailbox is deleted; the session ends once the command is answered.
    deleted: bool,
}

impl Selected {
    /// `subscription` is older than `view`, so that nothing falls between the two.
    pub(super) fn new(
        identity: Arc<Identity>,
        access: Access,
        view: View,
        subscription: Subscription,
    ) -> Self {
        let recent = view
            .uids
            .intersection(&UidSet::range(view.status.recent_from, u32::MAX));
        Self {
            identity,
            mailbox: view.status.mailbox,
            access,
            mark: view.status.watermark(),
            uids: view.uids,
            gone: UidSet::new(),
            recent,
            recent_unclaimed: false,
            keywords: view.keywords,
            own: Vec::new(),
            subscription,
            woken: false,
            deleted: false,
        }
    }

    /// The account.
    pub(super) fn account(&self) -> AccountId {
        self.identity.account
    }

    /// Whether somebody deleted the mailbox.
    pub(super) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Waits until something in the account may have changed. May be dropped.
    pub(super) async fn changed(&mut self) {
        self.subscription.changed().await;
        self.woken = true;
    }

    /// The messages `set` names among those the peer knows.
    ///
    /// # Errors
    /// RFC 3501 §9: BAD for sequence numbers past the end, `*` in an empty mailbox among them.
    pub(super) fn uids_of(&self, set: &Set, numbering: Numbering) -> Result<UidSet, Reply> {
        match numbering {
            Numbering::Uid => Ok(self.resolve_uids(set).intersection(&self.uids)),
            Numbering::Sequence => Ok(self.uids.at_sequences(&self.sequences_of(set)?)),
        }
    }

    /// The UIDs `set` names, whether there are such messages or not; no larger than the set.
    pub(super) fn resolve_uids(&self, set: &Set) -> UidSet {
        UidSet::from_ranges(set.resolve(self.uids.last().unwrap_or(1)))
    }

    /// The sequence numbers `set` names; no larger than the set.
    ///
    /// # Errors
    /// As `uids_of`.
    pub(super) fn sequences_of(&self, set: &Set) -> Result<UidSet, Reply> {
        let count = self.uids.len();
        if count == 0 || set.highest(count) > count {
            return Err(Reply::bad(format!(
                "The mailbox has {count} messages; there is no such number."
            )));
        }
        Ok(UidSet::from_ranges(set.resolve(count)))
    }

    /// `uids` as the peer counts in this command.
    pub(super) fn numbers(&self, uids: &UidSet, numbering: Numbering) -> UidSet {
        match numbering {
            Numbering::Uid => uids.clone(),
            Numbering::Sequence => {
                let numbers = uids.iter().filter_map(|uid| self.uids.sequence_of(uid));
                numbers.collect()
            }
        }
    }

    /// The answer to a change after EXAMINE (RFC 3501 §6.3.2).
    pub(super) fn refuse_writing(&self) -> Option<Reply> {
        (self.access == Access::ReadOnly).then(|| {
            Reply::no(
                Code::ReadOnly,
                "The mailbox was opened with EXAMINE; use SELECT to change something.",
            )
        })
    }

    /// Whether `announce` would have something to look for. Costs no database access.
    pub(super) fn has_news(&mut self, expunges: Expunges) -> bool {
        let news = self.subscription.take() | std::mem::take(&mut self.woken);
        news || (expunges == Expunges::Allowed && !self.gone.is_empty())
    }

    /// Says that flags changed by this session under `modseq` have been told already. Each is higher
    /// than the one before.
    pub(super) fn told(&mut self, modseq: i64) {
        self.own.push(modseq);
    }

    /// Whether the peer knows of the change under `modseq`.
    pub(super) fn knows(&self, modseq: i64) -> bool {
        modseq <= self.mark.modseq || self.own.binary_search(&modseq).is_ok()
    }

    /// The mailbox has `keywords` from now on; tells the peer of new ones (RFC 3501 §7.2.6).
    pub(super) fn tell_keywords(&mut self, out: &mut Vec<u8>, keywords: &Keywords) {
        if keywords
            .iter()
            .all(|keyword| self.keywords.contains(keyword))
        {
            return;
        }
        self.keywords = self.keywords.union(keywords);
        self.write_flag_lines(out);
    }

    /// `FLAGS` and `PERMANENTFLAGS`.
    pub(super) fn write_flag_lines(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft");
        self.write_keywords(out);
        out.extend_from_slice(b")\r\n");
        if self.access == Access::ReadOnly {
            out.extend_from_slice(b"* OK [PERMANENTFLAGS ()] Nothing can be changed.\r\n");
            return;
        }
        out.extend_from_slice(
            b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft",
        );
        self.write_keywords(out);
        out.extend_from_slice(b" \\*)] Flags and new keywords are kept.\r\n");
    }

    fn write_keywords(&self, out: &mut Vec<u8>) {
        for keyword in self.keywords.iter() {
            out.push(b' ');
            out.extend_from_slice(keyword.as_bytes());
        }
    }

    /// Writes what changed since the last time.
    pub(super) async fn announce(
        &mut self,
        wire: &mut Wire,
        expunges: Expunges,
    ) -> Result<(), Ended> {
        let mut arrived = false;
        loop {
            let mailboxes = wire.context.mailboxes.clone();
            let changes = mailboxes
                .changes(self.account(), self.mailbox, self.mark)
                .await;
            let changes = match changes {
                Ok(changes) => changes,
                Err(mailbox::Error::NoSuchMailbox) => {
                    self.deleted = true;
                    return Ok(());
                }
                Err(error) => {
                    // The next command asks again; the peer's own command was done.
                    Reply::from(error).write(wire.out(), "*");
                    return Ok(());
                }
            };
            self.gone = self.gone.union(&changes.gone_from(&self.uids));
            if expunges == Expunges::Allowed {
                self.write_expunges(wire).await?;
            }
            if !changes.arrived.is_empty() {
                arrived = true;
                self.take_arrived(&changes.arrived, changes.recent_from);
            }
            self.mark = changes.watermark;
            for row in &changes.flags {
                let condstore = wire.condstore;
                self.write_foreign_flags(wire.out(), row, condstore);
                wire.relieve().await?;
            }
            if !changes.more {
                break;
            }
        }
        let mark = self.mark.modseq;
        self.own.retain(|modseq| *modseq > mark);
        if arrived {
            self.write_exists(wire.out());
        }
        self.uids.shrink();
        Ok(())
    }

    fn take_arrived(&mut self, arrived: &UidSet, recent_from: u32) {
        self.uids = self.uids.union(arrived);
        let recent = arrived.intersection(&UidSet::range(recent_from, u32::MAX));
        if !recent.is_empty() {
            self.recent = self.recent.union(&recent);
            self.recent_unclaimed = true;
        }
    }

    /// `EXISTS` and `RECENT`.
    pub(super) fn write_exists(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"* ");
        push_number(out, u64::from(self.uids.len()));
        out.extend_from_slice(b" EXISTS\r\n* ");
        push_number(out, u64::from(self.recent.len()));
        out.extend_from_slice(b" RECENT\r\n");
    }

    /// From the highest down, so that no line changes the numbers of the ones after it.
    async fn write_expunges(&mut self, wire: &mut Wire) -> Result<(), Ended> {
        let gone = std::mem::take(&mut self.gone);
        let before = self.uids.clone();
        self.uids = before.difference(&gone);
        self.recent = self.recent.difference(&gone);
        for uid in gone.iter().rev() {
            let Some(sequence) = before.sequence_of(uid) else {
                continue;
            };
            let out = wire.out();
            out.extend_from_slice(b"* ");
            push_number(out, u64::from(sequence));
            out.extend_from_slice(b" EXPUNGE\r\n");
            if wire.is_full() {
                wire.flush().await?;
            }
        }
        Ok(())
    }

    fn write_foreign_flags(&mut self, out: &mut Vec<u8>, row: &FlagRow, condstore: Condstore) {
        if self.own.binary_search(&row.modseq).is_ok() {
            return;
        }
        let Some(sequence) = self.uids.sequence_of(row.uid) else {
            return;
        };
        self.tell_keywords(out, &row.keywords);
        out.extend_from_slice(b"* ");
        push_number(out, u64::from(sequence));
        out.extend_from_slice(b" FETCH (UID ");
        push_number(out, u64::from(row.uid));
        out.push(b' ');
        if condstore == Condstore::On {
            push_modseq(out, row.modseq);
            out.push(b' ');
        }
        self.write_flags(out, row.uid, row.flags, &row.keywords);
        out.extend_from_slice(b")\r\n");
    }

    /// `FLAGS (...)` of one message.
    pub(super) fn write_flags(
        &self,
        out: &mut Vec<u8>,
        uid: u32,
        flags: Flags,
        keywords: &Keywords,
    ) {
        out.extend_from_slice(b"FLAGS (");
        let start = out.len();
        for name in flags.names() {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
        if !self.recent.is_empty() && self.recent.contains(uid) {
            out.extend_from_slice(b"\\Recent ");
        }
        for keyword in keywords.iter() {
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
        }
        if out.len() > start {
            out.pop();
        }
        out.push(b')');
    }

    /// The peer leaves the mailbox: what was \Recent here is \Recent for nobody else. Told late, so
    /// that a message that is pushed to an idle session costs no write.
    pub(super) async fn leave(&mut self, wire: &Wire) {
        if !self.recent_unclaimed || self.access == Access::ReadOnly {
            return;
        }
        self.recent_unclaimed = false;
        let mailboxes = &wire.context.mailboxes;
        let claimed = mailboxes
            .claim_recent(self.account(), self.mailbox, self.mark.uidnext)
            .await;
        if let Err(error) = claimed {
            tracing::debug!(target: "imap", %error, "recent messages stay recent");
        }
    }
}
