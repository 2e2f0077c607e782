//! S1-39: no way in which programs and people find out about servers ever names one in clear or a legacy host, also
//! while both work: autoconfig, Autodiscover, profile, records, help pages, the page of an account. The answers are
//! well-formed and the same for addresses that do not exist.

use harness::{Lab, Web};
use std::io::Write;
use std::process::{Command, Stdio};

const PORTS: &str = "[\"imap starttls 143\", \"imap tls 993\", \"pop3 starttls 110\", \"pop3 tls 995\", \
                     \"smtp starttls 587\", \"smtp tls 465\"]";
const AUTOCONFIG: &str = "/mail/config-v1.1.xml?emailaddress=anna@firma.test";
const PROFILE: &str = "/mail.mobileconfig?address=anna@firma.test";

/// Both doors are open: the legacy hosts are served, and clear text still works for whoever uses it.
fn in_the_grace_period() -> Lab {
    let lab = Lab::start_legacy(&[("clients.ports", PORTS)]);
    let until = "until 2026-05-30 tls=1.0,1.1 cleartext";
    lab.policy("installation", "legacy-access", until);
    lab.policy("installation", "cleartext", "observe; 2026-05-01 enforce");
    lab.policy(
        "installation",
        "tls-version",
        "1.2 observe; 2026-05-01 enforce",
    );
    for (word, host) in [
        ("imap-host", "imap.rp.test"),
        ("pop3-host", "pop3.rp.test"),
        ("smtp-host", "smtp.rp.test"),
    ] {
        lab.cli(&["rollout", "voice", "set", word, host]);
    }
    lab.wait("the gateway", || {
        let status = lab.cli(&["legacy", "status"]);
        let open = status.contains("in clear: logins allowed");
        open.then_some(()).ok_or(status)
    });
    lab
}

fn outlook(web: &Web<'_>, path: &str, address: &str) -> String {
    let schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook";
    let question = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Autodiscover xmlns=\"{schema}/requestschema/2006\"><Request>\
         <EMailAddress>{address}</EMailAddress><AcceptableResponseSchema>{schema}/responseschema/2006a\
         </AcceptableResponseSchema></Request></Autodiscover>"
    );
    // As some programs do, with the password sent along unasked.
    let fields = [
        ("Content-Type", "text/xml"),
        ("Authorization", "Basic YW5uYUBmaXJtYS50ZXN0OmdlaGVpbQ=="),
    ];
    web.ask("POST", path, &fields, &question).with(200).body
}

