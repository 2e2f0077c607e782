//! The router against a DNS from memory: which hosts, in which order, with which duty.

use super::*;
use crate::duty::Floor;
use crate::sts::tests::{Heard, Hosts};
use crate::testing;
use crate::tlsrpt::PolicyKind;
use directory::DomainName;
use platform::dns::{Lookup, Mx, Outcome, StaticResolver, Tlsa};
use platform::tls::Proof;
use policy::Scope;
use policy::admin::{Admin, Author, Wanted};
use policy::setting::{Name, Value};
use std::net::IpAddr;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// The static resolver with aliases, and without TLSA answers below unsigned zones, as some name
/// servers are.
#[derive(Clone, Default)]
struct Dns {
    known: StaticResolver,
    aliases: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Dns {
    fn alias(&self, from: &str, to: &str) {
        self.aliases
            .lock()
            .unwrap()
            .insert(from.to_owned(), to.to_owned());
    }

    fn target(&self, name: &str) -> String {
        let aliases = self.aliases.lock().unwrap();
        aliases
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }

    fn follow<'a, T: Send + 'static>(
        &'a self,
        name: &'a str,
        ask: impl for<'r> FnOnce(&'r StaticResolver, &'r str) -> Lookup<'r, T> + Send + 'a,
    ) -> Lookup<'a, T> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(name.to_owned());
            let target = self.target(name);
            match ask(&self.known, &target).await {
                Outcome::Found(mut answer) => {
                    if target != name {
                        let alias = self.known.txt(name).await.security();
                        answer.first = alias.unwrap_or(answer.security);
                    }
                    answer.security = answer.security.min(answer.first);
                    answer.name = target.into();
                    Outcome::Found(answer)
                }
                other => other,
            }
        })
    }

    fn asked_for_tlsa(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .filter(|name| name.contains("._tcp."))
            .cloned()
            .collect()
    }
}

impl Resolver for Dns {
    fn mx<'a>(&'a self, domain: &'a str) -> Lookup<'a, Mx> {
        self.follow(domain, |known, name| known.mx(name))
    }
    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        self.follow(host, |known, name| known.addresses(name))
    }
    fn tlsa<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Tlsa>> {
        self.follow(name, |known, name| known.tlsa(name))
    }
    fn txt<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<Vec<u8>>> {
        self.follow(name, |known, name| known.txt(name))
    }
    fn reverse<'a>(&'a self, address: IpAddr) -> Lookup<'a, Vec<String>> {
        self.known.reverse(address)
    }
}

struct World {
    dns: Dns,
    hosts: Arc<Hosts>,
    heard: Arc<Heard>,
    clock: Clock,
    policies: Policies,
    admin: Admin,
    router: Router,
}

impl World {
    async fn new() -> Self {
        Self::with_next_hop(None).await
    }

    async fn with_next_hop(next_hop: Option<&str>) -> Self {
        let store = testing::store();
        let (dns, hosts, heard) = (
            Dns::default(),
            Arc::new(Hosts::default()),
            Arc::new(Heard::default()),
        );
        let clock = Clock::settable(NOW);
        let policies = Policies::open(store.clone(), clock.clone()).await.unwrap();
        let router = Router::new(RouterParts {
            resolver: Arc::new(dns.clone()),
            policies: policies.clone(),
            store: store.clone(),
            fetcher: hosts.clone(),
            observer: heard.clone(),
            clock: clock.clone(),
            random: Random::seeded(1),
            settings: RouterSettings {
                own_names: vec!["mail.us.test".to_owned()],
                next_hop: next_hop.map(str::to_owned),
                port: 25,
            },
        });
        Self {
            dns,
            hosts,
            heard,
            clock,
            policies,
            admin: Admin::new(store),
            router,
        }
    }

