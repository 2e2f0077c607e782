//! The random worlds a preview is compared in: settings with dates and exceptions, programs and strangers, and the
//! change that is asked about. Made by proptest; `reality` lives through them.

use super::super::Proposed;
use crate::legacy::Stopped;
use crate::measure::{Door, Service};
use crate::model::{LegacyClear, OldVersions};
use crate::ownership::Standing;
use crate::setting::Name;
use crate::testing::NOON;
use platform::tls::TlsVersion;
use proptest::prelude::*;
use proptest::sample::select;

pub(super) const DAY: i64 = 24 * 3600 * 1000;
/// The window of the preview; more than that is lived through.
pub(super) const WINDOW: u32 = 14;
pub(super) const DAYS: i64 = 20;
/// Login, group of its own, and how many live behind the address.
pub(super) const PEOPLE: [(&str, Option<&str>, u8); 5] = [
    ("anna@firma.test", None, 1),
    ("bert@firma.test", Some("private"), 1),
    ("carl@other.test", None, 2),
    ("dora@other.test", Some("business"), 3),
    ("emil@other.test", Some("private"), 4),
];
const CLIENTS: [&str; 3] = ["outlook/2010/windows", "printer//", crate::clients::UNKNOWN];
const SERVICES: [Service; 2] = [Service::Imap, Service::Pop3];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Login,
    /// The password was wrong.
    Mistyped,
    /// There was no handshake; nobody was named.
    NoHandshake,
    /// Somebody else tries the name.
    Stranger,
}

#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) days_ago: i64,
    pub(super) who: usize,
    pub(super) service: Service,
    pub(super) door: Door,
    pub(super) tls: Option<TlsVersion>,
    pub(super) client: &'static str,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) days_ago: i64,
    pub(super) who: usize,
    pub(super) standing: Standing,
}

#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) scope: Where,
    pub(super) name: Name,
    pub(super) item: &'static str,
    pub(super) text: String,
    /// Days from the last one on; an exception that ended before it counts for nothing.
    pub(super) ends: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Where {
    Installation,
    Group(&'static str),
    Domain(&'static str),
    Account(usize),
}

#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) settings: Vec<Set>,
    pub(super) enrolled: Vec<usize>,
    pub(super) stopped: Option<Stopped>,
    pub(super) came: Vec<Came>,
    pub(super) sent: Vec<Sent>,
    pub(super) proposed: Proposed,
    pub(super) scope: Where,
}

fn places() -> impl Strategy<Value = Where> {
    prop_oneof![
        Just(Where::Installation),
        select(&["business", "private"][..]).prop_map(Where::Group),
        select(&["firma.test", "other.test"][..]).prop_map(Where::Domain),
        (0..PEOPLE.len()).prop_map(Where::Account),
    ]
}

fn stages() -> impl Strategy<Value = &'static str> {
    select(&["off", "observe", "warn", "enforce"][..])
}

fn date(days: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(NOON.0 + days * DAY).unwrap();
    at.strftime("%Y-%m-%d").to_string()
}

fn schedules() -> impl Strategy<Value = String> {
    let second = proptest::option::of((-DAYS..10, stages()));
    let more = select(
        &[
            "",
            "",
            "",
            "; canary=50%",
            "; paused=observe",
            "; paused=off",
        ][..],
    );
    (stages(), second, more).prop_map(|(first, second, more)| match second {
        None => format!("{first}{more}"),
        Some((days, second)) => format!("{first}; {} {second}{more}", date(days)),
    })
}

fn settings() -> impl Strategy<Value = Set> {
    let item = select(&["*", "imap"][..]);
    let measure = (item, select(&["1.2", "1.3"][..]), schedules()).prop_flat_map(
        |(item, version, schedule)| {
            prop_oneof![
                Just((Name::TlsVersion, item, format!("{version} {schedule}"))),
                Just((Name::Cleartext, item, schedule.clone())),
                Just((Name::SenderOwnership, "", schedule)),
            ]
        },
    );
    let legacy = (
        -5_i64..20,
        select(&["", " tls=1.0", " tls=1.0,1.1 cleartext"][..]),
    );
    let legacy = prop_oneof![
        4 => legacy.prop_map(|(end, what)| format!("until {}{what}", date(end))),
        1 => Just("forbidden".to_owned()),
    ]
    .prop_map(|text| (Name::LegacyAccess, "", text));
    let ends = proptest::option::of(select(&[-9_i64, -2, 3, 9][..]));
    (places(), prop_oneof![4 => measure, 1 => legacy], ends).prop_map(
        |(scope, (name, item, text), ends)| Set {
            scope,
            name,
            item,
            text,
            ends,
        },
    )
}

