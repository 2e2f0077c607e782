//! QUIT (RFC 1939 §6): the only command that removes anything.

use super::super::session::{Ended, Session, State, Then, Transaction};
use directory::{AccountId, Pop3Delete};
use mailbox::{Error, ExpungeScope, INBOX, MailboxId, Mailboxes, SpecialUse, UidSet};

pub(super) async fn run(session: &mut Session) -> Result<Then, Ended> {
    let State::Transaction(transaction) =
        std::mem::replace(&mut session.state, State::Authorization { user: None })
    else {
        session.ok("goodbye");
        return Ok(Then::End);
    };
    match update(session, &transaction).await {
        Ok(0) => session.ok("goodbye"),
        Ok(removed) => session.ok(&format!("goodbye; {removed} messages removed")),
        Err(error) => {
            tracing::error!(%error, "pop3.update_failed");
            // RFC 1939 §6: nothing, or not everything, was removed.
            session.refuse(
                "[SYS/TEMP] the marked messages could not be removed; they are still there",
            );
        }
    }
    Ok(Then::End)
}

async fn update(session: &Session, transaction: &Transaction) -> Result<usize, Error> {
    let messages = &transaction.maildrop.messages;
    let uids: Vec<u32> = transaction
        .marked
        .iter()
        .filter_map(|i| messages.get(*i))
        .map(|m| m.uid)
        .collect();
    if uids.is_empty() {
        return Ok(0);
    }
    let uids = UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid)));
    let mailboxes = &session.context.mailboxes;
    let account = transaction.identity.account;
    let trash = match transaction.identity.pop3_delete {
        Pop3Delete::Keep => return Ok(0),
        Pop3Delete::Remove => None,
        Pop3Delete::Trash => trash(mailboxes, account).await?,
    };
    let gone = match trash {
        Some(trash) => {
            mailboxes
                .move_messages(account, INBOX, uids, trash)
                .await?
                .source
        }
        None => {
            mailboxes
                .expunge(account, INBOX, ExpungeScope::Exactly(uids))
                .await?
                .uids
        }
    };
    Ok(gone.len() as usize)
}

async fn trash(mailboxes: &Mailboxes, account: AccountId) -> Result<Option<MailboxId>, Error> {
    let mailboxes = mailboxes.list(account).await?;
    let trash = mailboxes
        .iter()
        .find(|info| info.special_use == Some(SpecialUse::Trash));
    Ok(trash.map(|info| info.mailbox))
}
