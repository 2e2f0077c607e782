//! A SASL exchange in front of the desk: `directory::sasl` speaks it, policy rules in the middle, where the
//! name is known and no secret was looked at.

use crate::desk::Secret;
use crate::{Desk, Outcome, Visit};
use directory::sasl::{self, Mechanism, Peer, PlusOffer};
use directory::{Claimed, LoginRuling};
use platform::clock::Timestamp;
use policy::gate::Noticed;

/// What comes next in an exchange.
#[derive(Debug)]
pub enum Step {
    /// Send these bytes (base64) and give the answer to `step`.
    Challenge(Vec<u8>),
    /// The client gave a name, which policy lets in this way if its secret is right; that was not looked at yet. `admit`
    /// goes on, dropping the exchange refuses. Comes once, and for every name alike; `claimed` says which.
    Named,
    /// It is over.
    Done(Outcome),
    /// The client broke the mechanism's grammar: SMTP 501 5.5.2, IMAP BAD, POP3 -ERR. It is over.
    Malformed(&'static str),
}

/// One authentication exchange. After `Done` or `Malformed` it is of no further use; a client that
/// cancels is the protocol's matter: drop the exchange.
pub struct Exchange {
    desk: Desk,
    inner: sasl::Exchange,
    mechanism: Mechanism,
    /// Whose it is, and what of it policy noticed; from the ruling on.
    admitted: Option<(Claimed, Noticed)>,
}

impl Exchange {
    pub(crate) fn start(desk: &Desk, mechanism: Mechanism, visit: &Visit<'_>) -> Self {
        let peer = Peer {
            protocol: visit.protocol(),
            address: visit.peer,
            bindings: visit.bindings(),
            plus: match visit.can_bind() {
                true => PlusOffer::Offered,
                false => PlusOffer::NotOffered,
            },
        };
        Self {
            desk: desk.clone(),
            inner: sasl::Exchange::start(desk.directory(), mechanism, peer),
            mechanism,
            admitted: None,
        }
    }

    /// The first step: with the initial response where the client sent one (an empty one, `=`, is
    /// `Some(b"")`), `None` where it did not.
    pub async fn first(
        &mut self,
        visit: &Visit<'_>,
        initial: Option<&[u8]>,
        now: Timestamp,
    ) -> Step {
        let step = self.inner.first(initial, now).await;
        self.go_on(visit, step, now)
    }

    /// The client's answer to the last challenge, decoded. `visit` is the one it began with.
    pub async fn step(&mut self, visit: &Visit<'_>, message: &[u8], now: Timestamp) -> Step {
        let step = self.inner.step(message, now).await;
        self.go_on(visit, step, now)
    }

    /// Goes on after `Step::Named`.
    pub async fn admit(&mut self, visit: &Visit<'_>, now: Timestamp) -> Step {
        let step = self.inner.admit(now).await;
        self.go_on(visit, step, now)
    }

    /// Whom the client claims to be, between `Step::Named` and the end.
    pub fn claimed(&self) -> Option<&Claimed> {
        self.admitted.as_ref().map(|(claimed, _)| claimed)
    }

    fn go_on(&mut self, visit: &Visit<'_>, step: sasl::Step, now: Timestamp) -> Step {
        match step {
            sasl::Step::Named(claimed) => match self.rule(visit, claimed, now) {
                Ok(()) => Step::Named,
                Err(barred) => Step::Done(barred),
            },
            sasl::Step::Challenge(challenge) => Step::Challenge(challenge),
            sasl::Step::Done(ruling) => Step::Done(self.conclude(visit, ruling, now)),
            sasl::Step::Malformed(text) => Step::Malformed(text),
        }
    }

    fn rule(&mut self, visit: &Visit<'_>, claimed: Claimed, now: Timestamp) -> Result<(), Outcome> {
        // The password of PLAIN came with the name; that of LOGIN is not asked for then.
        let secret = match self.mechanism {
            Mechanism::Plain => Secret::Sent,
            _ => Secret::Kept,
        };
        let noticed = self.desk.rule(visit, &claimed, secret, now)?;
        self.admitted = Some((claimed, noticed));
        Ok(())
    }

    fn conclude(&mut self, visit: &Visit<'_>, ruling: LoginRuling, now: Timestamp) -> Outcome {
        let (claimed, noticed) = self.admitted.take().unzip();
        let noticed = noticed.unwrap_or_default();
        self.desk
            .conclude(visit, claimed.as_ref(), &noticed, ruling, now)
    }
}
