//! Whole files: what is written makes an empty installation the same, a second time changes nothing, and where one
//! part cannot be, none is. Tests only.

use super::*;
use directory::Directory;
use directory::admin::AccountHooks;
use directory::{AccountId, AddressKey, DomainName};
use platform::random::Random;
use platform::store::{Engine, Options, Store, StoreError};
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_733_800_000_000);

/// What goes with what goes, as far as a file has it.
struct Hooks;

impl AccountHooks for Hooks {
    fn added(&self, _: &mut dyn Tx, _: AccountId) -> Result<(), StoreError> {
        Ok(())
    }

    fn removed(&self, tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
        policy::remove_account(tx, account)
    }

    fn domain_removed(&self, tx: &mut dyn Tx, domain: &DomainName) -> Result<(), StoreError> {
        policy::remove_domain(tx, domain)
    }

    fn alias_removed(&self, tx: &mut dyn Tx, alias: &AddressKey) -> Result<(), StoreError> {
        policy::remove_address(tx, alias)
    }

    fn group_removed(&self, tx: &mut dyn Tx, group: &str) -> Result<(), StoreError> {
        policy::remove_group(tx, group)
    }
}

struct Place {
    accounts: Admin,
    _files: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: files.path().join("test.db"),
            },
            readers: 1,
            gather_max: Duration::ZERO,
            before_commit: None,
        };
        let components = [
            directory::SCHEMA,
            policy::SCHEMA,
            policy::CLIENTS_SCHEMA,
            policy::CONNECTIONS_SCHEMA,
            policy::LEGACY_SCHEMA,
            policy::RULES_SCHEMA,
            rollout::SCHEMA,
        ];
        let store = Store::open(options, &components).unwrap();
        let directory = Directory::open(store, directory::Settings::default(), Random::seeded(1));
        Self {
            accounts: Admin::new(directory.await.unwrap(), Arc::new(Hooks)),
            _files: files,
        }
    }

    async fn export(&self) -> String {
        export(&self.accounts, NOW).await.unwrap()
    }

    async fn told(&self, text: &str) -> Result<Vec<String>, Problem> {
        let (directory, changes) = compare(&self.accounts, text, NOW).await?;
        let directory = directory.changes.iter().map(ToString::to_string);
        Ok(directory.chain(changes.told).collect())
    }

    async fn apply(&self, text: &str) -> Result<Vec<String>, Problem> {
        let author = Author {
            by: "tester".into(),
            reason: String::new(),
            now: NOW,
        };
        let done = apply(&self.accounts, text, Removals::Allowed, author).await?;
        let directory = done.directory.changes.iter().map(ToString::to_string);
        Ok(directory.chain(done.others).collect())
    }
}

/// What can stand in a file, by section; each is taken or left.
const DOMAINS: [&str; 2] = ["firma.test", "verein.test"];
const SETTINGS: [(&str, &str, &str, &str); 6] = [
    ("installation", "dane", "", "audit"),
    (
        "installation",
        "tls-version",
        "imap",
        "1.3 observe; 2027-04-01 enforce",
    ),
    ("domain:firma.test", "sender-ownership", "", "warn"),
    (
        "domain:firma.test",
        "headers-outbound",
        "",
        "remove X-A\\nremove X-B",
    ),
    ("account:anna@verein.test", "hold-back", "", "30"),
    ("group:business", "sender-ownership", "", "observe"),
];
const RULES: [&str; 3] = [
    "name = \"one\"\nat = [\"rcpt\"]\nwhen = { fact = \"tls\", value = false }\n",
    "name = \"two\"\nat = [\"mail\"]\n",
    "name = \"three\"\nat = [\"rcpt\", \"mail\"]\n",
];
const THEN: &str = "then = [{ do = \"tag\", word = \"seen\" }]\n";
const IDENTITY: &str = "[[identity]]\naccount = \"anna@firma.test\"\nsend_as = \"*@elsewhere.test\"\nreason = \"hers\"\n";
const CLIENT: &str = "[[client]]\nid = \"x\"\nname = \"X\"\nclass = \"printer\"\nguide = \"printer\"\n\
                      [[client.version]]\nlabel = \"1\"\nis = [\"1..2\"]\n";
