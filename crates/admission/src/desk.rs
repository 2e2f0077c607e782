//! The desk itself: asks `policy::gate` whether a login is offered and whether this name may come in this
//! way, has `directory` look at the secret, and notes what came of it for findings, letters and status
//! pages. Shared by all sessions of a node; does no I/O of its own but what `directory` needs.

use crate::notice::{self, ToldToday};
use crate::outcome::{Barred, Notice, Outcome};
use crate::standing::Facts;
use crate::{Exchange, Standing, Unoffered, Visit};
use directory::sasl::Mechanism;
use directory::{Claimed, Directory, Identity, Login, LoginRuling, Refusal};
use platform::clock::{Clock, Timestamp};
use policy::clients::Hints;
use policy::connections::{self, Connections, Contact, Seen};
use policy::gate::{self, Attempt, Noticed, Ruling};
use policy::{Encryption, Findings, Measure, Policies, Sender, Snapshot, Stage};
use std::borrow::Cow;
use std::sync::Arc;

/// What a desk works with.
pub struct DeskParts {
    /// Who may log in.
    pub directory: Directory,
    /// What the provider decided.
    pub policies: Policies,
    /// Where it is noted how accounts connect.
    pub connections: Connections,
    /// Where it is noted what a measure would refuse.
    pub findings: Findings,
    /// The time.
    pub clock: Clock,
    /// This node's name: where its help pages are, unless policy names another place.
    pub host_name: Box<str>,
}

/// The login desk. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    parts: DeskParts,
    help_url: Box<str>,
    told_today: ToldToday,
}

/// Whether a secret came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    /// The password itself.
    Sent,
    /// Nothing, or only a proof that one is known.
    Kept,
}

impl Desk {
    /// A desk over these services.
    pub fn new(parts: DeskParts) -> Self {
        let help_url = policy::own_help_url(&parts.host_name).into();
        Self {
            inner: Arc::new(Inner {
                parts,
                help_url,
                told_today: ToldToday::default(),
            }),
        }
    }

