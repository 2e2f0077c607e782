//! Mail at rest: mailboxes, messages, flags, and what changed since a session last looked.
//! One service, `Mailboxes`, with plain methods; `deliver` and a few others work inside a caller's
//! transaction. Knows no protocol and no network; every key begins with the account, so that no
//! call can reach another account's mail.

mod account;
mod append;
mod changes;
pub mod content;
mod copy;
mod deliver;
mod error;
mod expunge;
mod flags;
mod folders;
pub mod limits;
mod maildrop;
mod model;
mod name;
mod read;
mod schema;
mod service;
mod store_flags;
mod tally;
mod uidset;
pub mod verify;

pub use account::{after_restore, create_account_mailboxes, remove_account};
pub use append::{Appended, NewMessage};
pub use changes::{Changes, Expunged};
pub use content::Content;
pub use copy::Copied;
pub use deliver::{DeliverInto, Delivered, Delivery, deliver};
pub use error::{Error, NameProblem};
pub use expunge::{ExpungeScope, ExpungedUids};
pub use flags::{FlagChange, FlagOperation, Flags, Keywords};
pub use folders::Swept;
pub use maildrop::{Maildrop, MaildropMessage};
pub use model::{
    FlagRow, INBOX, MailboxId, MailboxInfo, MessageRow, Quota, RecentClaim, SpecialUse, Status,
    Usage, View, Watermark,
};
pub use name::MailboxName;
pub use read::Page;
pub use schema::SCHEMA;
pub use service::Mailboxes;
pub use store_flags::{StoredFlags, StoredRow};
pub use uidset::UidSet;
pub use verify::retarget;
