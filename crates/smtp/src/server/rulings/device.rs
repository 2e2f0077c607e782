//! Rules on what a limited app password sends: as whom, to whom, how much. Pure; asked beside the rulings on the account,
//! which hold all the same. Texts say what the device's owner has to change.

use super::Refusal;
use crate::reply::{Permanent, Reply, Status, Transient};
use directory::login::SendsReached;
use directory::password::{AppLimits, Party};
use formats::address::Address;
use policy::ownership::{Claims, Fault};
use queue::ReversePath;

/// Allowed senders or recipients that a refusal names.
const NAMED_MAX: usize = 3;

/// The ruling on MAIL FROM.
pub(in crate::server) fn sender(limits: &AppLimits, path: &ReversePath) -> Result<(), Refusal> {
    let address = match path {
        ReversePath::Null => None,
        ReversePath::Address(address) => Some(address),
    };
    let may = limits.may_send_as(address);
    may.then_some(()).ok_or_else(|| wrong_sender(limits))
}

/// The ruling on the senders in the header; `Err` inside where they cannot be told.
pub(in crate::server) fn header(
    limits: &AppLimits,
    claims: Result<&Claims, &Fault>,
) -> Result<(), Refusal> {
    let may = match claims {
        Ok(claims) => {
            let mut claims = claims.claims.iter();
            claims.all(|claim| limits.may_send_as(Some(&claim.address)))
        }
        Err(_) => limits.senders.is_empty(),
    };
    may.then_some(()).ok_or_else(|| wrong_sender(limits))
}

/// The ruling on one RCPT; `None` is the postmaster of this server.
pub(in crate::server) fn recipient(
    limits: &AppLimits,
    address: Option<&Address>,
) -> Result<(), Refusal> {
    if limits.may_send_to(address) {
        return Ok(());
    }
    let allowed = named(&limits.recipients);
    Err(Refusal {
        reply: Reply::permanent(
            Permanent::Refused,
            Status::NOT_AUTHORISED,
            format!(
                "The app password of this device may send to {allowed} only. To send to others, make \
                 an app password for that and enter it in the device.\n\
                 Das App-Passwort dieses Geraets darf nur an {allowed} senden. Fuer andere Empfaenger \
                 legen Sie ein App-Passwort an, das es darf, und tragen es im Geraet ein."
            ),
        ),
        reason: "app-password-recipient",
        explain: "The app password is limited to other recipients.",
    })
}

fn wrong_sender(limits: &AppLimits) -> Refusal {
    let allowed = named(&limits.senders);
    Refusal {
        reply: Reply::permanent(
            Permanent::Refused,
            Status::NOT_AUTHORISED,
            format!(
                "The app password of this device may send as {allowed} only. Enter that as the \
                 device's sender address, or make an app password for another one.\n\
                 Das App-Passwort dieses Geraets darf nur als {allowed} senden. Tragen Sie das im \
                 Geraet als Absender ein, oder legen Sie ein App-Passwort fuer einen anderen an."
            ),
        ),
        reason: "app-password-sender",
        explain: "The app password is limited to other senders.",
    }
}

/// What is told where the device has sent as much as it may.
pub(in crate::server) fn too_many(reached: SendsReached) -> Refusal {
    let (en, de) = match (reached.per_hour, reached.per_day) {
        (Some(hour), Some(day)) => (
            format!("{hour} messages an hour and {day} a day"),
            format!("{hour} Nachrichten je Stunde und {day} am Tag"),
        ),
        (Some(hour), None) => (
            format!("{hour} messages an hour"),
            format!("{hour} Nachrichten je Stunde"),
        ),
        (None, day) => {
            let day = day.unwrap_or_default();
            (
                format!("{day} messages a day"),
                format!("{day} Nachrichten am Tag"),
            )
        }
    };
    Refusal {
        reply: Reply::transient(
            Transient::MailboxBusy,
            Status::NOT_AUTHORISED,
            format!(
                "The app password of this device may send {en}; these are used up. Nothing was sent; \
                 the device may try again later. If it needs more, make an app password that may.\n\
                 Das App-Passwort dieses Geraets darf {de} senden; sie sind verbraucht. Es wurde \
                 nichts gesendet; das Geraet kann es spaeter erneut versuchen. Braucht es mehr, legen \
                 Sie ein App-Passwort an, das mehr darf."
            ),
        ),
        reason: "app-password-rate",
        explain: "As many messages as the app password may send in an hour or a day were sent.",
    }
}

/// The first of the allowed; a reply is ASCII, so that other names are left to the operator to tell.
fn named(parties: &[Party]) -> String {
    let texts = parties
        .iter()
        .map(Party::to_string)
        .filter(|p| p.is_ascii());
    let mut named: Vec<_> = texts.take(NAMED_MAX).collect();
    if named.is_empty() || parties.len() > named.len() {
        named.push("...".to_owned());
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> AppLimits {
        text.parse().unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn every_text_can_be_a_reply_and_says_what_to_do() {
        let limits =
            limits("from=scanner@firma.test,kopierer@bücher.test to=a.test,b.test,c.test,d.test");
        let refusals = [
            sender(&limits, &ReversePath::Address(address("anna@firma.test"))).unwrap_err(),
            recipient(&limits, Some(&address("x@e.test"))).unwrap_err(),
            recipient(&limits, None).unwrap_err(),
            header(&limits, Err(&Fault::NoFrom)).unwrap_err(),
        ];
        for refusal in refusals {
            let text = format!("{:?}", refusal.reply);
            assert!(text.is_ascii(), "{text}");
            assert_eq!(
                (refusal.reply.code(), refusal.reply.enhanced().as_str()),
                (550, "5.7.1")
            );
        }
        for (per_hour, per_day) in [(Some(1), Some(2)), (Some(1), None), (None, Some(2))] {
            let refusal = too_many(SendsReached { per_hour, per_day });
            assert_eq!(
                (refusal.reply.code(), refusal.reply.enhanced().as_str()),
                (450, "4.7.1")
            );
        }
    }

    #[test]
    fn an_app_password_without_such_limits_sends_whatever_the_account_may() {
        let limits = limits("send-only per-hour=3");
        assert_eq!(sender(&limits, &ReversePath::Null), Ok(()));
        assert_eq!(header(&limits, Err(&Fault::NoFrom)), Ok(()));
        assert_eq!(recipient(&limits, None), Ok(()));
    }
}
