//! Gathers what is known about a destination and asks `duty::decide` for each host. The one place of
//! routing that has a resolver, a clock and the provider's policies.

use crate::destination::{AskTlsa, Destination, Host, Looked, Question, Reach};
use crate::duty::{
    self, Cause, Chosen, Dane, Demands, Duty, HostFacts, Note, Prospect, RequireTls, Ruling,
    TlsRequiredNo, Unusable,
};
use crate::host::{self, Bare, NextHop};
use crate::idn::ascii_domain;
use crate::seen::Seen;
use crate::sts::{PolicyFetcher, StsCache, StsParts, StsPolicy};
use crate::tlsrpt::{Failure, Observer, PolicyFound, SessionResult};
use platform::clock::{Clock, Timestamp};
use platform::dns::Resolver;
use platform::random::Random;
use platform::store::{Store, StoreError};
use policy::{DaneMode, Policies, Sender};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Destinations remembered for the moment.
const REMEMBERED_MAX: usize = 10_000;

/// A message's question: where, and how securely?
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// On whose behalf it is sent.
    pub sender: Sender<'a>,
    /// The recipients' domain as the address has it, or an address literal.
    pub destination: &'a str,
    /// REQUIRETLS (RFC 8689 §2).
    pub require_tls: RequireTls,
    /// `TLS-Required: No` (RFC 8689 §3).
    pub tls_required_no: TlsRequiredNo,
    /// The operator's way for this message, as `host:port`.
    pub override_route: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// Where a message may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Hosts in the order they are to be tried; not empty.
    Hops(Vec<Hop>),
    /// It will not work.
    Never(Refusal),
    /// It may work later.
    Later(Refusal),
}

/// A host to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Its name as the MX record has it, or an address literal; for logs and TLS reports.
    pub host: String,
    /// What SNI says: the TLSA base domain under DANE (RFC 7672 §8.1), otherwise `host`.
    pub server_name: String,
    /// IPv6 and IPv4, each with its port; not empty.
    pub addresses: Vec<SocketAddr>,
    /// What TLS must be like.
    pub duty: Duty,
    /// What sessions with it are held against in TLS reports (RFC 8460): one result for each.
    pub found: Arc<[PolicyFound]>,
    /// What is wrong with it already, though it may be used: a session counts as failed for the policy each is about.
    pub faults: Vec<Note>,
    /// The domain these reports are about.
    pub domain: Arc<str>,
}

impl Hop {
    /// Whether the host is written as an address, not as a name.
    pub fn is_address(&self) -> bool {
        host::literal(&self.host).is_some()
    }
}

/// Why a message has no route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What happened and whose move it is, beginning with an enhanced code.
    pub reply: String,
    /// Whether TLS duties alone are to blame.
    pub cause: Cause,
    /// The policy that forbade every host, for the message's story; `None` where it was no policy.
    pub policy: Option<duty::AppliedPolicy>,
}

impl Refusal {
    fn other(reply: String) -> Self {
        Self {
            reply,
            cause: Cause::Other,
            policy: None,
        }
    }
}

/// A route with everything that led to it, for the operator.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The domain that was asked about, as A-labels; or the next hop that stands before it.
    pub asked: String,
    /// Why that one: `None` where it is the destination itself.
    pub next_hop: Option<String>,
    /// Who says that mail goes to the hosts; `None` where there are none.
    pub chosen: Option<Chosen>,
    /// The MTA-STS policy.
    pub sts: Option<Arc<StsPolicy>>,
    /// Every host, also those that must not be used.
    pub hosts: Vec<ExplainedHost>,
    /// What a message would get.
    pub route: Route,
}

/// A host with everything that is known of it.
#[derive(Debug, Clone)]
pub struct ExplainedHost {
    /// Its name.
    pub name: String,
    /// Its preference.
    pub preference: u16,
    /// Its addresses and whether their records are signed, or why there are none.
    pub addresses: Result<(Vec<SocketAddr>, platform::dns::Security), String>,
    /// What its TLSA records say.
    pub dane: Dane,
    /// The duty, or why it must not be used.
    pub ruling: Ruling,
}

/// How routing behaves on this node.
#[derive(Debug, Clone)]
pub struct RouterSettings {
    /// The names this installation's MX listeners have, as A-labels in lower case; mail is never
    /// carried to them or to hosts behind them.
    pub own_names: Vec<String>,
    /// A server that takes everything, as `host:port`; `None` asks the DNS.
    pub next_hop: Option<String>,
    /// The port of mail exchangers: 25, another one in tests.
    pub port: u16,
}

