//! Asks the operator's rules at each point of a session and carries out what they say about it: refusals with the
//! rule's own words, what EHLO offers, header changes, how a message travels on. What rules mean is
//! `policy::rules`'; sessions call this at one place per command. Without rules it costs nothing.

use super::extension::Extension;
use super::incoming::{HeaderRules, Message};
use super::rulings::{Refusal, recipient};
use super::session::Session;
use super::settings::Listener;
use super::state::Envelope;
use crate::reply::{Permanent, Reply, Status, Transient};
use directory::sasl::Mechanism;
use directory::{DomainName, Resolution};
use formats::address::Address;
use platform::net;
use platform::store::StoreError;
use platform::tls::TlsVersion;
use policy::rules::{
    Acting, Action, Decision, Extensions, Fact, Facts, HeaderFacts, Known, Point, Recipient, Room,
    Rule, StatusCode, Tls, Way, evaluate,
};
use policy::{Door, Snapshot};
use queue::{DeliverTo, Dispatch, Folder, Notify, Origin, ReversePath};
use std::sync::Arc;

/// What rules need to remember of a session.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The listener as it is set up, where rules took something from it.
    listener: Option<Arc<Listener>>,
    tags: Vec<Box<str>>,
    /// How many of the tags are the session's; the others are the transaction's.
    tags_of_session: usize,
    reverse_name: Known<Box<str>>,
    program: Option<Box<str>>,
    recipients: Vec<OwnRecipient>,
}

/// A recipient that was accepted.
#[derive(Debug)]
struct OwnRecipient {
    address: String,
    domain: String,
    group: Option<Box<str>>,
}

impl OwnRecipient {
    fn view(&self) -> Recipient<'_> {
        Recipient {
            address: Known::Is(&self.address),
            domain: &self.domain,
            group: Known::of(self.group.as_deref()),
        }
    }
}

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
    settle(session, &asked);
    narrow(session, &asked);
    session.rules.tags_of_session = session.rules.tags.len();
    refusal.map(|refusal| refusal.reply)
}

/// EHLO or HELO said `name`, and the session is greeted. What the listener offers is set anew.
pub(super) fn hello(session: &mut Session) -> Option<Reply> {
    if let Some(listener) = session.rules.listener.take() {
        session.listener = listener;
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
    settle(session, &at_hello);
    narrow(session, &asked);
    session.rules.tags_of_session = session.rules.tags.len();
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
    settle(session, &asked);
    asked.refusal.map(|refusal| refusal.reply)
}

/// Somebody logged in by `mechanism`: rules that ask who may still refuse.
pub(super) fn logged_in(session: &mut Session, mechanism: Mechanism) -> Option<Reply> {
    let policy = session.context.policies.snapshot();
    let facts = Facts {
        mechanism: Known::Is(mechanism.name()),
        ..facts(session)
    };
    let asked = ask(session, &policy, Point::Auth, &facts, Asking::AfterName);
    settle(session, &asked);
    asked.refusal.map(|refusal| refusal.reply)
}

/// AUTH is asked about twice: before a name was said, and with it. What a rule counts or notes, it does once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// Every other point.
    Once,
    /// Nobody is known.
    BeforeName,
    /// The account is known.
    AfterName,
}

impl Asking {
    /// Whether a rule is counted and noted now.
    fn is_turn_of(self, rule: &Rule) -> bool {
        match self {
            Self::Once => true,
            Self::BeforeName => !asks_who(rule),
            Self::AfterName => asks_who(rule),
        }
    }
}

