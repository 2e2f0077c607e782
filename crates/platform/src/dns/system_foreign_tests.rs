//! Our validator beside others: BIND's `delv` must judge as it does, and Unbound in front of it must change nothing.
//! Tests only; where those are not installed they do nothing.

use super::*;

/// MX lookups on which BIND's own validator and ours must agree. On what opt-out covers they do not: for BIND an
/// absence there is proved, for us (RFC 5155 §9.2) it is not.
const JUDGED_BY_DELV: &[&str] = &[
    "x.old.test",
    "X.Old.test",
    "y.old.test",
    "old.test",
    "deep.test",
    "x.deep.test",
    "x.old.deep.test",
    "nothing.deep.test",
    "x.out2.test",
    "x.bad.test",
    "a.wc.test",
    "a.b.wc.test",
    "real.wc.test",
    "a.real.wc.test",
    "wc.test",
    "z.hop.test",
    "Sub.Upper.test",
    "UPPER.test",
    "a.alias.nsec3.test",
    "real.alias.nsec3.test",
    "a.real.alias.nsec3.test",
    "x.old.nsec3.test",
    "y.old.nsec3.test",
    "x.old.unsigned.test",
    "a.wild.optout.test",
    "wild.optout.test",
    "child.optout.test",
    "x.child.optout.test",
    "rsa.test",
    "rsa512.test",
    "ed.test",
    "p384.test",
    "nothing.ed.test",
    "bogus.test",
    "expired.test",
    "a.b.c.d.e.f.nothing.nsec3.test",
    "a.b.c.d.e.f.nothing.test",
    "*.w.test",
    "y.w.test",
    "x.w.test",
    "a.x.w.test",
];

impl Named {
    /// What BIND's validator says; `None` where it is not installed.
    fn delv(&self, name: &str) -> Option<&'static str> {
        let keys: String = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name.starts_with("Ktest.") && name.ends_with(".key")
            })
            .map(|path| std::fs::read_to_string(path).unwrap())
            .filter_map(|key| {
                let data = key
                    .lines()
                    .find_map(|line| line.split_once("DNSKEY 257 3 13 "))?;
                Some(format!("test. static-key 257 3 13 \"{}\";\n", data.1))
            })
            .collect();
        let file = self.directory.path().join("anchors");
        std::fs::write(&file, format!("trust-anchors {{ {keys} }};")).unwrap();
        let output = Command::new("delv")
            .arg(format!("@{}", self.address.ip()))
            .args(["-p", &self.address.port().to_string(), "+root=test", "-a"])
            .arg(&file)
            .args([name, "MX"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        Some(
            if text.contains("resolution failed") && !text.contains("ncache") {
                "bogus"
            } else if text.contains("unsigned answer")
                || text.contains("negative response, unsigned")
            {
                "insecure"
            } else if text.contains("fully validated") {
                "secure"
            } else {
                panic!("delv {name}: {text}")
            },
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binds_validator_and_ours_agree() {
    let Some(named) = Named::start().await else {
        return;
    };
    let dns = named.resolver(named.anchors.clone());
    let mut differences = Vec::new();
    for name in JUDGED_BY_DELV {
        let outcome = dns.mx(name).await;
        let ours = match outcome.security() {
            Some(Secure) => "secure",
            Some(Insecure) => "insecure",
            None => "bogus",
        };
        let Some(theirs) = named.delv(name) else {
            return;
        };
        if ours != theirs {
            differences.push(format!("{name}: {theirs}, not {ours}: {}", told(outcome)));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Unbound before `named`, as many installations have it.
struct Unbound {
    process: Child,
    address: SocketAddr,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Unbound {
    /// `None` where it is not installed.
    async fn start(named: &Named) -> Option<Self> {
        let port = std::net::UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let directory = named.directory.path();
        let conf = format!(
            "server:\n interface: 127.0.0.1\n port: {port}\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
             use-syslog: no\n do-daemonize: no\n directory: {directory:?}\n do-not-query-localhost: no\n \
             local-zone: \"test.\" nodefault\n trust-anchor-file: \"dsset-test.\"\n\
             forward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{}\n\
             remote-control:\n control-enable: no\n",
            named.address.port()
        );
        std::fs::write(directory.join("unbound.conf"), conf).unwrap();
        let process = Command::new("unbound")
            .args(["-d", "-c"])
            .arg(directory.join("unbound.conf"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join("unbound.log")).unwrap())
            .spawn()
            .ok()?;
        let unbound = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        for _ in 0..100 {
            let address = [unbound.address];
            let dns = SystemResolver::new(&address, Anchors::none(), Clock::system()).unwrap();
            if matches!(dns.mx("test").await, Outcome::Found(_)) {
                return Some(unbound);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(directory.join("unbound.log"));
        panic!("unbound does not answer: {log:?}");
    }
}

#[tokio::test]
async fn behind_another_validator_it_is_the_same() {
    let Some(named) = Named::start().await else {
        return;
    };
    let Some(unbound) = Unbound::start(&named).await else {
        return;
    };
    let anchors = || named.anchors.clone();
    let dns = SystemResolver::new(&[unbound.address], anchors(), Clock::system()).unwrap();
    let direct = named.resolver(anchors());
    let names = MX_OUTCOMES.iter().map(|(name, _)| name);
    let mut differences = Vec::new();
    // Twice: from what unbound remembers the second time.
    for name in names.chain(JUDGED_BY_DELV).chain(JUDGED_BY_DELV) {
        let (expected, found) = (told(direct.mx(name).await), told(dns.mx(name).await));
        if expected != found {
            differences.push(format!("{name}: {found}, not {expected}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    let big = dns.txt("big.test").await.found().unwrap();
    assert_eq!((big.security, big.value[0].len()), (Secure, 7501));
}