    /// Who may log in.
    pub(crate) fn directory(&self) -> &Directory {
        &self.inner.parts.directory
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    /// Whether a login is offered at all on this connection: `Err` where everybody would be refused.
    ///
    /// # Errors
    /// What the peer is told where it tries nevertheless.
    pub fn offer(&self, visit: &Visit<'_>) -> Result<(), Barred> {
        let policy = self.inner.parts.policies.snapshot();
        let attempt = self.attempt(&policy, visit.facts(), None, self.now());
        match gate::before_login(&policy, &attempt) {
            Ruling::Admit(_) => Ok(()),
            Ruling::Refuse(refusal) => Err(Barred::new(refusal)),
        }
    }

    /// Those of `mechanisms` that this connection can do: the -PLUS ones need something to bind to.
    pub fn mechanisms<'m>(
        &self,
        visit: &Visit<'_>,
        mechanisms: &'m [Mechanism],
    ) -> impl Iterator<Item = Mechanism> + use<'m> {
        let binds = visit.can_bind();
        mechanisms
            .iter()
            .copied()
            .filter(move |one| binds || *one != Mechanism::ScramSha256Plus)
    }

    /// A login by name and password in one step (IMAP LOGIN, POP3 USER and PASS).
    pub async fn login(
        &self,
        visit: &Visit<'_>,
        user: &str,
        password: &[u8],
        now: Timestamp,
    ) -> Outcome {
        let claimed = match self.directory().claimed(user).await {
            Ok(claimed) => claimed,
            Err(later) => return Outcome::Refused(later),
        };
        let noticed = match self.rule(visit, &claimed, Secret::Sent, now) {
            Ok(noticed) => noticed,
            Err(barred) => return barred,
        };
        let login = Login {
            user,
            password,
            protocol: visit.protocol(),
            peer: visit.peer,
            now,
        };
        let ruling = self.directory().login(login).await;
        self.conclude(visit, Some(&claimed), &noticed, ruling, now)
    }

    /// Begins an authentication exchange; nothing is sent or asked yet.
    pub fn exchange(&self, mechanism: Mechanism, visit: &Visit<'_>) -> Exchange {
        Exchange::start(self, mechanism, visit)
    }

    /// Somebody gave a name, and perhaps a password, where no login is offered. Nobody looks at the
    /// password; whose it was is noted.
    pub async fn turned_away(&self, visit: &Visit<'_>, attempt: &Unoffered<'_>, now: Timestamp) {
        let Some((user, secret)) = attempt.named() else {
            return;
        };
        if let Ok(claimed) = self.directory().claimed(&user).await {
            self.note_barred(visit, &claimed, secret, now);
        }
    }

    /// The client said who it is after the login was noted.
    pub fn recognised(&self, before: &Visit<'_>, after: &Visit<'_>, identity: &Identity) {
        let (was, is) = (self.client(before), self.client(after));
        if was == is {
            return;
        }
        let now = self.now();
        let (account, outcome) = (identity.account, connections::Outcome::LoggedIn);
        self.inner.parts.connections.recognised(
            &Seen {
                account,
                contact: contact(before, &was, outcome, now),
            },
            &Seen {
                account,
                contact: contact(after, &is, outcome, now),
            },
        );
    }

    /// A server that speaks for an account hands mail in over TLS, without a login: it needs the TLS version that the
    /// account needs, and is seen among its connections.
    ///
    /// # Errors
    /// What it is told.
    pub fn relayed(
        &self,
        visit: &Visit<'_>,
        identity: &Identity,
        now: Timestamp,
    ) -> Result<(), Barred> {
        let policy = self.inner.parts.policies.snapshot();
        let attempt = self.attempt(&policy, visit.facts(), Some(scope(identity)), now);
        match gate::login(&policy, &attempt) {
            Ruling::Admit(noticed) => {
                // Nobody reads a notice there; letters are for people.
                self.admitted(visit, identity, &noticed, now);
                Ok(())
            }
            Ruling::Refuse(refusal) => Err(Barred::new(refusal)),
        }
    }

    /// What watches whether a session may go on; see `Standing`.
    pub fn standing(&self, visit: &Visit<'_>, identity: Option<&Identity>) -> Standing {
        Standing::new(self, visit, identity)
    }

    /// Rules on a name, before its secret is looked at.
    pub(crate) fn rule(
        &self,
        visit: &Visit<'_>,
        claimed: &Claimed,
        secret: Secret,
        now: Timestamp,
    ) -> Result<Noticed, Outcome> {
        let policy = self.inner.parts.policies.snapshot();
        let sender = Sender {
            account: claimed.account,
            domain: claimed.domain(),
            group: claimed.group.as_deref(),
        };
        let attempt = self.attempt(&policy, visit.facts(), Some(sender), now);
        match gate::login(&policy, &attempt) {
            Ruling::Admit(noticed) => Ok(noticed),
            Ruling::Refuse(refusal) => {
                self.note_barred(visit, claimed, secret, now);
                log_barred(visit, claimed, &refusal);
                Err(Outcome::Barred(Barred::new(refusal)))
            }
        }
    }

    /// Whether whoever logged in could do so now.
    pub(crate) fn still_admits(
        &self,
        facts: Facts,
        sender: Option<Sender<'_>>,
    ) -> Result<(), Barred> {
        let policy = self.inner.parts.policies.snapshot();
        let attempt = self.attempt(&policy, facts, sender, self.now());
        let ruling = match sender {
            Some(_) => gate::login(&policy, &attempt),
            None => gate::before_login(&policy, &attempt),
        };
        match ruling {
            Ruling::Admit(_) => Ok(()),
            Ruling::Refuse(refusal) => Err(Barred::new(refusal)),
        }
    }

    /// Notes what came of a login and says it in the session's words.
    pub(crate) fn conclude(
        &self,
        visit: &Visit<'_>,
        claimed: Option<&Claimed>,
        noticed: &Noticed,
        ruling: LoginRuling,
        now: Timestamp,
    ) -> Outcome {
        directory::login::record(&ruling, visit.protocol(), visit.peer, visit.tls);
        match ruling {
            LoginRuling::Accepted(identity) => {
                let notice = self.admitted(visit, &identity, noticed, now);
                Outcome::LoggedIn { identity, notice }
            }
            LoginRuling::Refused(Refusal::WrongPassword | Refusal::ChannelBinding) => {
                if let Some(account) = claimed.and_then(|claimed| claimed.account) {
                    let client = self.client(visit);
                    let outcome = connections::Outcome::WrongPassword;
                    self.inner.parts.connections.note(&Seen {
                        account,
                        contact: contact(visit, &client, outcome, now),
                    });
                }
                Outcome::Refused(ruling)
            }
            LoginRuling::Refused(_) | LoginRuling::TryLater { .. } => Outcome::Refused(ruling),
        }
    }
}