const ROLLOUT: &str = r#"[[rollout]]
slug = "tls"
reason = "{reason}"
as_of = "2024-12-10"
audience = ["installation"]
[rollout.title]
de = "Nur noch sicher"
en = "Secure only"
[[rollout.steps]]
measure = "tls-version/imap"
stage = "enforce"
date = "2027-03-05"
"#;

#[derive(Debug, Clone)]
struct Made {
    domains: Vec<bool>,
    settings: Vec<bool>,
    granted: bool,
    client: bool,
    rules: Vec<usize>,
    rollout: Option<&'static str>,
    voice: Option<&'static str>,
}

prop_compose! {
    fn made()(
        domains in proptest::collection::vec(any::<bool>(), DOMAINS.len()),
        settings in proptest::collection::vec(any::<bool>(), SETTINGS.len()),
        (granted, client) in any::<(bool, bool)>(),
        rules in Just((0..RULES.len()).collect::<Vec<_>>()).prop_shuffle(),
        rules_taken in 0..=RULES.len(),
        rollout in proptest::option::weighted(0.2, prop_oneof![Just("why"), Just("another reason")]),
        voice in proptest::option::of(prop_oneof![Just("030 1"), Just("030 \\\"\\\"\\\" 2")]),
    ) -> Made {
        let rules = rules.into_iter().take(rules_taken).collect();
        Made { domains, settings, granted, client, rules, rollout, voice }
    }
}

impl Made {
    /// Whether what is named, an account or a scope, is of a domain that is taken.
    fn has(&self, name: &str) -> bool {
        let place = DOMAINS.iter().position(|domain| name.ends_with(domain));
        place.is_none_or(|place| self.domains[place])
    }

    fn settings(&self) -> String {
        let taken = SETTINGS.iter().zip(&self.settings);
        let taken = taken.filter(|((scope, ..), is)| **is && self.has(scope));
        let tables = taken.map(|((scope, name, item, value), _)| {
            format!(
                "[[policy]]\nscope = \"{scope}\"\nname = \"{name}\"\nitem = \"{item}\"\n\
                 value = \"{value}\"\nreason = \"ticket\"\n"
            )
        });
        tables.collect()
    }