    async fn set(&self, name: Name, item: &str, value: &str) {
        let wanted = Wanted {
            scope: Scope::Installation,
            name,
            item: item.to_owned(),
            value: Value::parse(name, value).unwrap(),
            expires_at: None,
            consent: None,
            owner: None,
        };
        let author = Author {
            by: "tester".to_owned(),
            reason: String::new(),
            now: NOW,
        };
        self.admin.set(wanted, author).await.unwrap();
        self.policies.refresh().await.unwrap();
    }

    /// A signed domain with one signed host.
    fn signed(&self, domain: &str) -> String {
        let host = format!("mx.{domain}");
        self.dns.known.add_mx(domain, 10, &host).secure(domain);
        self.dns
            .known
            .add_address(&host, "192.0.2.1".parse().unwrap());
        host
    }

    async fn route(&self, destination: &str) -> Route {
        self.router.route(&request(destination)).await
    }

    async fn hops(&self, destination: &str) -> Vec<Hop> {
        match self.route(destination).await {
            Route::Hops(hops) => hops,
            other => panic!("{other:?}"),
        }
    }

    /// `never CODE` or `later CODE`, with the cause.
    async fn refusal(&self, destination: &str) -> (String, Cause) {
        let (when, refusal) = match self.route(destination).await {
            Route::Hops(hops) => panic!("{hops:?}"),
            Route::Never(refusal) => ("never", refusal),
            Route::Later(refusal) => ("later", refusal),
        };
        let code = refusal.reply.split(' ').next().unwrap_or_default();
        (format!("{when} {code}"), refusal.cause)
    }
}

fn request(destination: &str) -> Request<'_> {
    Request {
        sender: Sender {
            account: None,
            domain: "firma.test",
            group: None,
        },
        destination,
        require_tls: RequireTls::No,
        tls_required_no: TlsRequiredNo::Absent,
        override_route: None,
        now: NOW,
    }
}

fn tlsa(usage: u8) -> Tlsa {
    Tlsa {
        usage,
        selector: 1,
        matching: 1,
        data: [9; 32].into(),
    }
}

fn is_dane(hop: &Hop) -> bool {
    matches!(hop.duty.floor, Floor::Proof(Proof::Dane { .. }))
}

fn other(code: &str) -> (String, Cause) {
    (code.to_owned(), Cause::Other)
}

#[tokio::test]
async fn hosts_by_preference_equal_ones_in_any_order() {
    let world = World::new().await;
    for (preference, host) in [(20, "c.x.test"), (10, "a.x.test"), (10, "b.x.test")] {
        world.dns.known.add_mx("x.test", preference, host);
        world
            .dns
            .known
            .add_address(host, "192.0.2.1".parse().unwrap());
    }
    world
        .dns
        .known
        .add_address("a.x.test", "2001:db8::1".parse().unwrap());
    let mut firsts = std::collections::HashSet::new();
    for _ in 0..64 {
        let hops = world.hops("X.test").await;
        assert_eq!(hops[2].host, "c.x.test");
        firsts.insert(hops[0].host.clone());
    }
    assert_eq!(firsts.len(), 2);
    let hops = world.hops("x.test").await;
    let a = hops.iter().find(|hop| hop.host == "a.x.test").unwrap();
    assert_eq!(a.addresses.len(), 2);
    assert_eq!(a.addresses[0].port(), 25);
}

#[tokio::test]
async fn what_has_no_route_says_so() {
    let world = World::new().await;
    let dns = &world.dns.known;
    dns.add_mx("null.test", 0, ".");
    dns.add_mx("loop.test", 10, "mail.us.test")
        .add_mx("loop.test", 20, "backup.test");
    dns.add_mx("nohost.test", 10, "gone.test");
    dns.fail("down.test", "SERVFAIL").bogus("forged.test");
    dns.add_mx("half.test", 10, "down.test");
    dns.add_mx("forgedhost.test", 10, "forged.test");
    assert_eq!(world.refusal("null.test").await, other("never 5.1.10"));
    assert_eq!(world.refusal("loop.test").await, other("never 5.4.6"));
    assert_eq!(world.refusal("nohost.test").await, other("never 5.4.4"));
    assert_eq!(world.refusal("unknown.test").await, other("never 5.1.2"));
    assert_eq!(world.refusal("down.test").await, other("later 4.4.3"));
    assert_eq!(world.refusal("forged.test").await, other("later 4.7.5"));
    assert_eq!(world.refusal("half.test").await, other("later 4.4.3"));
    assert_eq!(world.refusal("forgedhost.test").await, other("later 4.7.5"));
}

