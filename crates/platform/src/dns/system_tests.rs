//! The resolver against BIND's `named`, serving zones that BIND's tools signed. Tests only; without BIND installed
//! only the first test does anything.

use super::*;
use crate::dns::Security::{Insecure, Secure};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Nobody answers on the port: that must be a failure, and soon.
#[tokio::test(start_paused = true)]
async fn a_silent_server_is_a_temporary_failure() {
    let dns = SystemResolver::new(
        &["127.0.0.1:9".parse().unwrap()],
        Anchors::none(),
        Clock::system(),
    )
    .unwrap();
    assert!(matches!(
        dns.mx("firma.test").await,
        Outcome::TemporaryFailure(_)
    ));
    let long = "x".repeat(300);
    assert_eq!(dns.mx(&long).await, Outcome::NxDomain(Secure));
}

/// A zone to serve: its name, how it is signed, its records.
type Zone = (&'static str, Signing, &'static str);

#[derive(Clone, Copy)]
enum Signing {
    /// With the options for `dnssec-signzone`.
    Signed(&'static [&'static str]),
    /// With keys of this algorithm.
    With(&'static str),
    Unsigned,
}

/// Children first, since parents take their DS records.
const ZONES: &[Zone] = &[
    (
        "nsec3.test",
        Signing::Signed(&["-3", "ab12", "-H", "5"]),
        "@ MX 10 MX\n@ MX 20 mx2\nmx A 192.0.2.3\n_25._tcp.mx TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
         _25._tcp.mx TLSA 2 0 1 ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n*.w TXT \"wild\"\nempty.ent A 192.0.2.4\n\
         *.alias CNAME @\nreal.alias TXT \"x\"\nold DNAME new\nx.new MX 10 mx\n",
    ),
    (
        "optout.test",
        Signing::Signed(&["-3", "-", "-A"]),
        "@ MX 10 mx\nmx A 192.0.2.8\nchild NS ns.test.\n*.wild MX 10 mx\n",
    ),
    (
        "child.optout.test",
        Signing::Unsigned,
        "@ MX 10 mx\nmx A 192.0.2.9\n",
    ),
    (
        "unsigned.test",
        Signing::Unsigned,
        "@ MX 10 mx\nmx A 192.0.2.5\nold DNAME new\nx.new MX 10 mx\n",
    ),
    (
        "sub.unsigned.test",
        Signing::Signed(&[]),
        "@ MX 10 mx\nmx A 192.0.2.6\n",
    ),
    (
        "bogus.test",
        Signing::Unsigned,
        "@ MX 10 mx\nmx A 192.0.2.7\n",
    ),
    (
        "expired.test",
        Signing::Signed(&["-s", "20200101000000", "-e", "20200201000000"]),
        "@ MX 10 mx\nmx A 192.0.2.7\n",
    ),
    (
        "forged.test",
        Signing::Signed(&[]),
        "@ MX 10 mx\nmx A 192.0.2.66\nmx TXT \"proved\"\n",
    ),
    ("rsa.test", Signing::With("RSASHA256"), "@ MX 10 mx\n"),
    ("rsa512.test", Signing::With("RSASHA512"), "@ MX 10 mx\n"),
    ("ed.test", Signing::With("ED25519"), "@ MX 10 mx\n"),
    (
        "p384.test",
        Signing::With("ECDSAP384SHA384"),
        "@ MX 10 mx\n",
    ),
    ("ed448.test", Signing::With("ED448"), "@ MX 10 mx\n"),
    (
        "costly.test",
        Signing::Signed(&["-3", "ab", "-H", "140"]),
        "@ MX 10 mx\n*.w MX 10 mx\n",
    ),
    (
        "test",
        Signing::Signed(&[]),
        "@ MX 10 mx\nmx A 192.0.2.1\nmx AAAA 2001:db8::1\n*.w TXT \"wild\"\nx.w A 192.0.2.2\n\
         alias CNAME mx.nsec3.test.\nout CNAME mx.unsigned.test.\nloop CNAME loop\na.b.ent TXT \"ent\"\n\
         big TXT \"BIG\"\nnsec3 NS ns\noptout NS ns\nunsigned NS ns\n\
         bogus NS ns\n\
         expired NS ns\nforged NS ns\nns A 127.0.0.1\n\
         rsa NS ns\nrsa512 NS ns\ned NS ns\np384 NS ns\ned448 NS ns\ncostly NS ns\n\
         old DNAME new\nx.new MX 10 MX.Upper\ndeep DNAME nsec3\nout2 DNAME unsigned\nbad DNAME bogus\n\
         *.wc CNAME x.new\nreal.wc TXT \"x\"\n*.hop CNAME y.wc\nSub.Upper MX 10 MX.Upper\nround DNAME round.round\n",
    ),
];