fn asks_who(rule: &Rule) -> bool {
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
    session.rules.tags.truncate(session.rules.tags_of_session);
    session.rules.recipients.clear();
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
    settle(session, &asked);
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
    settle(session, &asked);
    if asked.refusal.is_none() {
        session.rules.recipients.push(recipient);
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
    let recipients: Vec<_> = session
        .rules
        .recipients
        .iter()
        .map(OwnRecipient::view)
        .collect();
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
        let recipients: Vec<_> = session
            .rules
            .recipients
            .iter()
            .map(OwnRecipient::view)
            .collect();
        let nothing = HeaderFacts::default();
        let mut tags = session.rules.tags.clone();
        let facts = Facts {
            sender: Known::Is(&sender),
            sender_domain: Known::Is(&domain),
            recipients: Known::Is(&recipients),
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
                taken.copies.extend(copies);
            }
            _ => {}
        }
    }
    Ok(Ok(taken))
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
        tags: &session.rules.tags,
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
        decision.noted.retain(|noted| asking.is_turn_of(noted.rule));
        decision.actions.retain(|acting| match acting.action {
            Action::Rate { .. } => asking.is_turn_of(acting.rule),
            _ => true,
        });
        watch.note(&decision, facts.account_number, domain, now);
        refused = refusal(session, policy, point, facts, &decision);
    }
    let is_whole = matches!(point, Point::Rcpt | Point::Data | Point::Auth);
    if is_whole && asking != Asking::BeforeName || refused.is_some() {
        watch.record(point, facts, now);
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

/// Keeps tags for later points.
fn settle(session: &mut Session, asked: &Asked) {
    for tag in &asked.tags {
        if !session.rules.tags.contains(tag) {
            session.rules.tags.push(tag.clone());
        }
    }
}

/// The first refusal in the order of the rules: a demand that is not met, a rate that is used up, or the ruling.
fn refusal(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    facts: &Facts<'_>,
    decision: &Decision<'_>,
) -> Option<Refusal> {
    let rates = &session.context.policies.watch().rates;
    let demands = decision
        .actions
        .iter()
        .find_map(|acting| match acting.action {
            Action::RequireTls { lowest, text, .. } if !meets(facts, lowest.0) => {
                Some((acting, no_tls(session, policy, point, text.as_str())))
            }
            Action::Rate { text, .. } => match rates.count(acting, facts, now(session)) {
                Room::Left => None,
                Room::Full { .. } => {
                    Some((acting, later(session, policy, point, None, text.as_str())))
                }
            },
            _ => None,
        });
    let ruled = || {
        let acting = decision.ruling.as_ref()?;
        let reply = match acting.action {
            Action::Reject { text, status } => {
                never(session, policy, point, status.as_ref(), text.as_str())
            }
            Action::Defer { text, status } => {
                later(session, policy, point, status.as_ref(), text.as_str())
            }
            _ => return None,
        };
        Some((acting, reply))
    };
    let (acting, reply) = demands.or_else(ruled)?;
    Some(told(acting, point, reply))
}

fn told(acting: &Acting<'_>, point: Point, reply: Reply) -> Refusal {
    tracing::info!(rule = acting.rule.name, %point, action = acting.action.word(), "smtp rule refused");
    Refusal {
        reply,
        reason: "rule",
        explain: "a rule of the operator's says so; its name is in the line before",
    }
}

fn meets(facts: &Facts<'_>, lowest: TlsVersion) -> bool {
    facts.tls.value().is_some_and(|tls| tls.version >= lowest)
}

/// The rule's words exactly, or ours where it has none.
fn words(session: &Session, policy: &Snapshot, text: &str) -> String {
    if !text.is_empty() {
        return text.to_owned();
    }
    let help = session.context.help_url(policy);
    format!(
        "This provider does not take it; a rule says so. What to do: {help}rule\n\
         Dieser Anbieter nimmt das nicht an; eine Regel verlangt es so. Was zu tun ist: {help}rule"
    )
}

fn never(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    status: Option<&StatusCode>,
    text: &str,
) -> Reply {
    let code = match point {
        // RFC 5321 §3.1.
        Point::Connect => Permanent::Failed,
        Point::Auth => Permanent::BadCredentials,
        _ => Permanent::Refused,
    };
    let status = status_of(status, Status::NOT_AUTHORISED);
    Reply::permanent(code, status, words(session, policy, text))
}

fn later(
    session: &Session,
    policy: &Snapshot,
    point: Point,
    status: Option<&StatusCode>,
    text: &str,
) -> Reply {
    let code = match point {
        Point::Connect => Transient::Closing,
        Point::Auth => Transient::NotAvailable,
        Point::Mail | Point::Rcpt => Transient::MailboxBusy,
        _ => Transient::LocalError,
    };
    let status = status_of(status, Status::NOT_AUTHORISED);
    Reply::transient(code, status, words(session, policy, text))
}

fn status_of(given: Option<&StatusCode>, default: Status) -> Status {
    given.map_or(default, |code| Status(code.0.0, code.0.1))
}

fn no_tls(session: &Session, policy: &Snapshot, point: Point, text: &str) -> Reply {
    let code = match point {
        Point::Auth => Permanent::FirstDoThis,
        _ => Permanent::Refused,
    };
    let text = match text {
        "" => recipient::tls_text(session.host_name(), session.context.help_url(policy)),
        own => own.to_owned(),
    };
    Reply::permanent(code, Status::ENCRYPTION_NEEDED, text)
}

/// A login that rules refuse after all is none.
pub(super) fn withdraw(session: &mut Session) {
    session.login = None;
    session.watch();
}