impl Desk {
    fn attempt<'a>(
        &'a self,
        policy: &'a Snapshot,
        facts: Facts,
        sender: Option<Sender<'a>>,
        now: Timestamp,
    ) -> Attempt<'a> {
        let account = sender.and_then(|sender| sender.account);
        Attempt {
            service: facts.service,
            door: facts.door,
            tls: facts.tls,
            sender,
            enrolled: account.is_some_and(|account| policy.enrolled(account)),
            help: policy.help_url().unwrap_or(&self.inner.help_url),
            now,
        }
    }

    /// The key of the mail program.
    fn client(&self, visit: &Visit<'_>) -> Cow<'static, str> {
        self.recognise(&visit.hints())
    }

    pub(crate) fn recognise(&self, hints: &Hints<'_>) -> Cow<'static, str> {
        self.inner.parts.policies.catalogue().recognise(hints).key()
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.inner.parts.connections
    }

    fn note_barred(&self, visit: &Visit<'_>, claimed: &Claimed, secret: Secret, now: Timestamp) {
        let Some(account) = claimed.account else {
            return;
        };
        let in_clear = visit.encryption == Encryption::Clear && secret == Secret::Sent;
        let outcome = match in_clear {
            true => connections::Outcome::PasswordInClear,
            false => connections::Outcome::Refused,
        };
        let client = self.client(visit);
        self.inner.parts.connections.note(&Seen {
            account,
            contact: contact(visit, &client, outcome, now),
        });
    }

    /// Somebody is in: notes how, and what a measure would say to it.
    fn admitted(
        &self,
        visit: &Visit<'_>,
        identity: &Identity,
        noticed: &Noticed,
        now: Timestamp,
    ) -> Option<Box<Notice>> {
        let account = identity.account;
        let client = self.client(visit);
        self.inner.parts.connections.note(&Seen {
            account,
            contact: contact(visit, &client, connections::Outcome::LoggedIn, now),
        });
        let mut notice = None;
        for (measure, stage) in noticed.iter() {
            let findings = &self.inner.parts.findings;
            findings.note(measure.clone(), account, &client, now);
            if *stage == Stage::Warn && notice.is_none() {
                notice = Some(self.notice(visit, identity, measure, now));
            }
        }
        notice
    }

    fn notice(
        &self,
        visit: &Visit<'_>,
        identity: &Identity,
        measure: &Measure,
        now: Timestamp,
    ) -> Box<Notice> {
        let policy = self.inner.parts.policies.snapshot();
        let help = policy.help_url().unwrap_or(&self.inner.help_url);
        let ends = notice::ends(&policy, visit.door, &scope(identity), measure, now);
        let today = policy.day(now);
        Box::new(Notice {
            text: notice::text(measure, ends, help),
            repeated: self.inner.told_today.tell(identity.account, today),
        })
    }
}

/// Whom policy is asked about.
pub(crate) fn scope(identity: &Identity) -> Sender<'_> {
    Sender {
        account: Some(identity.account),
        domain: identity
            .login
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain),
        group: identity.group.as_deref(),
    }
}

pub(crate) fn contact<'a>(
    visit: &Visit<'a>,
    client: &'a str,
    outcome: connections::Outcome,
    now: Timestamp,
) -> Contact<'a> {
    Contact {
        service: visit.service,
        port: visit.port,
        encryption: visit.encryption,
        door: visit.door,
        tls: visit.tls.map(|tls| (tls.version, tls.cipher)),
        client,
        outcome,
        peer: visit.peer,
        now,
    }
}

/// As `directory::login::record`, for a login that never came to a password. Not who was named: that may
/// be anything.
fn log_barred(visit: &Visit<'_>, claimed: &Claimed, refusal: &gate::Refusal) {
    tracing::info!(
        protocol = visit.protocol().name(),
        outcome = refusal.reason,
        account = claimed.account.map(|account| account.0),
        peer = %visit.peer,
        door = visit.door.word(),
        tls = visit.tls.map(|tls| tls.version.as_str()),
        explain = refusal.explain,
        "login"
    );
}
