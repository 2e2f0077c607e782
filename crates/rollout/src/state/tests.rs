//! Files of rollouts and words: what is written is read again, nothing that is public is touched, everything or
//! nothing. Tests only.

use super::*;
use crate::admin::Rollouts;
use crate::model::{Evidence, Legacy, LocalDate, Rounds, Step, TextSet, Texts, Visibility};
use crate::testing::rollout;
use platform::clock::{Clock, Timestamp};
use platform::store::{Engine, Options, Store};
use policy::{Measure, Policies, Service, Stage};
use proptest::prelude::*;

struct Place {
    store: Store,
    rollouts: Rollouts,
    _files: tempfile::TempDir,
}

const NOW: Timestamp = Timestamp(1_733_800_000_000);

fn author() -> Author {
    Author {
        by: "tester".into(),
        reason: "a file".into(),
        now: NOW,
    }
}

impl Place {
    async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let options = Options {
            engine: Engine::Sqlite {
                path: files.path().join("test.db"),
            },
            readers: 1,
            gather_max: std::time::Duration::ZERO,
            before_commit: None,
        };
        let components = [
            directory::SCHEMA,
            policy::SCHEMA,
            policy::CLIENTS_SCHEMA,
            policy::CONNECTIONS_SCHEMA,
            policy::LEGACY_SCHEMA,
            policy::RULES_SCHEMA,
            crate::SCHEMA,
        ];
        let store = Store::open(options, &components).unwrap();
        let policies = Policies::open(store.clone(), Clock::settable(NOW));
        let policies = policies.await.unwrap();
        Self {
            rollouts: Rollouts::new(store.clone(), policies, "mx.provider.test"),
            store,
            _files: files,
        }
    }

    async fn export(&self) -> (String, String) {
        let read = self.store.read(|tx: &mut dyn Tx| {
            Ok::<_, RolloutError>((export_rollouts(tx)?, export_voice(tx)?))
        });
        read.await.unwrap()
    }

    async fn plan(&self, wish: &Wish) -> Result<Changes, RolloutError> {
        let wish = wish.clone();
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| plan(tx, &wish, &installation));
        read.await
    }

    /// Plans and makes the changes, as a state file is applied.
    async fn apply(&self, wish: &Wish) -> Result<Changes, RolloutError> {
        let wish = wish.clone();
        let write = self.store.write(move |tx: &mut dyn Tx| {
            let changes = plan(tx, &wish, &installation)?;
            carry_out(tx, &changes, &author())?;
            Ok::<_, RolloutError>(changes)
        });
        write.await
    }

    async fn started(&self, slug: &str) {
        self.rollouts.announce(slug, author()).await.unwrap();
        self.rollouts.start(slug, author()).await.unwrap();
    }
}

fn installation(scope: &str) -> bool {
    scope == "installation"
}

/// What the texts of a file want.
fn wish((rollouts, voice): &(String, String)) -> Wish {
    let wanted = |text: &String| (!text.is_empty()).then(|| text.clone());
    Wish {
        rollouts: wanted(rollouts).map(|text| rollouts_from(&text).unwrap()),
        voice: wanted(voice).map(|text| voice_from(&text).unwrap()),
    }
}

fn only(rollouts: &[Rollout]) -> Wish {
    let keyed = rollouts.iter().map(|r| (r.slug.clone(), r.clone()));
    Wish {
        rollouts: Some(keyed.collect()),
        voice: None,
    }
}

fn sentences(changes: &Changes) -> Vec<String> {
    changes.changes.iter().map(ToString::to_string).collect()
}

/// Text that is hard to write down: quotes of all kinds, breaks, brackets at the beginning of lines.
fn prose() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-ZäöüßÄ .,:;!?#=\\\\-]{0,12}",
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("'''".to_owned()),
        Just("\n[[policy]]\n".to_owned()),
        Just("\n[voice]\nprovider = 1\n".to_owned()),
        Just("\t\"'".to_owned()),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn title() -> impl Strategy<Value = String> {
    "[a-zA-ZäöüßÄ\"'\\[\\]#=.-]{1,40}"
}

fn texts() -> impl Strategy<Value = TextSet> {
    let wording = proptest::option::of(prose());
    (prose(), prose(), prose(), prose(), wording).prop_map(
        |(why, means, transition, background, intro)| TextSet {
            why,
            means,
            transition,
            background,
            wording: intro
                .map(|text| ("support.intro".to_owned(), text))
                .into_iter()
                .collect(),
        },
    )
}