#[tokio::test]
async fn without_mx_the_domain_itself_is_the_host_and_international_names_are_asked_in_ascii() {
    let world = World::new().await;
    let dns = &world.dns.known;
    dns.add_address("xn--bcher-kva.example", "192.0.2.1".parse().unwrap());
    let hops = world.hops("Bücher.example").await;
    assert_eq!(hops[0].host, "xn--bcher-kva.example");
    let literal = world.hops("[IPv6:2001:db8::7]").await;
    assert_eq!(literal[0].addresses, ["[2001:db8::7]:25".parse().unwrap()]);
    assert_eq!(literal[0].duty.floor, Floor::Clear);
}

#[tokio::test]
async fn signed_records_become_a_duty_and_unsigned_ones_are_not_asked_for() {
    let world = World::new().await;
    let host = world.signed("dane.test");
    world
        .dns
        .known
        .add_tlsa(&format!("_25._tcp.{host}"), tlsa(3));
    let hops = world.hops("dane.test").await;
    assert!(is_dane(&hops[0]), "{hops:?}");
    assert_eq!(hops[0].duty.policy.name, "dane");
    assert_eq!(hops[0].found[0].kind, PolicyKind::Tlsa);
    assert_eq!(
        hops[0].found[0].strings[0],
        format!("3 1 1 {}", "09".repeat(32))
    );

    // An unsigned MX to the same signed host, and a signed MX to an unsigned host.
    world.dns.known.add_mx("unsigned.test", 10, &host);
    world
        .dns
        .known
        .add_mx("half.test", 10, "mx.plain.test")
        .secure("half.test");
    world
        .dns
        .known
        .add_address("mx.plain.test", "192.0.2.2".parse().unwrap());
    world.dns.known.fail("_25._tcp.mx.plain.test", "NOTIMP");
    let before = world.dns.asked_for_tlsa().len();
    for domain in ["unsigned.test", "half.test"] {
        let hops = world.hops(domain).await;
        assert_eq!(hops[0].duty.floor, Floor::Clear, "{domain}");
        assert_eq!(hops[0].found[0].kind, PolicyKind::NoPolicyFound);
    }
    assert_eq!(world.dns.asked_for_tlsa().len(), before);
}

/// RFC 7672 §2.2.3: records reached over an unsigned alias are no records.
#[tokio::test]
async fn unsigned_tlsa_records_do_not_count() {
    let world = World::new().await;
    let host = world.signed("x.test");
    world
        .dns
        .alias(&format!("_25._tcp.{host}"), "tlsa.plain.test");
    world.dns.known.add_tlsa("tlsa.plain.test", tlsa(3));
    assert_eq!(world.hops("x.test").await[0].duty.floor, Floor::Clear);
    world.dns.known.secure("plain.test");
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    let hops = world.hops("x.test").await;
    assert!(is_dane(&hops[0]));
    assert_eq!(hops[0].server_name, host);
}

