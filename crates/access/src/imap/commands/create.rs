//! CREATE (RFC 3501 §6.3.3), with a special use where one is asked for (RFC 6154 §3).

use super::Outcome;
use crate::imap::names;
use crate::imap::reply::{Code, Reply};
use crate::imap::wire::Wire;
use directory::AccountId;
use mailbox::SpecialUse;

pub(super) async fn run(
    wire: &mut Wire,
    account: AccountId,
    mailbox: &[u8],
    special_use: Option<&str>,
) -> Outcome {
    let name = match names::from_wire(mailbox) {
        Ok(name) => name,
        Err(reply) => return Ok(reply),
    };
    let special_use = match special_use.map(use_named) {
        None => None,
        Some(Some(special)) => Some(special),
        Some(None) => {
            return Ok(Reply::no(
                Code::UseAttr,
                "A mailbox can be used for \\Archive, \\Drafts, \\Junk, \\Sent or \\Trash.",
            ));
        }
    };
    Ok(
        match wire
            .context
            .mailboxes
            .create(account, &name, special_use)
            .await
        {
            Ok(_) => Reply::ok("Created."),
            Err(error) => Reply::from(error),
        },
    )
}

fn use_named(name: &str) -> Option<SpecialUse> {
    let name = name.strip_prefix('\\')?;
    SpecialUse::ALL
        .into_iter()
        .find(|special| special.name().eq_ignore_ascii_case(name))
}