fn day(text: String) -> LocalDate {
    text.parse().unwrap()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = (1..28_u8, proptest::option::of(0..24_u8), any::<bool>());
    (first, any::<bool>()).prop_map(|((warned, hour, internal), two)| {
        let visibility = match internal {
            true => Visibility::Internal,
            false => Visibility::Public,
        };
        let step = |measure: Measure, stage, date, value: Option<&str>| Step {
            measure,
            value: value.map(str::to_owned),
            stage,
            date,
            visibility,
        };
        let time = hour.map_or_else(String::new, |hour| format!("T{hour:02}:30"));
        let warn = day(format!("2025-02-{warned:02}{time}"));
        let (imap, value) = (Measure::TlsVersion(Service::Imap), Some("1.3"));
        let mut steps = vec![
            step(imap.clone(), Stage::Warn, warn, value),
            step(imap, Stage::Enforce, day("2025-03-05".into()), value),
        ];
        if two {
            let clear = Measure::Cleartext(Service::Pop3);
            steps.push(step(
                clear,
                Stage::Enforce,
                day("2025-04-01T08:00".into()),
                None,
            ));
        }
        steps
    })
}

prop_compose! {
    fn made()(
        slug in "[a-z0-9][a-z0-9-]{0,20}",
        (de, en, reason) in (title(), title(), "[a-z\"' ]{0,9}x"),
        canary in proptest::option::of(1..=99_u8),
        every in proptest::option::of(7..=90_u16),
        clear in any::<Option<bool>>(),
        (texts_de, texts_en) in (texts(), texts()),
        steps in steps(),
        notes in proptest::collection::vec(prose(), 0..3),
    ) -> Rollout {
        Rollout {
            slug,
            title: Texts { de, en },
            reason,
            as_of: day("2024-12-10".into()),
            audience: vec!["installation".into()],
            canary,
            rounds: Rounds {
                newsletter: Some(day("2024-12-10T08:00".into())),
                first: every.map(|_| day("2025-01-14".into())),
                every_days: every,
                last: every.map(|_| day("2025-03-04".into())),
                look_back_days: every.map(|days| days + 20),
            },
            legacy: clear.map(|cleartext| Legacy {
                until: day("2025-05-30".into()),
                tls: vec!["1.1".into()],
                cleartext,
            }),
            texts: Texts { de: texts_de, en: texts_en },
            steps,
            evidence: notes.into_iter().map(|note| Evidence {
                source: "elsewhere".into(),
                seen: day("2024-11-30".into()),
                note,
            }).collect(),
        }
    }
}