#[tokio::test]
async fn a_failing_tlsa_answer_makes_the_host_unusable_and_not_the_next_one() {
    let world = World::new().await;
    for break_it in [
        (|dns: &StaticResolver, name: &str| drop(dns.bogus(name).clone()))
            as fn(&StaticResolver, &str),
        |dns, name| drop(dns.fail(name, "SERVFAIL").clone()),
    ] {
        let domain = if world.heard.results().is_empty() {
            "bogus.test"
        } else {
            "fail.test"
        };
        let host = world.signed(domain);
        break_it(&world.dns.known, &format!("_25._tcp.{host}"));
        let (when, cause) = world.refusal(domain).await;
        assert!(when == "later 4.7.5" || when == "later 4.4.3", "{when}");
        assert_eq!(cause, Cause::Other);
        assert_eq!(
            world.heard.results().last().unwrap(),
            &(domain.to_owned(), "dnssec-invalid")
        );
    }
    world.dns.known.add_mx("bogus.test", 20, "mx2.bogus.test");
    world
        .dns
        .known
        .add_address("mx2.bogus.test", "192.0.2.3".parse().unwrap());
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    let hops = world.hops("bogus.test").await;
    assert_eq!(hops.len(), 1);
    assert_eq!(hops[0].host, "mx2.bogus.test");
}

#[tokio::test]
async fn records_that_cannot_be_used_still_want_encryption() {
    let world = World::new().await;
    let host = world.signed("odd.test");
    world
        .dns
        .known
        .add_tlsa(&format!("_25._tcp.{host}"), tlsa(1));
    let hops = world.hops("odd.test").await;
    assert_eq!(hops[0].duty.floor, Floor::Encrypt);
    // The session tells, once for all messages it carries.
    assert_eq!(hops[0].faults[0].result.as_str(), "tlsa-invalid");
    assert!(world.heard.results().is_empty());
    // One usable record among them is what counts.
    world
        .dns
        .known
        .add_tlsa(&format!("_25._tcp.{host}"), tlsa(2));
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    let hops = world.hops("odd.test").await;
    let Floor::Proof(Proof::Dane { records, names }) = &hops[0].duty.floor else {
        panic!("{hops:?}")
    };
    assert_eq!((records.len(), records[0].usage), (1, 2));
    assert_eq!(*names, ["mx.odd.test", "odd.test"]);
}

/// RFC 7672 §2.2.2, §2.2.3: the expanded name first, then the unexpanded one; SNI is the one that counts.
#[tokio::test]
async fn aliases_have_two_base_domains() {
    let world = World::new().await;
    let dns = &world.dns;
    dns.known.secure("alias.test").secure("real.test");
    dns.known.add_mx("alias.test", 10, "mx.alias.test");
    dns.known
        .add_address("host.real.test", "192.0.2.1".parse().unwrap());
    dns.alias("mx.alias.test", "host.real.test");
    dns.known.add_tlsa("_25._tcp.mx.alias.test", tlsa(3));
    let hops = world.hops("alias.test").await;
    assert!(is_dane(&hops[0]), "{hops:?}");
    assert_eq!(hops[0].server_name, "mx.alias.test");
    let asked = ["_25._tcp.host.real.test", "_25._tcp.mx.alias.test"];
    assert_eq!(dns.asked_for_tlsa(), asked);

    dns.known.add_tlsa("_25._tcp.host.real.test", tlsa(3));
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    let hops = world.hops("alias.test").await;
    assert_eq!(hops[0].server_name, "host.real.test");
    assert_eq!(hops[0].host, "mx.alias.test");
    let Floor::Proof(Proof::Dane { names, .. }) = &hops[0].duty.floor else {
        panic!("{hops:?}")
    };
    assert_eq!(*names, ["host.real.test", "alias.test", "mx.alias.test"]);
}

/// RFC 7672 §2.2.2, "Insecure CNAME": the customer's signed alias binds, wherever its provider is.
#[tokio::test]
async fn a_signed_alias_into_an_unsigned_zone_has_one_base_domain() {
    let world = World::new().await;
    let dns = &world.dns;
    dns.known.secure("alias.test");
    dns.known.add_mx("alias.test", 10, "mx.alias.test");
    dns.known
        .add_address("host.plain.test", "192.0.2.1".parse().unwrap());
    dns.alias("mx.alias.test", "host.plain.test");
    dns.known.add_tlsa("_25._tcp.host.plain.test", tlsa(3));
    let hops = world.hops("alias.test").await;
    assert!(!is_dane(&hops[0]), "{hops:?}");
    assert_eq!(dns.asked_for_tlsa(), ["_25._tcp.mx.alias.test"]);

    dns.known.add_tlsa("_25._tcp.mx.alias.test", tlsa(3));
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    let hops = world.hops("alias.test").await;
    assert!(is_dane(&hops[0]), "{hops:?}");
    assert_eq!(hops[0].server_name, "mx.alias.test");
}

