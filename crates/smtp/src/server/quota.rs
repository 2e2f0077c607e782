//! What one message uses of a customer's limits: counted at MAIL and RCPT, given back where the message
//! is not taken over. Mail from other servers has none. The counting itself is `policy::usage`.

use super::rulings::Refusal;
use super::senders;
use super::session::Session;
use crate::reply::{Reply, Status, Transient};
use directory::{AddressKey, DomainName, Identity};
use formats::address::Address;
use platform::store::StoreError;
use policy::usage::{Exceeded, Limit, Sending};
use std::fmt;

/// The count of one message; nothing for mail from other servers.
#[derive(Default)]
pub(super) struct Quota(Option<Box<Sending>>);

impl fmt::Debug for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = match &self.0 {
            Some(_) => "counted",
            None => "free",
        };
        f.write_str(counts)
    }
}

impl Quota {
    /// Another message of this customer begins.
    ///
    /// # Errors
    /// Those of the store; inside, the refusal of a limit that is reached.
    pub(super) async fn begin(
        session: &Session,
        login: &Identity,
    ) -> Result<Result<Self, Refusal>, StoreError> {
        let context = &session.context;
        let snapshot = context.policies.snapshot();
        let scope = senders::scope(login);
        let now = context.clock.now();
        let begun = context.usage.begin(&snapshot, &scope, now).await?;
        Ok(match begun {
            Ok(sending) => Ok(Self(Some(Box::new(sending)))),
            Err(exceeded) => Err(refused(&exceeded)),
        })
    }

    /// One more recipient.
    ///
    /// # Errors
    /// The refusal of a limit that is reached; the recipient does not count then.
    pub(super) fn recipient(&mut self, address: &Address) -> Result<(), Refusal> {
        let Some(sending) = &mut self.0 else {
            return Ok(());
        };
        let Some(key) = key(address) else {
            return Ok(());
        };
        sending.recipient(&key).map_err(|error| refused(&error))
    }

    /// The message was taken over: what it used stays used.
    pub(super) fn accepted(self) {
        if let Some(sending) = self.0 {
            sending.accepted();
        }
    }
}

/// Every recipient counts, also one at an address literal, which the directory has no key for.
fn key(address: &Address) -> Option<AddressKey> {
    AddressKey::of(address).or_else(|| {
        let nowhere = DomainName::parse("address-literal.invalid").ok()?;
        Some(AddressKey::new(&address.to_string(), nowhere))
    })
}

fn refused(exceeded: &Exceeded) -> Refusal {
    let (code, status) = match exceeded.limit {
        Limit::RecipientsPerMessage => (Transient::NoStorage, Status::TOO_MANY_RECIPIENTS),
        _ => (Transient::MailboxBusy, Status::NOT_AUTHORISED),
    };
    Refusal {
        reply: Reply::transient(
            code,
            status,
            format!("{}.\n{}.", exceeded.text(), exceeded.text_de()),
        ),
        reason: exceeded.limit.reason(),
        explain: "A sending limit of the customer, domain or group is reached.",
    }
}