struct Named {
    process: Child,
    address: SocketAddr,
    anchors: Anchors,
    dnskeys: Anchors,
    directory: tempfile::TempDir,
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(directory: &Path, program: &str, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {told}");
    output.stdout
}

fn write_zone(directory: &Path, (zone, signing, records): &Zone) {
    let big = "\"x\" ".to_owned() + &format!("\"{}\" ", "y".repeat(250)).repeat(30);
    let text = format!(
        "$TTL 600\n$ORIGIN {zone}.\n@ SOA ns.test. x.test. 1 3600 600 86400 300\n@ NS ns.test.\n{}",
        records.replace("\"BIG\"", &big)
    );
    std::fs::write(directory.join(zone), text).unwrap();
    let (algorithm, options) = match signing {
        Signing::Signed(options) => ("ECDSAP256SHA256", *options),
        Signing::With(algorithm) => (*algorithm, &[][..]),
        Signing::Unsigned => {
            let signed = directory.join(format!("{zone}.signed"));
            std::fs::copy(directory.join(zone), signed).unwrap();
            return;
        }
    };
    for kind in [&["-f", "KSK"][..], &[]] {
        let arguments = [&["-q", "-a", algorithm][..], kind, &[zone]].concat();
        run(directory, "dnssec-keygen", &arguments);
    }
    let mut arguments = vec!["-S", "-g", "-P", "-o", zone];
    arguments.extend_from_slice(options);
    arguments.push(zone);
    run(directory, "dnssec-signzone", &arguments);
    // One address is changed after it was signed.
    let signed = directory.join(format!("{zone}.signed"));
    let text = std::fs::read_to_string(&signed).unwrap();
    std::fs::write(&signed, text.replace("192.0.2.66", "192.0.2.67")).unwrap();
}

impl Named {
    /// `None` where BIND is not installed.
    async fn start() -> Option<Self> {
        for program in ["named", "dnssec-signzone"] {
            Command::new(program)
                .arg("-V")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .ok()?;
        }
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut conf = format!(
            "options {{ directory {:?}; pid-file none; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
             recursion no; dnssec-validation no; session-keyfile none; minimal-responses yes; }};\n\
             controls {{ }};\n",
            directory.path()
        );
        // A zone that should be signed and is not.
        std::fs::write(
            directory.path().join("dsset-bogus.test."),
            "bogus.test. IN DS 12345 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F\n",
        )
        .unwrap();
        for zone in ZONES {
            write_zone(directory.path(), zone);
            let name = zone.0;
            conf += &format!("zone {name:?} {{ type primary; file \"{name}.signed\"; }};\n");
        }
        std::fs::write(directory.path().join("named.conf"), conf).unwrap();
        let process = Command::new("named")
            .args(["-g", "-n", "1", "-c", "named.conf"])
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let ds = std::fs::read_to_string(directory.path().join("dsset-test.")).unwrap();
        let keys: String = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name.starts_with("Ktest.") && name.ends_with(".key")
            })
            .map(|path| std::fs::read_to_string(path).unwrap())
            .filter(|key| key.contains("DNSKEY 257"))
            .collect();
        let named = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            anchors: Anchors::parse(&ds).unwrap(),
            dnskeys: Anchors::parse(&keys).unwrap(),
            directory,
        };
        for _ in 0..200 {
            let dns = named.resolver(Anchors::none());
            if matches!(dns.mx("test").await, Outcome::Found(_)) {
                return Some(named);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(named.directory.path().join("log"));
        panic!("named does not answer: {log:?}");
    }

    fn resolver(&self, anchors: Anchors) -> SystemResolver {
        SystemResolver::new(&[self.address], anchors, Clock::system()).unwrap()
    }
}