fn words() -> impl Strategy<Value = Words> {
    let title = title();
    (title, any::<bool>(), any::<bool>()).prop_map(|(name, du, phone)| {
        let mut words = Words::from([(Word::Provider, name.trim().to_owned())]);
        if du {
            words.insert(Word::Address, "du".to_owned());
            words.insert(Word::ImapHost, "IMAP.provider.test".to_owned());
        }
        if phone {
            words.insert(Word::Phone, String::new());
        }
        words
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    /// Whatever stands in a rollout is read as it was written.
    #[test]
    fn a_written_rollout_is_read_again(rollout in made()) {
        let text = export_of(&rollout);
        let read = rollouts_from(&text).unwrap();
        prop_assert_eq!(export_of(&read[&rollout.slug]), text);
        prop_assert_eq!(read.into_values().collect::<Vec<_>>(), vec![rollout]);
    }
}

proptest! {
    // Each rollout is checked with all its texts in every form, which takes its time.
    #![proptest_config(ProptestConfig::with_cases(5))]

    /// Export, apply on an empty store, export: the same bytes. Twice applied changes nothing.
    #[test]
    fn a_file_makes_an_empty_store_the_same(
        all in proptest::collection::btree_map("[a-z]{1,6}", made(), 0..3),
        voice in words(),
    ) {
        block_on(async {
            let (one, other) = (Place::new().await, Place::new().await);
            let named = all.into_iter().map(|(slug, rollout)| Rollout { slug, ..rollout });
            let wanted = Wish { voice: Some(voice), ..only(&named.collect::<Vec<_>>()) };
            one.apply(&wanted).await.unwrap();
            let exported = one.export().await;
            prop_assert_eq!(one.plan(&wish(&exported)).await.unwrap().changes, vec![]);
            other.apply(&wish(&exported)).await.unwrap();
            prop_assert_eq!(other.export().await, exported.clone());
            prop_assert_eq!(other.plan(&wanted).await.unwrap().changes, vec![]);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn drafts_come_change_and_go_and_each_is_said() {
    let place = Place::new().await;
    let first = rollout();
    let made = place
        .apply(&only(std::slice::from_ref(&first)))
        .await
        .unwrap();
    assert_eq!(sentences(&made), ["rollout tls-2025 is kept as a draft"]);
    let mut changed = first.clone();
    changed.reason = "RFC 8996, and older".into();
    let made = place.apply(&only(&[changed])).await.unwrap();
    assert_eq!(
        sentences(&made),
        ["rollout tls-2025 changes; it stays draft"]
    );
    let history = place.rollouts.history("tls-2025").await.unwrap();
    let told = history
        .iter()
        .map(|past| (past.action.as_str(), past.reason.as_str()));
    let told: Vec<_> = told.collect();
    assert_eq!(told, [("created", "a file"), ("changed", "a file")]);
    let made = place.apply(&only(&[])).await.unwrap();
    assert_eq!(sentences(&made), ["rollout tls-2025 is removed"]);
    assert_eq!(place.export().await, (String::new(), String::new()));
    // A file without any says nothing about them.
    place.apply(&only(&[first])).await.unwrap();
    let made = place.apply(&Wish::default()).await.unwrap();
    assert_eq!(made, Changes::default());
}

#[tokio::test]
async fn what_readers_have_seen_stands_and_nothing_else_is_done_then() {
    let place = Place::new().await;
    let first = rollout();
    place
        .apply(&only(std::slice::from_ref(&first)))
        .await
        .unwrap();
    place.started("tls-2025").await;
    // It is no difference that it runs.
    let same = place
        .plan(&only(std::slice::from_ref(&first)))
        .await
        .unwrap();
    assert_eq!(same.changes, []);
    let (mut later, mut another) = (first.clone(), first.clone());
    later.steps[0].date = day("2025-02-02".into());
    another.slug = "another".into();
    let refused = place.apply(&only(&[later.clone(), another.clone()])).await;
    let why = refused.unwrap_err().to_string();
    for part in [
        "tls-2025 is running and is another one in the file (steps)",
        "rollback tls-2025",
    ] {
        assert!(why.contains(part), "{why}");
    }
    let refused = place.apply(&only(std::slice::from_ref(&another))).await;
    let why = refused.unwrap_err().to_string();
    assert!(
        why.contains("tls-2025 is running and is not in the file"),
        "{why}"
    );
    assert!(!place.export().await.0.contains("slug = \"another\""));
    // What was taken back can be changed and removed again.
    place
        .rollouts
        .roll_back("tls-2025", author())
        .await
        .unwrap();
    let made = place.apply(&only(&[later])).await.unwrap();
    assert_eq!(
        sentences(&made),
        ["rollout tls-2025 changes; it stays rolled-back"]
    );
    let made = place.apply(&only(&[another])).await.unwrap();
    let told = [
        "rollout tls-2025 is removed",
        "rollout another is kept as a draft",
    ];
    assert_eq!(sentences(&made), told);
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let place = Place::new().await;
    let (mut gap, mut nowhere) = (rollout(), rollout());
    gap.slug = "gap".into();
    gap.texts.en.why = "This is {nothing}.".into();
    nowhere.slug = "nowhere".into();
    nowhere.audience = vec!["nobody.test".into()];
    let why = place
        .plan(&only(&[gap, nowhere]))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("rollout gap: ") && why.contains("nothing"),
        "{why}"
    );
    let missing = "rollout nowhere: audience: there is no nobody.test in the file";
    assert!(why.contains(missing), "{why}");
}

#[test]
fn what_nobody_knows_is_refused_with_its_line() {
    let text = export_of(&rollout());
    let wrong = text.replace("reason = ", "\nraeson = ");
    let at = wrong
        .lines()
        .position(|line| line.starts_with("raeson"))
        .unwrap()
        + 1;
    let why = rollouts_from(&wrong).unwrap_err();
    assert!(
        why.contains(&format!("line {at}")) && why.contains("raeson"),
        "{why}"
    );
    let twice = format!("{text}\n{text}");
    let at = text.lines().count() + 2;
    let why = rollouts_from(&twice).unwrap_err();
    assert_eq!(why, format!("line {at}: rollout tls-2025 is there twice"));
    let why = voice_from("[voice]\nphone = \"1\"\nfone = \"2\"\n").unwrap_err();
    assert!(why.starts_with("line 3: [voice] has no \"fone\""), "{why}");
    let why = voice_from("[voice]\n\nsite = \"http://x.test/\"\n").unwrap_err();
    assert!(why.starts_with("line 3: [voice] site:"), "{why}");
}

fn export_of(rollout: &Rollout) -> String {
    let text = RolloutText {
        rollout: vec![rollout],
    };
    toml::to_string(&text).unwrap()
}

#[tokio::test]
async fn words_are_said_and_unsaid() {
    let place = Place::new().await;
    let said = voice_from("[voice]\nphone = \" 030 1 \"\naddress = \"du\"\n").unwrap();
    let voice = |words| Wish {
        rollouts: None,
        voice: Some(words),
    };
    let made = place.apply(&voice(said.clone())).await.unwrap();
    assert_eq!(
        sentences(&made)[0],
        "the provider's phone becomes \"030 1\""
    );
    assert_eq!(place.plan(&voice(said)).await.unwrap().changes, []);
    assert_eq!(place.rollouts.voice().await.unwrap().phone, "030 1");
    let file = place.export().await.1;
    assert_eq!(file, "[voice]\naddress = \"du\"\nphone = \"030 1\"\n");
    let made = place.apply(&voice(Words::new())).await.unwrap();
    assert_eq!(
        made.changes,
        [Change::Unsay(Word::Phone), Change::Unsay(Word::Address)]
    );
    assert_eq!(place.rollouts.history("").await.unwrap().len(), 4);
}