/// What a router works with.
pub struct RouterParts {
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// What the provider decided.
    pub policies: Policies,
    /// Where MTA-STS policies and counts are kept.
    pub store: Store,
    /// Fetches MTA-STS policies.
    pub fetcher: Arc<dyn PolicyFetcher>,
    /// Hears what a TLS report tells.
    pub observer: Arc<dyn Observer>,
    /// The time, for caches.
    pub clock: Clock,
    /// Chance, for the order of equal hosts.
    pub random: Random,
    /// How it behaves.
    pub settings: RouterSettings,
}

/// Finds routes. Cheap to clone.
#[derive(Clone)]
pub struct Router {
    inner: Arc<Inner>,
}

struct Inner {
    resolver: Arc<dyn Resolver>,
    policies: Policies,
    sts: StsCache,
    seen: Seen,
    observer: Arc<dyn Observer>,
    clock: Clock,
    random: Random,
    settings: RouterSettings,
    remembered: Mutex<HashMap<Key, Remembered>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    target: NextHop,
    tlsa: AskTlsa,
}

struct Remembered {
    destination: Arc<Destination>,
    until: Timestamp,
}

impl Router {
    /// A router that knows nothing yet.
    pub fn new(parts: RouterParts) -> Self {
        let sts = StsCache::new(StsParts {
            store: parts.store.clone(),
            resolver: parts.resolver.clone(),
            fetcher: parts.fetcher,
            observer: parts.observer.clone(),
            clock: parts.clock.clone(),
        });
        Self {
            inner: Arc::new(Inner {
                resolver: parts.resolver,
                policies: parts.policies,
                sts,
                seen: Seen::new(parts.store),
                observer: parts.observer,
                clock: parts.clock,
                random: parts.random,
                settings: parts.settings,
                remembered: Mutex::default(),
            }),
        }
    }

    /// The counts of TLS used; the SMTP client and server tell it.
    pub fn seen(&self) -> &Seen {
        &self.inner.seen
    }

    /// Who hears of TLS results; the SMTP client tells it of sessions.
    pub fn observer(&self) -> &Arc<dyn Observer> {
        &self.inner.observer
    }