#[tokio::test]
async fn mta_sts_names_the_hosts_that_may_be_used() {
    let world = World::new().await;
    let dns = &world.dns.known;
    for (preference, host) in [(10, "mx1.sts.test"), (20, "evil.test")] {
        dns.add_mx("sts.test", preference, host);
        dns.add_address(host, "192.0.2.1".parse().unwrap());
    }
    dns.add_txt("_mta-sts.sts.test", "v=STSv1; id=1");
    world.hosts.say("sts.test", "enforce", "*.sts.test");
    let hops = world.hops("sts.test").await;
    assert_eq!(hops.len(), 1);
    assert_eq!(hops[0].duty.policy.name, "mta-sts");
    assert_eq!(
        hops[0].duty.floor,
        Floor::Proof(Proof::Names(vec!["mx1.sts.test".to_owned()]))
    );
    assert_eq!(hops[0].found[0].kind, PolicyKind::Sts);
    assert_eq!(*hops[0].found[0].mx_hosts, ["*.sts.test"]);
    assert_eq!(
        world.heard.results(),
        [("sts.test".to_owned(), "validation-failure")]
    );

    dns.add_mx("only.test", 10, "evil.test");
    dns.add_txt("_mta-sts.only.test", "v=STSv1; id=1");
    world.hosts.say("only.test", "enforce", "mx.only.test");
    assert_eq!(world.refusal("only.test").await, other("later 4.7.5"));

    dns.add_mx("trial.test", 10, "evil.test");
    dns.add_txt("_mta-sts.trial.test", "v=STSv1; id=1");
    world.hosts.say("trial.test", "testing", "mx.trial.test");
    assert_eq!(world.hops("trial.test").await[0].duty.floor, Floor::Clear);
}

#[tokio::test]
async fn a_duty_alone_is_to_blame_only_where_nothing_else_is() {
    let world = World::new().await;
    world.set(Name::Destination, "x.test", "dane-only").await;
    let host = world.signed("x.test");
    let duty_alone = ("later 4.7.5".to_owned(), Cause::TlsPolicy);
    assert_eq!(world.refusal("x.test").await, duty_alone);
    world.dns.known.add_mx("x.test", 20, "mx2.x.test");
    world
        .dns
        .known
        .add_address("mx2.x.test", "192.0.2.2".parse().unwrap());
    world.dns.known.fail("_25._tcp.mx2.x.test", "SERVFAIL");
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    assert_eq!(world.refusal("x.test").await, other("later 4.4.3"));
    assert!(!host.is_empty());
}

#[tokio::test]
async fn requiretls_without_a_proved_host_is_told_at_once() {
    let world = World::new().await;
    world.dns.known.add_mx("x.test", 10, "mx.x.test");
    world
        .dns
        .known
        .add_address("mx.x.test", "192.0.2.1".parse().unwrap());
    let mut strict = request("x.test");
    strict.require_tls = RequireTls::Yes;
    let Route::Never(refusal) = world.router.route(&strict).await else {
        panic!("it must not go")
    };
    assert!(refusal.reply.starts_with("5.7.10 "), "{}", refusal.reply);
    assert_eq!(refusal.cause, Cause::TlsPolicy);
}