/// Short forms, so that a table of expectations can be read.
fn told<T: std::fmt::Debug>(outcome: Outcome<T>) -> String {
    match outcome {
        Outcome::Found(answer) => {
            format!("{:?} {} {:?}", answer.security, answer.name, answer.value)
        }
        Outcome::NoData(security) => format!("{security:?} nodata"),
        Outcome::NxDomain(security) => format!("{security:?} nxdomain"),
        Outcome::Bogus(_) => "bogus".to_owned(),
        Outcome::TemporaryFailure(why) => why,
    }
}

/// What MX lookups bring.
const MX_OUTCOMES: &[(&str, &str)] = &[
    (
        "test",
        "Secure test Hosts([MxHost { preference: 10, host: \"mx.test\" }])",
    ),
    ("mx.test", "Secure nodata"),
    ("nothing.test", "Secure nxdomain"),
    ("b.ent.test", "Secure nodata"),
    ("y.w.test", "Secure nodata"),
    (
        "Nsec3.test",
        "Secure nsec3.test Hosts([MxHost { preference: 10, host: \"mx.nsec3.test\" }, \
                MxHost { preference: 20, host: \"mx2.nsec3.test\" }])",
    ),
    ("mx.nsec3.test", "Secure nodata"),
    ("nothing.nsec3.test", "Secure nxdomain"),
    ("deep.down.nothing.nsec3.test", "Secure nxdomain"),
    ("ent.nsec3.test", "Secure nodata"),
    ("y.w.nsec3.test", "Secure nodata"),
    (
        "unsigned.test",
        "Insecure unsigned.test Hosts([MxHost { preference: 10, host: \"mx.unsigned.test\" }])",
    ),
    ("mx.unsigned.test", "Insecure nodata"),
    ("nothing.unsigned.test", "Insecure nxdomain"),
    (
        "sub.unsigned.test",
        "Insecure sub.unsigned.test Hosts([MxHost { preference: 10, host: \"mx.sub.unsigned.test\" }])",
    ),
    ("nothing.sub.unsigned.test", "Insecure nxdomain"),
    (
        "optout.test",
        "Secure optout.test Hosts([MxHost { preference: 10, host: \"mx.optout.test\" }])",
    ),
    (
        "child.optout.test",
        "Insecure child.optout.test Hosts([MxHost { preference: 10, host: \"mx.child.optout.test\" }])",
    ),
    ("nothing.child.optout.test", "Insecure nxdomain"),
    ("nothing.optout.test", "Insecure nxdomain"),
    ("bogus.test", "bogus"),
    ("nothing.bogus.test", "bogus"),
    ("expired.test", "bogus"),
    ("nothing.expired.test", "bogus"),
];