fn versions() -> impl Strategy<Value = Option<TlsVersion>> {
    select(
        &[
            None,
            Some(TlsVersion::V1_0),
            Some(TlsVersion::V1_1),
            Some(TlsVersion::V1_2),
            Some(TlsVersion::V1_3),
        ][..],
    )
}

fn arrivals() -> impl Strategy<Value = Came> {
    let kind = prop_oneof![
        6 => Just(Kind::Login),
        1 => Just(Kind::Mistyped),
        1 => Just(Kind::NoHandshake),
        2 => Just(Kind::Stranger),
    ];
    let door = prop_oneof![3 => Just(Door::Normal), 1 => Just(Door::Legacy)];
    let service = prop_oneof![3 => Just(SERVICES[0]), 1 => Just(SERVICES[1])];
    (
        (0..DAYS, 0..PEOPLE.len(), service, door),
        (versions(), select(&CLIENTS[..]), kind),
    )
        .prop_map(
            |((days_ago, who, service, door), (tls, client, kind))| Came {
                days_ago,
                who,
                service,
                door,
                tls,
                client: match kind {
                    // A handshake without a name is settled by others; that is told elsewhere.
                    Kind::NoHandshake => CLIENTS[0],
                    Kind::Stranger => crate::clients::UNKNOWN,
                    Kind::Login | Kind::Mistyped => client,
                },
                kind,
            },
        )
}

fn changes() -> impl Strategy<Value = Proposed> {
    prop_oneof![
        2 => (select(&SERVICES[..]), select(&[TlsVersion::V1_2, TlsVersion::V1_3][..]))
            .prop_map(|(service, lowest)| Proposed::TlsVersion { service, lowest }),
        2 => select(&SERVICES[..]).prop_map(Proposed::Cleartext),
        1 => Just(Proposed::SenderOwnership),
    ]
}

pub(super) fn worlds() -> impl Strategy<Value = World> {
    let standing = select(&[Standing::Owned, Standing::Foreign, Standing::Hosted][..]);
    let sent = (0..DAYS, 0..PEOPLE.len(), standing).prop_map(|(days_ago, who, standing)| Sent {
        days_ago,
        who,
        standing,
    });
    let stopped =
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(tls10, tls11, clear)| Stopped {
            versions: OldVersions { tls10, tls11 },
            clear: clear.then_some(LegacyClear::Refused),
        });
    let stopped = prop_oneof![4 => Just(None), 1 => stopped.prop_map(Some)];
    // Often there is legacy access for everybody, that much happens around it.
    let open = Set {
        scope: Where::Installation,
        name: Name::LegacyAccess,
        item: "",
        text: format!("until {} tls=1.0,1.1 cleartext", date(9)),
        ends: None,
    };
    let settings = proptest::collection::vec(settings(), 0..8);
    let everybody = (0..PEOPLE.len()).collect::<Vec<_>>();
    let enrolled = prop_oneof![
        proptest::collection::vec(0..PEOPLE.len(), 0..4),
        Just(everybody),
    ];
    (
        (proptest::option::of(Just(open)), settings)
            .prop_map(|(open, others)| open.into_iter().chain(others).collect()),
        enrolled,
        stopped,
        proptest::collection::vec(arrivals(), 1..40),
        proptest::collection::vec(sent, 0..6),
        changes(),
        places(),
    )
        .prop_map(
            |(settings, enrolled, stopped, came, sent, proposed, scope): (
                Vec<Set>,
                _,
                _,
                _,
                _,
                _,
                _,
            )| World {
                settings,
                enrolled,
                stopped: stopped.filter(Stopped::is_any),
                came,
                sent,
                proposed,
                scope,
            },
        )
}
