//! Asks the operator's rules at each point of a session and carries out what they say about it: refusals with the
//! rule's own words, what EHLO offers, header changes, how a message travels on. What rules mean is
//! `policy::rules`'; sessions call this at one place per command. Without rules it costs nothing.

mod refusal;
mod remembered;

pub(super) use remembered::Remembered;

use super::extension::Extension;
use super::incoming::{HeaderRules, Message};
use super::rulings::Refusal;
use super::session::Session;
use super::settings::Listener;
use super::state::Envelope;
use crate::reply::Reply;
use directory::sasl::Mechanism;
use directory::{Claimed, DomainName, Resolution};
use formats::address::Address;
use platform::net;
use platform::store::StoreError;
use policy::rules::{
    Action, Decision, Extensions, Fact, Facts, HeaderFacts, Known, Point, Recipient, Rule, Tls,
    Way, evaluate,
};
use policy::{Door, Snapshot};
use queue::{DeliverTo, Dispatch, Folder, Notify, Origin, ReversePath};
use remembered::{OwnRecipient, Since};
use std::sync::Arc;

/// What rules say, without borrowing them.
#[derive(Debug, Default)]
struct Asked {
    refusal: Option<Refusal>,
    off: Extensions,
    mechanisms: Option<Vec<Mechanism>>,
    actions: Vec<Action>,
    tags: Vec<Box<str>>,
}

/// A client connected. `Some` stands in place of the greeting.
pub(super) async fn connect(session: &mut Session) -> Option<Reply> {
    let policy = session.context.policies.snapshot();
    let rules = policy.rules();
    if rules.mentions(&Fact::ReverseName) {
        let address = session.connection.stream.peer().ip();
        let watch = session.context.policies.watch();
        session.rules.reverse_name = match watch.reverse_name(address).await {
            Ok(name) => Known::of(name.map(String::into_boxed_str)),
            Err(policy::rules::NoAnswer) => Known::Unknown,
        };
    }
    let asked = ask(
        session,
        &policy,
        Point::Connect,
        &facts(session),
        Asking::Once,
    );
    let refusal = asked.refusal.clone();
    session.rules.keep(&asked.tags, Since::Connect);
    narrow(session, &asked);
    refusal.map(|refusal| refusal.reply)
}

/// EHLO or HELO said `name`, and the session is greeted. What the listener offers is set anew.
pub(super) fn hello(session: &mut Session) -> Option<Reply> {
    if let Some(listener) = session.rules.listener.take() {
        session.listener = listener;
    }
    session.rules.forget(Since::Hello);
    session.rules.forget(Since::Message);
    if session.login.is_none() {
        session.rules.forget(Since::Login);
    }
    let policy = session.context.policies.snapshot();
    if !policy.rules().asks_at(Point::Hello) && !policy.rules().asks_at(Point::Connect) {
        return None;
    }
    if policy.rules().mentions(&Fact::Program) {
        let catalogue = session.context.policies.catalogue();
        let key = catalogue.recognise(&session.visit().hints()).key();
        session.rules.program = Some(key.into());
    }
    // What is said at connect holds for the whole session, and perhaps otherwise in TLS.
    let base = facts(session);
    let mut asked = offer_of(evaluate(
        policy.rules(),
        Point::Connect,
        &base,
        now(session),
    ));
    let at_hello = ask(session, &policy, Point::Hello, &base, Asking::Once);
    let refusal = at_hello.refusal.clone();
    asked.off.add_all(at_hello.off);
    asked.mechanisms = at_hello.mechanisms.clone().or(asked.mechanisms);
    session.rules.keep(&at_hello.tags, Since::Hello);
    narrow(session, &asked);
    refusal.map(|refusal| refusal.reply)
}

/// What a decision says about what is offered.
fn offer_of(decision: Decision<'_>) -> Asked {
    Asked {
        off: decision.extensions_off(),
        mechanisms: decision.mechanisms(),
        ..Asked::default()
    }
}