#[tokio::test]
async fn what_bind_signed_is_judged_right() {
    let Some(named) = Named::start().await else {
        return;
    };
    for anchors in [named.anchors.clone(), named.dnskeys.clone()] {
        let dns = named.resolver(anchors);
        for (name, expected) in MX_OUTCOMES {
            assert_eq!(told(dns.mx(name).await), *expected, "{name}");
            // From memory it is the same.
            assert_eq!(told(dns.mx(name).await), *expected, "{name}");
        }
        for (name, expected) in [
            ("mx.test", "Secure mx.test [2001:db8::1, 192.0.2.1]"),
            ("alias.test", "Secure mx.nsec3.test [192.0.2.3]"),
            ("out.test", "Insecure mx.unsigned.test [192.0.2.5]"),
            ("mx.bogus.test", "bogus"),
            ("mx.forged.test", "bogus"),
        ] {
            assert_eq!(told(dns.addresses(name).await), expected, "{name}");
        }
        let tlsa = dns.tlsa("_25._tcp.mx.nsec3.test").await.found().unwrap();
        assert_eq!((tlsa.security, tlsa.value.len()), (Secure, 2));
        assert_eq!(told(dns.tlsa("_25._tcp.mx.test").await), "Secure nxdomain");
        assert_eq!(told(dns.tlsa("_25._tcp.mx.bogus.test").await), "bogus");
        assert_eq!(
            told(dns.tlsa("_25._tcp.mx.unsigned.test").await),
            "Insecure nxdomain"
        );
        for name in ["z.w.test", "z.y.w.nsec3.test"] {
            let text = dns.txt(name).await.found().unwrap();
            assert_eq!(
                (text.security, text.value),
                (Secure, vec![b"wild".to_vec()]),
                "{name}"
            );
        }
        // Too large for a datagram.
        let big = dns.txt("big.test").await.found().unwrap();
        assert_eq!((big.security, big.value[0].len()), (Secure, 7501));
        let endless = dns.mx("loop.test").await;
        assert!(
            matches!(endless, Outcome::TemporaryFailure(_)),
            "{endless:?}"
        );
    }
    let off = named.resolver(Anchors::none());
    assert_eq!(off.mx("test").await.security(), Some(Insecure));
    assert_eq!(off.mx("bogus.test").await.security(), Some(Insecure));
    assert_eq!(off.mx("nothing.test").await.security(), Some(Insecure));
}

#[tokio::test]
async fn a_wrong_anchor_makes_everything_bogus() {
    let Some(named) = Named::start().await else {
        return;
    };
    let wrong = Anchors::parse(
        "test. DS 1 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    )
    .unwrap();
    let dns = named.resolver(wrong);
    for name in ["test", "nothing.test", "unsigned.test", "nsec3.test"] {
        assert_eq!(told(dns.mx(name).await), "bogus", "{name}");
    }
}

/// RFC 6672, RFC 9276 §3.2, RFC 4035 §5.2.
#[tokio::test]
async fn aliases_of_subtrees_costly_hashes_and_unknown_algorithms() {
    let Some(named) = Named::start().await else {
        return;
    };
    let dns = named.resolver(named.anchors.clone());
    let hosts = |name: &str| format!("{name} Hosts([MxHost {{ preference: 10, host: \"mx.");
    for (name, expected) in [
        (
            "x.old.test",
            format!("Secure {}upper.test\" }}])", hosts("x.new.test")),
        ),
        ("y.old.test", "Secure nxdomain".to_owned()),
        ("old.test", "Secure nodata".to_owned()),
        ("x.out2.test", "Insecure nxdomain".to_owned()),
        ("x.bad.test", "bogus".to_owned()),
        (
            "a.wc.test",
            format!("Secure {}upper.test\" }}])", hosts("x.new.test")),
        ),
        (
            "z.hop.test",
            format!("Secure {}upper.test\" }}])", hosts("x.new.test")),
        ),
        (
            "x.old.unsigned.test",
            format!(
                "Insecure {}unsigned.test\" }}])",
                hosts("x.new.unsigned.test")
            ),
        ),
        (
            "a.wild.optout.test",
            format!("Insecure {}optout.test\" }}])", hosts("a.wild.optout.test")),
        ),
        (
            "costly.test",
            format!("Secure {}costly.test\" }}])", hosts("costly.test")),
        ),
        (
            "a.w.costly.test",
            format!("Insecure {}costly.test\" }}])", hosts("a.w.costly.test")),
        ),
        ("nothing.costly.test", "Insecure nxdomain".to_owned()),
        (
            "ed448.test",
            format!("Insecure {}ed448.test\" }}])", hosts("ed448.test")),
        ),
    ] {
        assert_eq!(told(dns.mx(name).await), expected, "{name}");
    }
    let endless = dns.mx("x.round.test").await;
    assert!(
        matches!(endless, Outcome::TemporaryFailure(_)),
        "{endless:?}"
    );
}

#[path = "system_foreign_tests.rs"]
mod foreign;