#[tokio::test]
async fn a_next_hop_stands_before_the_mx() {
    let world = World::with_next_hop(Some("relay.us.test:2525")).await;
    let dns = &world.dns.known;
    dns.add_address("relay.us.test", "192.0.2.9".parse().unwrap());
    dns.add_address("mx.gate.test", "192.0.2.8".parse().unwrap());
    dns.add_mx("gate.test", 10, "mx.gate.test");
    let hops = world.hops("anything.test").await;
    assert_eq!(hops[0].addresses, ["192.0.2.9:2525".parse().unwrap()]);

    world
        .set(
            Name::Destination,
            "ruled.test",
            "encrypt next-hop=gate.test:26",
        )
        .await;
    let hops = world.hops("ruled.test").await;
    assert_eq!(hops[0].addresses, ["192.0.2.8:26".parse().unwrap()]);
    assert_eq!(hops[0].duty.policy.name, "rule encrypt");

    let mut by_operator = request("ruled.test");
    by_operator.override_route = Some("127.0.0.1:1025");
    let Route::Hops(hops) = world.router.route(&by_operator).await else {
        panic!("there is a way")
    };
    assert_eq!(hops[0].addresses, ["127.0.0.1:1025".parse().unwrap()]);
    assert_eq!(hops[0].duty.floor, Floor::Encrypt);
}

/// RFC 7672 §2.2.2: a host our own side names may have TLSA records, at its own port.
#[tokio::test]
async fn a_next_hop_may_have_tlsa_records() {
    let world = World::with_next_hop(Some("relay.us.test:2525")).await;
    let dns = &world.dns.known;
    dns.secure("us.test")
        .add_address("relay.us.test", "192.0.2.9".parse().unwrap());
    dns.add_tlsa("_2525._tcp.relay.us.test", tlsa(3));
    assert!(is_dane(&world.hops("anything.test").await[0]));
}

#[tokio::test]
async fn dane_can_be_turned_off_and_tlsa_is_not_asked_for_then() {
    let world = World::new().await;
    let host = world.signed("dane.test");
    world.dns.known.bogus(&format!("_25._tcp.{host}"));
    world.set(Name::Dane, "", "off").await;
    assert_eq!(world.hops("dane.test").await[0].duty.floor, Floor::Clear);
    assert!(world.dns.asked_for_tlsa().is_empty());
}

#[tokio::test]
async fn the_senders_demand_is_named_with_its_origin() {
    let world = World::new().await;
    world.signed("x.test");
    world.set(Name::OutboundTls, "", "required").await;
    let hops = world.hops("x.test").await;
    assert_eq!(hops[0].duty.floor, Floor::Encrypt);
    assert_eq!(
        hops[0].duty.policy.why,
        "this server requires encryption for everything it sends"
    );
}

#[tokio::test]
async fn what_the_dns_said_is_remembered_for_a_minute_and_failures_for_seconds() {
    let world = World::new().await;
    world.signed("x.test");
    world.hops("x.test").await;
    let asked = world.dns.asked.lock().unwrap().len();
    world.hops("x.test").await;
    assert_eq!(world.dns.asked.lock().unwrap().len(), asked);
    world.clock.set(NOW.plus(Duration::from_secs(61)));
    world.hops("x.test").await;
    assert!(world.dns.asked.lock().unwrap().len() > asked);

    world
        .dns
        .known
        .add_mx("y.test", 10, "down.test")
        .fail("down.test", "SERVFAIL");
    world.refusal("y.test").await;
    world.dns.known.forget("down.test");
    world
        .dns
        .known
        .add_address("down.test", "192.0.2.1".parse().unwrap());
    world.clock.set(NOW.plus(Duration::from_secs(67)));
    assert_eq!(world.hops("y.test").await.len(), 1);
}

#[tokio::test]
async fn an_explanation_shows_the_hosts_that_are_out() {
    let world = World::new().await;
    let host = world.signed("x.test");
    world.dns.known.bogus(&format!("_25._tcp.{host}"));
    let explained = world.router.explain(&request("x.test")).await;
    assert_eq!(explained.hosts.len(), 1);
    assert!(explained.hosts[0].ruling.duty.is_err());
    assert!(matches!(explained.route, Route::Later(_)));
    assert!(world.heard.results().is_empty(), "looking reports nothing");
    let _ = DomainName::parse("x.test");
}