/// What Python's own reader makes of a text.
fn python(script: &str, text: &str) -> String {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(text.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{text}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const SERVERS_OF_AUTOCONFIG: &str = "
import sys, xml.etree.ElementTree as e
r = e.fromstring(sys.stdin.buffer.read())
assert r.tag == 'clientConfig' and r.get('version') == '1.1', r.tag
p = r.find('emailProvider')
for s in list(p.findall('incomingServer')) + list(p.findall('outgoingServer')):
    print(s.get('type'), s.find('hostname').text, s.find('port').text, s.find('socketType').text)
";
const SERVERS_OF_AUTODISCOVER: &str = "
import sys, xml.etree.ElementTree as e
r = e.fromstring(sys.stdin.buffer.read())
n = '{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}'
for s in r.iter(n + 'Protocol'):
    print(*[s.find(n + k).text for k in ('Type', 'Server', 'Port', 'SSL', 'Encryption', 'LoginName')])
";
const SERVERS_OF_PROFILE: &str = "
import sys, plistlib
r = plistlib.loads(sys.stdin.buffer.read())
assert r['PayloadType'] == 'Configuration', r
for p in r['PayloadContent']:
    assert not [k for k in p if k.endswith('ServerPassword')], p
    for side in ('Incoming', 'Outgoing'):
        print(*[p[side + 'MailServer' + k] for k in ('HostName', 'PortNumber', 'UseSSL', 'Username')])
";

#[test]
fn nothing_that_is_told_is_in_clear_or_legacy() {
    let lab = in_the_grace_period();
    let web = Web::new(&lab.server);
    let mut all: Vec<(String, String)> = Vec::new();
    for path in [
        AUTOCONFIG,
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=anna@firma.test",
        "/mail/config-v1.1.xml",
        "/autodiscover/autodiscover.json?Email=anna@firma.test&Protocol=AutodiscoverV1",
        "/autodiscover/autodiscover.json/v1.0/anna@firma.test?Protocol=AutodiscoverV1",
        PROFILE,
        "/hilfe/",
        "/help/?lang=en",
    ] {
        all.push((path.to_owned(), web.get(path).with(200).body));
    }
    for path in [
        "/autodiscover/autodiscover.xml",
        "/Autodiscover/Autodiscover.xml",
        "/AutoDiscover/AutoDiscover.xml",
    ] {
        all.push((path.to_owned(), outlook(&web, path, "anna@firma.test")));
    }
    let records = lab.cli(&["dns", "discovery", "firma.test"]);
    all.push(("dns discovery".to_owned(), records));
    let own = Web::log_in(&lab.server, "anna");
    for path in ["/einstellungen?lang=de", "/settings?lang=en"] {
        all.push((path.to_owned(), own.get(path).with(200).body));
    }
    for guide in [
        "outlook",
        "thunderbird",
        "apple-mail",
        "ios",
        "android",
        "k9",
        "printer",
    ] {
        let path = format!("/hilfe/{guide}?konto=anna@firma.test");
        all.push((path.clone(), web.get(&path).with(200).body));
    }
    for (path, text) in &all {
        let lower = text.to_lowercase();
        for wrong in [
            "plain<",
            ">plain",
            "-legacy",
            "<ssl>off",
            "usessl</key>\n        <false",
            "encryption>none",
            "„keine“",
        ] {
            assert!(!lower.contains(wrong), "{path} says {wrong}\n{text}");
        }
    }
}

#[test]
fn every_format_is_well_formed_and_names_the_best_server_first() {
    let lab = in_the_grace_period();
    let web = Web::new(&lab.server);
    let told = python(SERVERS_OF_AUTOCONFIG, &web.get(AUTOCONFIG).body);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "imap imap.rp.test 993 SSL",
            "imap imap.rp.test 143 STARTTLS",
            "pop3 pop3.rp.test 995 SSL",
            "pop3 pop3.rp.test 110 STARTTLS",
            "smtp smtp.rp.test 465 SSL",
            "smtp smtp.rp.test 587 STARTTLS",
        ]
    );
    let answer = outlook(&web, "/autodiscover/autodiscover.xml", "anna@firma.test");
    let told = python(SERVERS_OF_AUTODISCOVER, &answer);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "IMAP imap.rp.test 993 on SSL anna@firma.test",
            "POP3 pop3.rp.test 995 on SSL anna@firma.test",
            "SMTP smtp.rp.test 465 on SSL anna@firma.test",
        ]
    );
    let told = python(SERVERS_OF_PROFILE, &web.get(PROFILE).body);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(
        lines,
        [
            "imap.rp.test 993 True anna@firma.test",
            "smtp.rp.test 465 True anna@firma.test",
        ]
    );
    let json = "/autodiscover/autodiscover.json?Email=anna@firma.test&Protocol=AutodiscoverV1";
    let json = web.get(json).with(200).json();
    assert_eq!(
        json["Url"], "https://mx.rp.test/autodiscover/autodiscover.xml",
        "{json}"
    );
}

#[test]
fn answers_do_not_tell_which_addresses_exist() {
    let lab = in_the_grace_period();
    let web = Web::new(&lab.server);
    let is_same = |of: &dyn Fn(&str) -> String| {
        let (anna, nobody) = (of("anna@firma.test"), of("nobody@firma.test"));
        assert_eq!(
            anna.replace("anna@firma.test", "ADDRESS"),
            nobody.replace("nobody@firma.test", "ADDRESS")
        );
    };
    is_same(&|address| {
        web.get(&format!("/mail/config-v1.1.xml?emailaddress={address}"))
            .with(200)
            .body
    });
    is_same(&|address| outlook(&web, "/autodiscover/autodiscover.xml", address));
    // Identifiers follow from the address alone; everything else is the same.
    is_same(&|address| {
        let profile = web
            .get(&format!("/mail.mobileconfig?address={address}"))
            .with(200)
            .body;
        let lines = profile
            .lines()
            .filter(|line| !line.contains('-') && !line.contains(".mail."));
        lines.collect()
    });
    web.get("/mail/config-v1.1.xml?emailaddress=a@elsewhere.test")
        .with(404);
    web.get("/mail.mobileconfig?address=a@elsewhere.test")
        .with(404);
    let elsewhere = outlook(&web, "/autodiscover/autodiscover.xml", "a@elsewhere.test");
    assert!(elsewhere.contains("<ErrorCode>"), "{elsewhere}");
    // No program needs a document type, and none is read.
    let bomb = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    web.ask("POST", "/autodiscover/autodiscover.xml", &[], bomb)
        .with(400);
}