/// Takes from the listener what rules take; the session goes on with what is left.
fn narrow(session: &mut Session, asked: &Asked) {
    let nothing = asked.mechanisms.is_none() && asked.off == Extensions::default();
    if nothing {
        return;
    }
    let whole = session.listener.clone();
    let mut narrowed = Listener::clone(&whole);
    let off = Extension::ALL.iter().copied();
    let off = off.filter(|one| !whole.offers(*one) || asked.off.contains_keyword(one.keyword()));
    narrowed.extensions_off = off.collect();
    if let Some(only) = &asked.mechanisms {
        let offered = whole.mechanisms(&session.context.settings).iter();
        let left = offered
            .copied()
            .filter(|mechanism| only.contains(mechanism));
        narrowed.mechanisms = Some(left.collect());
    }
    session.listener = Arc::new(narrowed);
    session.rules.listener.get_or_insert(whole);
}

/// AUTH asks for `mechanism`; nobody is known yet.
pub(super) fn auth(session: &mut Session, mechanism: Mechanism) -> Option<Reply> {
    let policy = session.context.policies.snapshot();
    let facts = Facts {
        mechanism: Known::Is(mechanism.name()),
        account: Known::Unknown,
        account_group: Known::Unknown,
        ..facts(session)
    };
    let asked = ask(session, &policy, Point::Auth, &facts, Asking::BeforeName);
    session.rules.forget(Since::Login);
    session.rules.keep(&asked.tags, Since::Login);
    asked.refusal.map(|refusal| refusal.reply)
}

/// AUTH named an account, which may be anybody's or nobody's. What rules refuse, they refuse here, where no secret was
/// looked at, so that right and wrong passwords get the same answer.
pub(super) fn named(session: &Session, mechanism: Mechanism, claimed: &Claimed) -> Option<Reply> {
    let policy = session.context.policies.snapshot();
    let facts = Facts {
        mechanism: Known::Is(mechanism.name()),
        account: Known::Is(&claimed.user),
        account_number: claimed.account,
        account_group: Known::of(claimed.group.as_deref()),
        way: Known::Is(Way::Outbound),
        ..facts(session)
    };
    let asked = ask(session, &policy, Point::Auth, &facts, Asking::AtName);
    asked.refusal.map(|refusal| refusal.reply)
}

/// The same without who it was.
fn of_nobody<'a>(facts: &Facts<'a>) -> Facts<'a> {
    Facts {
        account: Known::Unknown,
        account_number: None,
        account_group: Known::Unknown,
        ..*facts
    }
}

/// Somebody logged in by `mechanism`: now rules count and note it. Nothing is refused any more: `named` did, or a right
/// password would get another answer than a wrong one.
pub(super) fn logged_in(session: &mut Session, mechanism: Mechanism) {
    let policy = session.context.policies.snapshot();
    let facts = Facts {
        mechanism: Known::Is(mechanism.name()),
        ..facts(session)
    };
    let asked = ask(session, &policy, Point::Auth, &facts, Asking::AfterName);
    session.rules.keep(&asked.tags, Since::Login);
}

/// AUTH is asked about three times: before a name was said, with it, and when somebody proved to be that account. What
/// a rule counts or notes, it does once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Every other point.
    Once,
    /// Nobody is known.
    BeforeName,
    /// Somebody gave a name and proved nothing; nothing is counted or noted of it, but what is used up is used up.
    AtName,
    /// The account is known.
    AfterName,
}

impl Asking {
    /// Whether a rule is counted and noted now.
    fn is_turn_of(self, rule: &Rule) -> bool {
        match self {
            Self::Once => true,
            Self::BeforeName => !asks_who(rule),
            Self::AtName => false,
            Self::AfterName => asks_who(rule),
        }
    }

    /// Whether a rate of the rule is asked now.
    fn may_use_up(self, rule: &Rule) -> bool {
        match self {
            Self::AtName => asks_who(rule),
            _ => self.is_turn_of(rule),
        }
    }
}