    fn text(&self) -> String {
        let granted = self.granted && self.has("firma.test");
        let rules = self.rules.iter();
        let rules = rules.map(|rule| format!("[[rules]]\n{}{THEN}", RULES[*rule]));
        let rollout = self
            .rollout
            .map(|reason| ROLLOUT.replace("{reason}", reason));
        let sections = [
            ("policy", self.settings()),
            ("identity", IDENTITY.repeat(usize::from(granted))),
            ("client", CLIENT.repeat(usize::from(self.client))),
            ("rules", rules.collect()),
            ("rollout", rollout.unwrap_or_default()),
        ];
        let mut text = String::new();
        for (name, _) in sections.iter().filter(|(_, tables)| tables.is_empty()) {
            text += &format!("{name} = []\n");
        }
        text += "[[group]]\nname = \"business\"\n";
        for domain in DOMAINS.iter().filter(|domain| self.has(domain)) {
            text += &format!("[[domain]]\nname = \"{domain}\"\n");
            text += &format!("[[account]]\nlogin = \"anna@{domain}\"\n");
        }
        text.extend(sections.map(|(_, tables)| tables));
        let voice = self.voice.map(|phone| format!("phone = \"{phone}\"\n"));
        text + "[voice]\n" + &voice.unwrap_or_default()
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// One installation goes through several files; each makes an empty one the same, byte by byte.
    #[test]
    fn whatever_was_before_a_file_makes_it_so(files in proptest::collection::vec(made(), 1..3)) {
        block_on(async {
            let place = Place::new().await;
            for file in &files {
                let file = file.text();
                let planned = place.told(&file).await.unwrap();
                prop_assert_eq!(place.apply(&file).await.unwrap(), planned);
                prop_assert_eq!(place.told(&file).await.unwrap(), Vec::<String>::new());
                let exported = place.export().await;
                prop_assert_eq!(place.told(&exported).await.unwrap(), Vec::<String>::new());
                let other = Place::new().await;
                other.apply(&exported).await.unwrap();
                prop_assert_eq!(other.export().await, exported);
            }
            Ok(())
        })?;
    }
}

const WHOLE: &str = r#"
[[domain]]
name = "firma.test"
[[account]]
login = "anna@firma.test"
"#;

#[tokio::test]
async fn where_one_part_cannot_be_nothing_is_done() {
    let place = Place::new().await;
    let whole = format!("{WHOLE}{ROLLOUT}").replace("{reason}", "why");
    place.apply(&whole).await.unwrap();
    let before = place.export().await;
    let more = "[[domain]]\nname = \"more.test\"\n";
    let setting = "[[policy]]\nscope = \"installation\"\nname = \"dane\"\nvalue = \"audit\"\n";
    for (wrong, said) in [
        // Only the transaction finds this one: whoever owns the domain has to consent.
        (
            "[[policy]]\nscope = \"domain:firma.test\"\nname = \"inbound-tls\"\nvalue = \"required\"\n",
            "consent",
        ),
        (
            "[[policy]]\nscope = \"domain:gone.test\"\nname = \"sender-ownership\"\nvalue = \"off\"\n",
            "no domain:gone.test",
        ),
        (
            "[[identity]]\naccount = \"otto@firma.test\"\nsend_as = \"a@b.test\"\nreason = \"x\"\n",
            "otto@firma.test",
        ),
        ("[[rollout]]\nslug = \"x\"\n", "missing field"),
        ("[voice]\nsite = \"nowhere\"\n", "line "),
        ("[[rules]]\nname = \"x\"\nthen = []\n", "rules"),
    ] {
        let file = format!("{WHOLE}{more}{setting}{wrong}");
        let why = place.apply(&file).await.unwrap_err();
        let why = format!("{why:?}");
        assert!(why.contains(said), "{wrong}: {why}");
        assert_eq!(place.export().await, before, "{wrong}");
    }
}

#[tokio::test]
async fn a_section_that_is_not_there_stays() {
    let place = Place::new().await;
    let whole = format!(
        "{WHOLE}{IDENTITY}{CLIENT}{ROLLOUT}[[rules]]\n{}{THEN}[voice]\nphone = \"1\"\n",
        RULES[0]
    );
    let made = place
        .apply(&whole.replace("{reason}", "why"))
        .await
        .unwrap();
    assert_eq!(
        made,
        [
            "domain firma.test is added",
            "account anna@firma.test is added",
            "account anna@firma.test may send as *@elsewhere.test (granted)",
            "the catalogue gets the entry x",
            "rule one is added",
            "rollout tls is kept as a draft",
            "the provider's phone becomes \"1\"",
        ]
    );
    assert_eq!(place.told(WHOLE).await.unwrap(), Vec::<String>::new());
    // Sections stand in one order, whatever the file's was.
    let exported = place.export().await;
    let order = [
        "[[domain]]",
        "[[account]]",
        "[[identity]]",
        "[[client]]",
        "[[rules]]",
        "[[rollout]]",
        "[voice]",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|section| exported.find(section).unwrap())
        .collect();
    assert!(places.is_sorted(), "{exported}");
    // What went with its account is gone without being told apart.
    let gone = place
        .apply("[[domain]]\nname = \"firma.test\"\n")
        .await
        .unwrap();
    assert_eq!(
        gone,
        ["account anna@firma.test is removed with all its mail"]
    );
}
