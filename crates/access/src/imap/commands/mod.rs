//! The commands, one file each, and the table that says when each may be given and what may be told
//! before its answer. Called by `session`, which has checked the table by then.

pub(super) mod append;
mod authenticate;
mod capability;
mod check;
mod close;
mod copy;
mod create;
mod delete;
mod enable;
mod expunge;
mod fetch;
mod id;
mod idle;
mod list;
mod login;
mod logout;
mod lsub;
mod r#move;
mod namespace;
mod noop;
mod rename;
mod search;
mod select;
mod starttls;
mod status;
mod store;
mod subscribe;
mod unselect;

use super::grammar::Command;
use super::grammar::command::{Access, Numbering};
use super::reply::Reply;
use super::selected::Expunges;
use super::session::{Session, State};
use super::wire::{Condstore, Ended};

/// How a command ends: with an answer, or with the session.
pub(super) type Outcome = Result<Reply, Ended>;

/// In which states a command may be given (RFC 3501 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// In every state.
    Always,
    /// Before login only.
    Stranger,
    /// After login.
    Known,
    /// While a mailbox is selected.
    Selected,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    /// The command's name, for texts.
    pub(super) name: &'static str,
    /// When it may be given.
    pub(super) when: When,
    /// What may be told before its answer (RFC 3501 §7.4.1).
    pub(super) expunges: Expunges,
    /// Whether it may delete the mailbox that is selected.
    pub(super) deletes: bool,
}

const fn row(name: &'static str, when: When, expunges: Expunges) -> Rule {
    Rule {
        name,
        when,
        expunges,
        deletes: false,
    }
}

/// The table.
#[rustfmt::skip]
pub(super) fn rule(command: &Command) -> Rule {
    use Expunges::{Allowed, Nothing};
    use When::{Always, Known, Selected, Stranger};
    match command {
        Command::Capability        => row("CAPABILITY",   Always,   Allowed),
        Command::Noop              => row("NOOP",         Always,   Allowed),
        Command::Logout            => row("LOGOUT",       Always,   Nothing),
        Command::Id(_)             => row("ID",           Always,   Allowed),
        Command::Starttls          => row("STARTTLS",     Stranger, Nothing),
        Command::Authenticate {..} => row("AUTHENTICATE", Stranger, Nothing),
        Command::Login {..}        => row("LOGIN",        Stranger, Nothing),
        Command::Enable(_)         => row("ENABLE",       Known,    Allowed),
        Command::Select { access: Access::ReadWrite, .. } => row("SELECT", Known, Nothing),
        Command::Select { access: Access::ReadOnly, .. } => row("EXAMINE", Known, Nothing),
        Command::Create {..}       => row("CREATE",       Known,    Allowed),
        Command::Delete(_)         => Rule { deletes: true, ..row("DELETE", Known, Allowed) },
        Command::Rename {..}       => row("RENAME",       Known,    Allowed),
        Command::Subscribe(_)      => row("SUBSCRIBE",    Known,    Allowed),
        Command::Unsubscribe(_)    => row("UNSUBSCRIBE",  Known,    Allowed),
        Command::List(_)           => row("LIST",         Known,    Allowed),
        Command::Lsub {..}         => row("LSUB",         Known,    Allowed),
        Command::Status {..}       => row("STATUS",       Known,    Allowed),
        Command::Namespace         => row("NAMESPACE",    Known,    Allowed),
        Command::Idle              => row("IDLE",         Known,    Nothing),
        Command::Check             => row("CHECK",        Selected, Allowed),
        Command::Close             => row("CLOSE",        Selected, Nothing),
        Command::Unselect          => row("UNSELECT",     Selected, Nothing),
        Command::Expunge           => row("EXPUNGE",      Selected, Allowed),
        Command::UidExpunge(_)     => row("UID EXPUNGE",  Selected, Allowed),
        Command::Search(search)    => row("SEARCH",       Selected, unless_numbers(search.numbering)),
        Command::Fetch(fetch)      => row("FETCH",        Selected, unless_numbers(fetch.numbering)),
        Command::Store(store)      => row("STORE",        Selected, unless_numbers(store.numbering)),
        Command::Copy(_)           => row("COPY",         Selected, Allowed),
        Command::Move(_)           => row("MOVE",         Selected, Allowed),
    }
}