    /// The time, as the caches see it.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// Fetches MTA-STS policies in use again, once a day each. For an hourly chore.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn refresh_policies(&self) -> Result<(), StoreError> {
        self.inner.sts.refresh().await
    }

    /// Where a message may go, and how securely. Waits for the DNS, and for a policy host where a
    /// destination announces a policy that was not seen before; at most a minute for that.
    pub async fn route(&self, request: &Request<'_>) -> Route {
        let snapshot = self.inner.policies.snapshot();
        let Some(target) = self.target(request, &snapshot) else {
            return Route::Never(Refusal::other(no_domain(request.destination)));
        };
        let outgoing = snapshot.outgoing(&request.sender, &target.name, request.now);
        let demands = demands(request, &snapshot, &outgoing, &target.name);
        match self.look(&target.target, ask_tlsa(&demands)).await {
            Looked::Found(destination) => {
                let rulings = self.rule(&demands, &destination, request.now);
                self.assemble(&destination, rulings)
            }
            Looked::Never(reply) => Route::Never(Refusal::other(reply)),
            Looked::Later(reply) => Route::Later(Refusal::other(reply)),
        }
    }

    /// The same, with everything that led to it. Tells the TLS reports nothing.
    pub async fn explain(&self, request: &Request<'_>) -> Explained {
        let mut explained = Explained {
            asked: request.destination.to_owned(),
            next_hop: None,
            chosen: None,
            sts: None,
            hosts: Vec::new(),
            route: Route::Never(Refusal::other(no_domain(request.destination))),
        };
        let snapshot = self.inner.policies.snapshot();
        let Some(target) = self.target(request, &snapshot) else {
            return explained;
        };
        explained.asked = target.target.name().to_owned();
        explained.next_hop = target.why.map(str::to_owned);
        let outgoing = snapshot.outgoing(&request.sender, &target.name, request.now);
        let demands = demands(request, &snapshot, &outgoing, &target.name);
        explained.route = match self.look(&target.target, ask_tlsa(&demands)).await {
            Looked::Never(reply) => Route::Never(Refusal::other(reply)),
            Looked::Later(reply) => Route::Later(Refusal::other(reply)),
            Looked::Found(destination) => {
                let rulings: Vec<Ruling> = destination
                    .hosts
                    .iter()
                    .map(|host| duty::decide(&demands, &facts(&destination, host)))
                    .collect();
                explained.chosen = Some(destination.chosen);
                explained.sts = destination.sts.clone();
                explained.hosts = destination
                    .hosts
                    .iter()
                    .zip(&rulings)
                    .map(explained_host)
                    .collect();
                let duties = rulings.into_iter().map(Usable::of).collect();
                self.assemble(&destination, duties)
            }
        };
        explained
    }

    fn target(&self, request: &Request<'_>, snapshot: &policy::Snapshot) -> Option<Target> {
        let settings = &self.inner.settings;
        let literal = host::literal(request.destination).is_some();
        let name = if literal {
            request.destination.to_owned()
        } else {
            ascii_domain(request.destination)?.into_owned()
        };
        let of_rule = snapshot
            .destination(&request.sender, &name)
            .and_then(|rule| rule.next_hop.as_deref());
        let (target, why) = if let Some(hop) = request.override_route {
            (
                NextHop::parse(hop, Bare::Host, settings.port),
                Some("the operator set a way for this message"),
            )
        } else if let Some(hop) = of_rule {
            (
                NextHop::parse(hop, Bare::Domain, settings.port),
                Some("a rule for the destination names it"),
            )
        } else if let Some(hop) = &settings.next_hop {
            (
                NextHop::parse(hop, Bare::Host, settings.port),
                Some("queue.next_hop names it for all mail"),
            )
        } else if literal {
            let host = name.clone();
            (
                NextHop::Host {
                    host,
                    port: settings.port,
                },
                None,
            )
        } else {
            let domain = name.clone();
            (
                NextHop::Domain {
                    domain,
                    port: settings.port,
                },
                None,
            )
        };
        Some(Target { name, target, why })
    }

    /// What the DNS says; remembered for a moment, because mail comes in bursts.
    async fn look(&self, target: &NextHop, tlsa: AskTlsa) -> Looked {
        let key = Key {
            target: target.clone(),
            tlsa,
        };
        let now = self.inner.clock.now();
        if let Some(known) = self.lock().get(&key)
            && now < known.until
        {
            return Looked::Found(known.destination.clone());
        }
        let question = |port| Question {
            resolver: self.inner.resolver.as_ref(),
            port,
            tlsa,
            ours: &self.inner.settings.own_names,
        };
        let looked = match target {
            NextHop::Host { host, port } => question(*port).by_host(host).await,
            NextHop::Domain { domain, port } => {
                let Some(domain) = ascii_domain(domain) else {
                    return Looked::Never(no_domain(domain));
                };
                let sts = self.inner.sts.policy(&domain);
                question(*port).by_mx(&domain, sts).await
            }
        };
        if let Looked::Found(destination) = &looked {
            let until = self.inner.clock.now().plus(destination.ttl);
            let destination = destination.clone();
            let mut remembered = self.lock();
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(key, Remembered { destination, until });
        }
        looked
    }

    fn rule(
        &self,
        demands: &Demands<'_>,
        destination: &Destination,
        now: Timestamp,
    ) -> Vec<Result<Usable, Unusable>> {
        let hosts = destination.hosts.iter();
        hosts
            .map(|host| {
                let ruling = duty::decide(demands, &facts(destination, host));
                if ruling.duty.is_err() {
                    // There will be no session that could tell.
                    for note in &ruling.notes {
                        self.report(destination, host, note, now);
                    }
                }
                Usable::of(ruling)
            })
            .collect()
    }

    /// RFC 8460 §4.3: what was wrong before there was a connection.
    fn report(&self, destination: &Destination, host: &Host, note: &Note, now: Timestamp) {
        let wanted = note.about();
        let policy = host.found.iter().find(|policy| policy.kind == wanted);
        let policy = policy.cloned().unwrap_or_else(|| PolicyFound {
            kind: wanted,
            ..PolicyFound::nothing(&destination.domain)
        });
        let failure = Failure::before_connection(note.result, Some(&host.name), &note.reason);
        self.inner.observer.note(SessionResult {
            at: now,
            domain: destination.domain.clone(),
            policy,
            failure: Some(failure),
        });
    }

    /// The hosts that may be used, by preference, equal ones in random order (RFC 5321 §5.1).
    fn assemble(&self, destination: &Destination, duties: Vec<Result<Usable, Unusable>>) -> Route {
        let mut hops = Vec::with_capacity(destination.hosts.len());
        let mut out = Vec::new();
        for (host, duty) in destination.hosts.iter().zip(duties) {
            match (&host.reach, duty) {
                (Reach::At { addresses, .. }, Ok(usable)) => {
                    hops.push((host.preference, hop(destination, host, addresses, usable)));
                }
                (Reach::At { .. }, Err(unusable)) => out.push(Out::Policy(unusable)),
                (Reach::Unknown(why), _) => out.push(Out::Dns(why.clone())),
                (Reach::Nowhere, _) => {}
            }
        }
        if hops.is_empty() {
            return without_hops(out);
        }
        if hops.len() > 1 {
            let random = &self.inner.random;
            hops.sort_by_cached_key(|(preference, _)| (*preference, random.next_u64()));
        }
        Route::Hops(hops.into_iter().map(|(_, hop)| hop).collect())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Remembered>> {
        self.inner
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is looked up for a request.
struct Target {
    /// The recipients' domain as A-labels, or the address literal.
    name: String,
    target: NextHop,
    /// Why it is not the destination itself.
    why: Option<&'static str>,
}

/// A host that may be used, as far as TLS goes.
struct Usable {
    duty: Duty,
    faults: Vec<Note>,
}

impl Usable {
    fn of(ruling: Ruling) -> Result<Self, Unusable> {
        let faults = ruling.notes;
        ruling.duty.map(|duty| Self { duty, faults })
    }
}

/// Why a host is out.
enum Out {
    Policy(Unusable),
    Dns(String),
}

/// Why nothing can be used now. What may pass counts before what lasts, and what the DNS may say later
/// before a TLS duty: the sender is told early only where nothing else is in the way.
fn without_hops(out: Vec<Out>) -> Route {
    let mut policies = Vec::new();
    for out in out {
        match out {
            Out::Dns(reply) => return Route::Later(Refusal::other(reply)),
            Out::Policy(unusable) => policies.push(unusable),
        }
    }
    let weight = |unusable: &Unusable| {
        let lasts = unusable.prospect == Prospect::Lasts;
        (lasts, unusable.cause == Cause::TlsPolicy)
    };
    let Some(unusable) = policies.into_iter().min_by_key(weight) else {
        return Route::Never(Refusal::other(
            "5.4.4 the recipient's domain names no server that can be reached; ask them to mend their \
             DNS"
            .to_owned(),
        ));
    };
    let refusal = Refusal {
        reply: unusable.reply,
        cause: unusable.cause,
        policy: Some(unusable.policy),
    };
    match unusable.prospect {
        Prospect::MayPass => Route::Later(refusal),
        Prospect::Lasts => Route::Never(refusal),
    }
}

fn hop(destination: &Destination, host: &Host, addresses: &[SocketAddr], usable: Usable) -> Hop {
    let server_name = match &host.dane {
        // RFC 7672 §8.1: SNI is the base domain wherever there are records.
        Dane::Usable { base, .. } | Dane::Unusable { base, .. } => base.to_string(),
        Dane::NotApplicable(_) | Dane::Absent | Dane::Failed { .. } => host.name.clone(),
    };
    Hop {
        host: host.name.clone(),
        server_name,
        addresses: addresses.to_vec(),
        duty: usable.duty,
        faults: usable.faults,
        found: host.found.clone(),
        domain: destination.domain.clone(),
    }
}

fn facts<'a>(destination: &'a Destination, host: &'a Host) -> HostFacts<'a> {
    HostFacts {
        host: &host.name,
        chosen: destination.chosen,
        dane: &host.dane,
        sts: destination.sts.as_deref(),
    }
}

fn explained_host((host, ruling): (&Host, &Ruling)) -> ExplainedHost {
    let addresses = match &host.reach {
        Reach::At {
            addresses,
            security,
        } => Ok((addresses.clone(), *security)),
        Reach::Nowhere => Err("it has no address".to_owned()),
        Reach::Unknown(why) => Err(why.clone()),
    };
    ExplainedHost {
        name: host.name.clone(),
        preference: host.preference,
        addresses,
        dane: host.dane.clone(),
        ruling: ruling.clone(),
    }
}

fn demands<'a>(
    request: &Request<'a>,
    snapshot: &policy::Snapshot,
    outgoing: &'a policy::rules::Outgoing<'_>,
    destination: &'a str,
) -> Demands<'a> {
    Demands {
        destination,
        sender: snapshot.outbound_tls(&request.sender, request.now),
        rule: outgoing.destination.as_deref(),
        dane: snapshot.dane(),
        require_tls: request.require_tls,
        tls_required_no: request.tls_required_no,
    }
}

fn ask_tlsa(demands: &Demands<'_>) -> AskTlsa {
    match demands.dane_mode() {
        DaneMode::Off => AskTlsa::No,
        DaneMode::Enforce | DaneMode::Audit => AskTlsa::Yes,
    }
}

fn no_domain(destination: &str) -> String {
    format!("5.1.2 {destination} is no domain name; check the address for a typing error")
}

#[cfg(test)]
mod tests;