/// Whether a rule hangs on the account, by what it asks or counts, or because it acts for a share of accounts.
fn asks_who(rule: &Rule) -> bool {
    if rule.schedule.canary.is_some() {
        return true;
    }
    let who = [Fact::Account, Fact::AccountGroup, Fact::Authenticated];
    let mut found = false;
    rule.when
        .each_test(&mut |test| found |= who.contains(&test.fact));
    found
        || rule.then.iter().any(|action| match action {
            Action::Rate { by, .. } => by.iter().any(|fact| who.contains(fact)),
            _ => false,
        })
}

/// MAIL named this sender.
pub(super) fn mail(
    session: &mut Session,
    path: &ReversePath,
    size: Option<u64>,
) -> Option<Refusal> {
    session.rules.begin_message();
    let policy = session.context.policies.snapshot();
    if !policy.rules().asks_at(Point::Mail) {
        return None;
    }
    let (sender, domain) = sender_texts(path);
    let facts = Facts {
        sender: Known::Is(&sender),
        sender_domain: Known::Is(&domain),
        size: Known::of(size),
        ..facts(session)
    };
    let asked = ask(session, &policy, Point::Mail, &facts, Asking::Once);
    session.rules.keep(&asked.tags, Since::Message);
    asked.refusal
}

/// RCPT named this recipient, and everything else accepts it.
///
/// # Errors
/// Those of the store.
pub(super) async fn rcpt(
    session: &mut Session,
    address: &Address,
) -> Result<Option<Refusal>, StoreError> {
    let policy = session.context.policies.snapshot();
    let rules = policy.rules();
    let records = session.context.policies.watch().records();
    let asked = [Point::Rcpt, Point::Data, Point::Route];
    if !records && !asked.iter().any(|point| rules.asks_at(*point)) {
        session.rules.recipients_missed = true;
        return Ok(None);
    }
    let domain = a_labels(address.domain());
    let mut group = None;
    if (records || rules.mentions(&Fact::RecipientGroup))
        && let Ok(name) = DomainName::parse(&domain)
    {
        let hosting = session.context.directory.hosting(&name).await?;
        group = hosting.group().map(Box::from);
    }
    let recipient = OwnRecipient {
        address: address.to_string(),
        domain,
        group,
    };
    let Some(path) = session.state.sender().map(|sender| sender.path.clone()) else {
        return Ok(None);
    };
    let (sender, sender_domain) = sender_texts(&path);
    let asked = {
        let one = [recipient.view()];
        let facts = Facts {
            sender: Known::Is(&sender),
            sender_domain: Known::Is(&sender_domain),
            recipients: Known::Is(&one),
            ..facts(session)
        };
        ask(session, &policy, Point::Rcpt, &facts, Asking::Once)
    };
    if asked.refusal.is_none() {
        session.rules.keep(&asked.tags, Since::Message);
        session.rules.add(recipient);
    }
    Ok(asked.refusal)
}

/// What rules do to the header of the message that begins; `None`: no rule looks at headers.
pub(super) fn header(session: &Session, envelope: &Envelope) -> Option<HeaderRules> {
    let policy = session.context.policies.snapshot();
    let rules = policy.rules();
    if !rules.needs_header() {
        return None;
    }
    let (sender, domain) = sender_texts(&envelope.sender.path);
    let recipients = session.rules.recipients();
    let facts = Facts {
        sender: Known::Is(&sender),
        sender_domain: Known::Is(&domain),
        recipients: Known::Is(&recipients),
        ..facts(session)
    };
    let case = policy::rules::Case::of(&facts, 0);
    Some(HeaderRules {
        policy,
        case,
        recipients_missed: session.rules.recipients_missed,
        now: now(session),
    })
}

/// What else becomes of a message that is taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// More recipients.
    pub(super) copies: Vec<queue::Recipient>,
}