/// With UIDs these are other commands, during which EXPUNGE may come (RFC 3501 §7.4.1).
fn unless_numbers(numbering: Numbering) -> Expunges {
    match numbering {
        Numbering::Sequence => Expunges::Held,
        Numbering::Uid => Expunges::Allowed,
    }
}

/// Does a command that `rule` allows now. Everything that waits is boxed, so that a session between
/// commands is small.
/// `None` where the answer is written already.
pub(super) async fn run(session: &mut Session, command: Command) -> Result<Option<Reply>, Ended> {
    let reply = match command {
        Command::Starttls => return Box::pin(starttls::run(session)).await,
        Command::Logout => return Box::pin(logout::run(session)).await,
        Command::Capability => capability::run(session),
        Command::Noop => noop::run(),
        Command::Id(pairs) => id::run(session, &pairs),
        Command::Authenticate { mechanism, initial } => {
            Box::pin(authenticate::run(session, &mechanism, initial)).await?
        }
        Command::Login { user, password } => Box::pin(login::run(session, user, password)).await?,
        Command::Idle => Box::pin(idle::run(session)).await?,
        Command::Select {
            mailbox,
            access,
            condstore,
        } => {
            if condstore {
                session.wire.condstore = Condstore::On;
            }
            Box::pin(select::run(session, &mailbox, access)).await?
        }
        Command::Close => Box::pin(close::run(session)).await?,
        Command::Unselect => Box::pin(unselect::run(session)).await?,
        command @ (Command::Enable(_)
        | Command::Create { .. }
        | Command::Delete(_)
        | Command::Rename { .. }
        | Command::Subscribe(_)
        | Command::Unsubscribe(_)
        | Command::List(_)
        | Command::Lsub { .. }
        | Command::Status { .. }
        | Command::Namespace) => Box::pin(run_known(session, command)).await?,
        command => Box::pin(run_selected(session, command)).await?,
    };
    Ok(Some(reply))
}

/// Commands that need an account.
async fn run_known(session: &mut Session, command: Command) -> Outcome {
    let Some(identity) = session.state.identity().cloned() else {
        return Ok(out_of_order());
    };
    let account = identity.account;
    let wire = &mut session.wire;
    match command {
        Command::Enable(wanted) => Ok(enable::run(wire, &wanted)),
        Command::Create {
            mailbox,
            special_use,
        } => create::run(wire, account, &mailbox, special_use.as_deref()).await,
        Command::Delete(mailbox) => delete::run(wire, account, &mailbox).await,
        Command::Rename { from, to } => rename::run(wire, account, &from, &to).await,
        Command::Subscribe(mailbox) => {
            subscribe::run(wire, account, &mailbox, subscribe::Wish::Subscribe).await
        }
        Command::Unsubscribe(mailbox) => {
            subscribe::run(wire, account, &mailbox, subscribe::Wish::Unsubscribe).await
        }
        Command::List(list) => list::run(wire, account, list).await,
        Command::Lsub { reference, pattern } => {
            lsub::run(wire, account, &reference, &pattern).await
        }
        Command::Status { mailbox, items } => status::run(wire, account, &mailbox, &items).await,
        Command::Namespace => Ok(namespace::run(wire)),
        _ => Ok(out_of_order()),
    }
}

/// Commands that need a selected mailbox.
async fn run_selected(session: &mut Session, command: Command) -> Outcome {
    let State::Selected(selected) = &mut session.state else {
        return Ok(out_of_order());
    };
    let wire = &mut session.wire;
    match command {
        Command::Check => Ok(check::run()),
        Command::Expunge => expunge::run(wire, selected, None).await,
        Command::UidExpunge(set) => expunge::run(wire, selected, Some(set)).await,
        Command::Search(search) => search::run(wire, selected, search).await,
        Command::Fetch(fetch) => fetch::run(wire, selected, fetch).await,
        Command::Store(store) => store::run(wire, selected, store).await,
        Command::Copy(copy) => copy::run(wire, selected, copy).await,
        Command::Move(copy) => r#move::run(wire, selected, copy).await,
        _ => Ok(out_of_order()),
    }
}

/// The table lets nothing come here; if it did, the peer would be told and not cut off.
fn out_of_order() -> Reply {
    Reply::bad("This command is not possible now.")
}
