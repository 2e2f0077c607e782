//! Compares everything that can be read with the model.

use crate::world::{Folder, IDS, Message, World, bits, words};
use directory::AccountId;
use mailbox::{Flags, MailboxName, RecentClaim, UidSet};
use std::collections::BTreeMap;

impl World {
    pub(crate) async fn check(&self) {
        for (account, id) in IDS.into_iter().enumerate() {
            let list = self.node.mailboxes.list(id).await.unwrap();
            let known = &self.accounts[account];
            let names: Vec<_> = list.iter().map(|info| info.name.as_str()).collect();
            assert_eq!(
                names,
                known.folders.keys().map(String::as_str).collect::<Vec<_>>()
            );
            for info in &list {
                let (mailbox, folder) = &known.folders[info.name.as_str()];
                assert_eq!(*mailbox, info.mailbox);
                self.check_folder(id, &info.name, folder).await;
            }
        }
        self.check_verify().await;
    }

    async fn check_folder(&self, id: AccountId, name: &MailboxName, folder: &Folder) {
        let view = self
            .node
            .mailboxes
            .open(id, name, RecentClaim::Leave)
            .await
            .unwrap();
        let without = |flag: Flags| {
            folder
                .messages
                .values()
                .filter(move |m| m.flags & bits(flag) == 0)
                .count() as u32
        };
        assert_eq!(
            view.uids,
            folder.messages.keys().copied().collect::<UidSet>()
        );
        assert_eq!(view.status.uidnext, folder.uidnext);
        assert_eq!(view.status.messages as usize, folder.messages.len());
        assert_eq!(view.status.unseen, without(Flags::SEEN));
        assert_eq!(
            view.status.deleted,
            view.status.messages - without(Flags::DELETED)
        );
        assert_eq!(
            view.status.bytes,
            folder.messages.values().map(|m| m.size).sum::<u64>()
        );
        let unseen = folder
            .messages
            .iter()
            .find(|(_, m)| m.flags & bits(Flags::SEEN) == 0);
        assert_eq!(view.first_unseen, unseen.map(|(uid, _)| *uid));
        let all = UidSet::range(1, u32::MAX);
        let rows = self
            .node
            .mailboxes
            .rows(id, view.status.mailbox, all, 1_000)
            .await
            .unwrap();
        let rows: BTreeMap<_, _> = rows
            .rows
            .into_iter()
            .map(|row| {
                assert!(row.keywords.iter().all(|k| view.keywords.contains(k)));
                let (flags, keywords) = (bits(row.flags), words(&row.keywords));
                let body = row.body.offset / 100;
                (
                    row.uid,
                    Message {
                        flags,
                        keywords,
                        body,
                        size: row.size,
                    },
                )
            })
            .collect();
        assert_eq!(rows, folder.messages);
    }

    async fn check_verify(&self) {
        let mut after = None;
        loop {
            let recount = self.node.mailboxes.recount(after).await.unwrap();
            assert_eq!(recount.faults, Vec::<String>::new());
            after = recount.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(
            self.node.mailboxes.orphans().await.unwrap(),
            Vec::<String>::new()
        );
        let rows: usize = self
            .accounts
            .iter()
            .flat_map(|a| a.folders.values())
            .map(|f| f.1.messages.len())
            .sum();
        assert_eq!(
            self.node.mailboxes.references(None).await.unwrap().len(),
            rows
        );
    }
}