/// The message is in: whether it is taken, and how it travels on.
///
/// # Errors
/// Those of the store.
pub(super) async fn message(
    session: &Session,
    envelope: &Envelope,
    message: &Message,
    dispatch: &mut Dispatch,
) -> Result<Result<Taken, Refusal>, StoreError> {
    let policy = session.context.policies.snapshot();
    let rules = policy.rules();
    let records = session.context.policies.watch().records();
    if !records && !rules.asks_at(Point::Data) && !rules.asks_at(Point::Route) {
        return Ok(Ok(Taken::default()));
    }
    let (sender, domain) = sender_texts(&envelope.sender.path);
    let actions = {
        let recipients = session.rules.recipients();
        let nothing = HeaderFacts::unread();
        let mut tags = session.rules.tags().to_vec();
        let facts = Facts {
            sender: Known::Is(&sender),
            sender_domain: Known::Is(&domain),
            recipients: known_recipients(session, &recipients),
            size: Known::Is(message.bytes),
            headers: Known::Is(message.report.for_rules.as_ref().unwrap_or(&nothing)),
            ..facts(session)
        };
        let asked = ask(session, &policy, Point::Data, &facts, Asking::Once);
        if let Some(refusal) = asked.refusal {
            return Ok(Err(refusal));
        }
        tags.extend(asked.tags);
        let facts = Facts {
            tags: &tags,
            ..facts
        };
        let routed = ask(session, &policy, Point::Route, &facts, Asking::Once);
        [asked.actions, routed.actions].concat()
    };
    let mut taken = Taken::default();
    for action in actions {
        match action {
            Action::Junk => dispatch.folder = Folder::Junk,
            Action::Group { name } => dispatch.group = Some(name.into()),
            Action::Priority { value } => dispatch.priority = value,
            Action::Delay { by } => {
                let earliest = policy.delayed(by.0, now(session));
                dispatch.release_at = dispatch.release_at.max(earliest);
            }
            Action::Copy { to } => {
                let copies = copies(session, &to).await?;
                note_forward(dispatch, envelope, &copies);
                let here = copies.iter().filter_map(|copy| match copy.deliver_to {
                    DeliverTo::Account(account) => Some(account),
                    DeliverTo::Remote => None,
                });
                dispatch.inbox_for.extend(here);
                for copy in copies {
                    let known = envelope.recipients.iter().chain(&taken.copies);
                    if !known.into_iter().any(|one| is_same(one, &copy)) {
                        taken.copies.push(copy);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(Ok(taken))
}

/// Whether both would bring the message to the same place.
fn is_same(one: &queue::Recipient, other: &queue::Recipient) -> bool {
    one.deliver_to == other.deliver_to
        && match one.deliver_to {
            DeliverTo::Account(_) => true,
            DeliverTo::Remote => {
                one.address.local() == other.address.local()
                    && one
                        .address
                        .domain()
                        .eq_ignore_ascii_case(other.address.domain())
            }
        }
}

/// Where a copy for this address goes. The sender hears nothing of it, whatever becomes of it.
async fn copies(session: &Session, to: &str) -> Result<Vec<queue::Recipient>, StoreError> {
    let Ok(address) = Address::parse(to) else {
        return Ok(Vec::new());
    };
    let resolution = session.context.directory.resolve(&address).await?;
    let copy = |address: Address, deliver_to| queue::Recipient {
        address,
        deliver_to,
        notify: Notify::NEVER,
        original: None,
    };
    Ok(match &*resolution {
        Resolution::Local {
            deliveries,
            forwards,
        } => {
            let here = deliveries.iter();
            let here = here.map(|to| copy(to.address.clone(), DeliverTo::Account(to.account)));
            let elsewhere = forwards.iter();
            here.chain(elsewhere.map(|to| copy(to.clone(), DeliverTo::Remote)))
                .collect()
        }
        Resolution::NoSuchDomain => vec![copy(address, DeliverTo::Remote)],
        _ => {
            tracing::warn!(to = %address, "rules.copy_to_nobody");
            Vec::new()
        }
    })
}

/// A copy of another server's message that leaves is a forward of the domain it came for.
fn note_forward(dispatch: &mut Dispatch, envelope: &Envelope, copies: &[queue::Recipient]) {
    let leaves = copies
        .iter()
        .any(|copy| copy.deliver_to == DeliverTo::Remote);
    if let Origin::Foreign { forwarded_by, .. } = &mut dispatch.origin
        && leaves
        && forwarded_by.is_none()
    {
        *forwarded_by = envelope.domains.first().map(|domain| domain.to_string());
    }
}

fn now(session: &Session) -> platform::clock::Timestamp {
    session.context.clock.now()
}

/// What is known of the connection.
fn facts(session: &Session) -> Facts<'_> {
    let stream = &session.connection.stream;
    let login = session.login.as_ref();
    let way = match login {
        Some(_) => Way::Outbound,
        None => Way::Inbound,
    };
    Facts {
        client: Known::Is(stream.peer().ip()),
        reverse_name: match &session.rules.reverse_name {
            Known::Unknown => Known::Unknown,
            Known::Absent => Known::Absent,
            Known::Is(name) => Known::Is(name),
        },
        port: Known::Is(stream.local().port()),
        service: Known::Is(session.role.name()),
        door: Known::Is(match session.connection.door {
            net::Door::Normal => Door::Normal,
            net::Door::Legacy => Door::Legacy,
        }),
        tls: Known::of(stream.tls().map(|tls| Tls {
            version: tls.version,
            cipher: tls.cipher,
        })),
        program: session
            .rules
            .program
            .as_deref()
            .map_or(Known::Unknown, Known::Is),
        hello: session
            .state
            .greeting()
            .map_or(Known::Unknown, |g| Known::Is(&*g.name)),
        account: Known::of(login.map(|login| &*login.login)),
        account_number: login.map(|login| login.account),
        account_group: Known::of(login.and_then(|login| login.group.as_deref())),
        way: Known::Is(way),
        tags: session.rules.tags(),
        ..Facts::default()
    }
}

fn sender_texts(path: &ReversePath) -> (String, String) {
    match path {
        ReversePath::Null => (String::new(), String::new()),
        ReversePath::Address(address) => (address.to_string(), a_labels(address.domain())),
    }
}

fn a_labels(domain: &str) -> String {
    match DomainName::parse(domain) {
        Ok(name) => name.to_string(),
        Err(_) => domain.to_ascii_lowercase(),
    }
}

/// Asks, notes and counts.
fn ask(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    facts: &Facts<'_>,
    asking: Asking,
) -> Asked {
    let now = now(session);
    let watch = session.context.policies.watch();
    let mut decision = evaluate(policy.rules(), point, facts, now);
    let mut refused = None;
    if !decision.is_silent() {
        let domain = facts.sender_domain.value().unwrap_or_default();
        let rates = &watch.rates;
        decision.noted.retain(|noted| {
            asking.is_turn_of(noted.rule) && rates.would_act(noted.rule, point, facts, now)
        });
        decision.actions.retain(|acting| match acting.action {
            Action::Rate { .. } => asking.may_use_up(acting.rule),
            _ => true,
        });
        watch.note(&decision, facts.account_number, domain, now);
        let counting = match asking {
            Asking::AtName => refusal::Counting::Looks,
            _ => refusal::Counting::Counts,
        };
        refused = refusal::refusal(session, policy, point, facts, &decision, (counting, now));
    }
    let is_whole = matches!(point, Point::Rcpt | Point::Data | Point::Auth);
    if is_whole && matches!(asking, Asking::Once | Asking::AfterName) || refused.is_some() {
        let facts = match asking {
            Asking::AtName => of_nobody(facts),
            _ => *facts,
        };
        watch.record(point, &facts, now);
    }
    Asked {
        refusal: refused,
        off: decision.extensions_off(),
        mechanisms: decision.mechanisms(),
        tags: decision.tags().map(Box::from).collect(),
        actions: (decision.actions.iter())
            .map(|acting| acting.action.clone())
            .collect(),
    }
}

/// The recipients, or that they are not known: rules came while the message was under way.
fn known_recipients<'r>(session: &Session, all: &'r [Recipient<'r>]) -> Known<&'r [Recipient<'r>]> {
    match session.rules.recipients_missed {
        true => Known::Unknown,
        false => Known::Is(all),
    }
}
