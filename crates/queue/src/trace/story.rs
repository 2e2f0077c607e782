//! Tells a message's story in whole sentences, German or English. Pure: lines in, text out.

use super::{Accepted, Entry, Noticed, Origin, Session, SessionTls, Settled, Told};
use crate::relay::{Cause, TlsSeen, Try};
use formats::language::Language;
use formats::rfc3339;

/// A line of the story as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// When, in UTC: `22.11.2026 20:14:03` or `2026-11-22 20:14:03`.
    pub time: String,
    /// What happened.
    pub text: String,
}

/// The whole story. `origin` is told with the acceptance.
pub fn tell(entries: &[Entry], origin: &Origin, language: Language) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for entry in entries {
        let time = time(entry.at.0, language);
        let mut say = |text| {
            sentences.push(Sentence {
                time: time.clone(),
                text,
            });
        };
        match &entry.told {
            Told::Accepted(accepted) => {
                say(came(accepted, origin, language));
                say(went(accepted, language));
            }
            Told::Settled(settled) => {
                for tried in &settled.tries {
                    say(attempt(tried, language));
                }
                say(outcome(&entry.event, settled, language));
            }
            Told::Noticed(noticed) => say(notice(noticed, language)),
            Told::Text(text) => say(old(&entry.event, text, language)),
        }
    }
    sentences
}

/// A time in the manner of the language, UTC.
pub fn time(unix_ms: i64, language: Language) -> String {
    // 2026-11-22T20:14:03.000Z
    let text = rfc3339::format(unix_ms);
    let parts = (
        text.get(..4),
        text.get(5..7),
        text.get(8..10),
        text.get(11..19),
    );
    let (Some(year), Some(month), Some(day), Some(clock)) = parts else {
        return text;
    };
    match language {
        Language::German => format!("{day}.{month}.{year} {clock}"),
        Language::English => format!("{year}-{month}-{day} {clock}"),
    }
}

fn pick(language: Language, german: String, english: String) -> String {
    match language {
        Language::German => german,
        Language::English => english,
    }
}

fn came(accepted: &Accepted, origin: &Origin, language: Language) -> String {
    let session = &accepted.session;
    if let Some(about) = &session.notice_about {
        return pick(
            language,
            format!("Dieser Server hat sie geschrieben, als Mitteilung zur Nachricht {about}."),
            format!("This server wrote it, as a notice about message {about}."),
        );
    }
    // A letter or a report.
    if session.role.is_empty() && session.login.is_none() {
        return pick(
            language,
            "Dieser Server hat sie geschrieben.".to_owned(),
            "This server wrote it.".to_owned(),
        );
    }
    let from = sender(&accepted.from, language);
    let over = channel(session.tls.as_ref(), language);
    let client = client(session, origin, language);
    if let (Some(login), Some(source)) = (&session.login, &session.source) {
        return pick(
            language,
            format!(
                "Der Server \"{source}\" hat sie für {login} {over} eingeliefert, Absender {from}.{client}"
            ),
            format!(
                "The server \"{source}\" handed it in for {login} {over}, sender {from}.{client}"
            ),
        );
    }
    match &session.login {
        Some(login) => pick(
            language,
            format!("{login} hat sie {over} eingeliefert, Absender {from}.{client}"),
            format!("{login} submitted it {over}, sender {from}.{client}"),
        ),
        None => pick(
            language,
            format!("Ein anderer Server hat sie {over} übergeben, Absender {from}.{client}"),
            format!("Another server handed it over {over}, sender {from}.{client}"),
        ),
    }
}

fn sender(from: &str, language: Language) -> String {
    match (from, language) {
        ("", Language::German) => "<> (eine automatische Mitteilung)".to_owned(),
        ("", Language::English) => "<> (an automatic notice)".to_owned(),
        (from, _) => from.to_owned(),
    }
}

fn channel(tls: Option<&SessionTls>, language: Language) -> String {
    match tls {
        Some(tls) => pick(
            language,
            format!("über {} ({})", tls.version, tls.cipher),
            format!("over {} ({})", tls.version, tls.cipher),
        ),
        None => pick(
            language,
            "unverschlüsselt".into(),
            "without encryption".into(),
        ),
    }
}

fn client(session: &Session, origin: &Origin, language: Language) -> String {
    match origin {
        Origin::None => String::new(),
        Origin::Known { client, hello } => pick(
            language,
            format!(" Sie kam von der Adresse {client}, die sich „{hello}“ nannte."),
            format!(" It came from address {client}, which called itself \"{hello}\"."),
        ),
        Origin::Expired if session.notice_about.is_some() => String::new(),
        Origin::Expired => pick(
            language,
            " Von welcher Adresse, ist nicht mehr gespeichert (abgelaufen).".into(),
            " From which address is no longer kept (expired).".into(),
        ),
    }
}

fn went(accepted: &Accepted, language: Language) -> String {
    let more = match (accepted.to_more, language) {
        (0, _) => String::new(),
        (more, Language::German) => format!(" und {more} weitere"),
        (more, Language::English) => format!(" and {more} more"),
    };
    let to = format!("{}{more}", accepted.to.join(", "));
    let id = accepted.message_id.as_deref().unwrap_or("-");
    let (local, waiting, bytes) = (accepted.local, accepted.waiting, accepted.bytes);
    pick(
        language,
        format!(
            "Angenommen für {to}; {bytes} Byte, Message-ID {id}. In Postfächern hier: {local}; in der Warteschlange: {waiting}."
        ),
        format!(
            "Accepted for {to}; {bytes} bytes, Message-ID {id}. In mailboxes here: {local}; in the queue: {waiting}."
        ),
    )
}

fn attempt(tried: &Try, language: Language) -> String {
    let at = tried
        .address
        .map(|address| format!(" [{}]:{}", address.ip(), address.port()))
        .unwrap_or_default();
    let host = &tried.host;
    if tried.address.is_none() && tried.policy.is_empty() {
        let result = or_dash(&tried.result);
        return pick(
            language,
            format!("Weg zu {host} gesucht. Ergebnis: {result}"),
            format!("Looked for the way to {host}. Result: {result}"),
        );
    }
    let how = encryption(tried.tls.as_ref(), language);
    let because = match tried.why.is_empty() {
        true => String::new(),
        false => pick(
            language,
            format!(", weil: {}", german(&tried.why)),
            format!(", because: {}", tried.why),
        ),
    };
    let (policy, result) = (or_dash(&tried.policy), or_dash(&tried.result));
    pick(
        language,
        format!("Versucht bei {host}{at}: {how}. Regel {policy}{because}. Ergebnis: {result}"),
        format!("Tried {host}{at}: {how}. Policy {policy}{because}. Result: {result}"),
    )
}

/// A reply without the facts before it (`host=… tls=…`), which the tries tell.
fn words_of(reply: &str) -> &str {
    let mut text = reply;
    while let Some((fact, rest)) = text.split_once(' ')
        && fact.contains('=')
    {
        text = rest;
    }
    text
}

fn or_dash(text: &str) -> &str {
    match text {
        "" => "-",
        text => text,
    }
}

fn encryption(tls: Option<&TlsSeen>, language: Language) -> String {
    let Some(tls) = tls else {
        return pick(
            language,
            "keine verschlüsselte Verbindung".into(),
            "no encrypted connection".into(),
        );
    };
    let proof = proof(&tls.verified, language);
    pick(
        language,
        format!("verschlüsselt mit {} {}, {proof}", tls.version, tls.cipher),
        format!("encrypted with {} {}, {proof}", tls.version, tls.cipher),
    )
}

fn proof(verified: &str, language: Language) -> String {
    let (german, english) = match verified {
        "dane" => (
            "Zertifikat durch DANE bewiesen",
            "certificate proven by DANE",
        ),
        "name" | "pkix" => (
            "Zertifikat durch Namen und anerkannte Stelle bewiesen",
            "certificate proven by name and a trusted authority",
        ),
        "fingerprint" => (
            "Zertifikat am Fingerabdruck erkannt",
            "certificate known by its fingerprint",
        ),
        "" | "no" => ("Zertifikat nicht geprüft", "certificate not checked"),
        other => {
            return pick(
                language,
                format!("Zertifikat geprüft: {other}"),
                format!("certificate checked: {other}"),
            );
        }
    };
    pick(language, german.into(), english.into())
}

fn outcome(event: &str, settled: &Settled, language: Language) -> String {
    let (to, reply) = (&settled.to, or_dash(words_of(&settled.reply)));
    let tls = match (settled.cause, language) {
        (Cause::Other, _) => "",
        (Cause::TlsPolicy, Language::German) => {
            " Es fehlte nur die geforderte sichere Verschlüsselung."
        }
        (Cause::TlsPolicy, Language::English) => {
            " Only the secure encryption that is required was missing."
        }
    };
    let next = settled.next_ms.map(|at| time(at, language));
    let next = match (next, language) {
        (None, _) => String::new(),
        (Some(at), Language::German) => format!(" Nächster Versuch: {at}."),
        (Some(at), Language::English) => format!(" Next try: {at}."),
    };
    let (german, english) = match event {
        "relayed" => (
            "hat der andere Server übernommen",
            "was taken over by the other server",
        ),
        "delivered" => ("liegt im Postfach", "is in the mailbox"),
        "deferred" => ("wartet weiter", "goes on waiting"),
        "failed" => ("ist endgültig gescheitert", "failed for good"),
        _ => ("", ""),
    };
    pick(
        language,
        format!("Empfänger {to} {german}: {reply}.{tls}{next}"),
        format!("Recipient {to} {english}: {reply}.{tls}{next}"),
    )
}

fn notice(noticed: &Noticed, language: Language) -> String {
    let Noticed { notice, says } = noticed;
    let german = match says.as_str() {
        "failed" => "unzustellbar",
        "delayed" => "verspätet",
        "relayed" => "weitergegeben",
        "delivered" => "zugestellt",
        other => other,
    };
    pick(
        language,
        format!("Der Absender bekam eine Mitteilung ({german}): {notice}."),
        format!("The sender was sent a notice ({says}): {notice}."),
    )
}

/// Why a policy applied, in German. What is not known here stays as the router said it.
fn german(why: &str) -> String {
    let whole = match why {
        "nobody demands more than TLS where it is offered" => {
            "niemand verlangt mehr als TLS, wo es angeboten wird"
        }
        "an exception for this destination lets mail go as it can" => {
            "eine Ausnahme für dieses Ziel lässt Mail gehen, wie es geht"
        }
        "a rule for this destination lets mail go as it can" => {
            "eine Regel für dieses Ziel lässt Mail gehen, wie es geht"
        }
        "the message says \"TLS-Required: No\"" => "die Nachricht sagt „TLS-Required: No“",
        "the host has signed TLSA records" => "der Server hat signierte TLSA-Einträge",
        "the sender asked for REQUIRETLS for this message" => {
            "der Absender hat für diese Nachricht REQUIRETLS verlangt"
        }
        _ => "",
    };
    if !whole.is_empty() {
        return whole.to_owned();
    }
    if let Some(domain) = (why.strip_prefix("the MTA-STS policy of "))
        .and_then(|rest| rest.strip_suffix(" is in force"))
    {
        return format!("die MTA-STS-Richtlinie von {domain} gilt");
    }
    let mandatory = why.strip_suffix(" for everything it sends");
    let Some((who, what)) = mandatory.and_then(|rest| rest.split_once(" requires ")) else {
        return why.to_owned();
    };
    let who = match who {
        "this server" => "dieser Server",
        "the sender's account" => "das Konto des Absenders",
        who => who,
    };
    let what = match what {
        "encryption to a verified server" => "Verschlüsselung zu einem geprüften Server",
        "encryption" => "Verschlüsselung",
        what => what,
    };
    format!("{who} verlangt für alles, was hinausgeht, {what}")
}

/// An order or a calling back, as it was written down (`manage.rs`).
fn order(text: &str, language: Language) -> String {
    let german = || {
        let (before, rest) = text.split_once('<')?;
        let (recipient, after) = rest.split_once('>')?;
        let to = format!("<{recipient}>");
        Some(match (before, after) {
            ("The operator holds what is for ", _) => {
                format!("Der Betreiber hält fest, was an {to} geht.")
            }
            ("What is for ", _) => format!("Was an {to} geht, wurde freigegeben."),
            ("The operator has ", _) => {
                format!("Der Betreiber lässt es bei {to} sofort wieder versuchen.")
            }
            ("The operator sends what is for ", " the usual way again.") => {
                format!("Der Betreiber schickt, was an {to} geht, wieder den üblichen Weg.")
            }
            ("The operator sends what is for ", after) => {
                let route = after.trim_start_matches(" to ").trim_end_matches('.');
                format!("Der Betreiber schickt, was an {to} geht, an {route}.")
            }
            ("The operator returns what is for ", _) => {
                format!("Der Betreiber gibt zurück, was an {to} geht.")
            }
            _ => return None,
        })
    };
    match (language, text) {
        (Language::English, _) => text.to_owned(),
        (Language::German, "It was called back before anything of it left.") => {
            "Sie wurde zurückgeholt, bevor etwas von ihr hinausging.".to_owned()
        }
        (Language::German, _) => german().unwrap_or_else(|| format!("Anweisung: {text}")),
    }
}

/// Lines of older releases.
fn old(event: &str, text: &str, language: Language) -> String {
    if matches!(event, "ordered" | "cancelled") {
        return order(text, language);
    }
    let german = match event {
        "accepted" => "Angenommen",
        "delivered" => "Zugestellt",
        "relayed" => "Weitergegeben",
        "deferred" => "Aufgeschoben",
        "failed" => "Gescheitert",
        "bounced" => "Mitteilung an den Absender",
        other => other,
    };
    pick(
        language,
        format!("{german}: {text}"),
        format!("{event}: {text}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::clock::Timestamp;

    fn entry(event: &str, told: Told) -> Entry {
        Entry {
            at: Timestamp(1_795_378_443_000),
            event: event.into(),
            detail: String::new(),
            told,
        }
    }

    fn texts(entries: &[Entry], origin: &Origin, language: Language) -> String {
        tell(entries, origin, language)
            .iter()
            .map(|s| format!("{} {}\n", s.time, s.text))
            .collect()
    }

    fn tried() -> Try {
        Try {
            host: String::new(),
            address: None,
            tls: None,
            policy: String::new(),
            why: String::new(),
            result: String::new(),
        }
    }

    fn submitted() -> Entry {
        let accepted = Accepted {
            from: "anna@firma.test".into(),
            to: vec!["b@else.test".into()],
            waiting: 1,
            bytes: 12,
            message_id: Some("<1@firma.test>".into()),
            session: Session {
                role: "submission".into(),
                login: Some("anna@firma.test".into()),
                tls: Some(SessionTls {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    ..SessionTls::default()
                }),
                ..Session::default()
            },
            ..Accepted::default()
        };
        entry("accepted", Told::Accepted(Box::new(accepted)))
    }

    #[test]
    fn what_this_server_wrote_came_from_nobody_else() {
        let mut letter = submitted();
        if let Told::Accepted(accepted) = &mut letter.told {
            accepted.session = Session::default();
        }
        let told = texts(&[letter], &Origin::Expired, Language::English);
        assert!(told.contains("This server wrote it.\n"), "{told}");
        assert!(!told.contains("no longer kept"), "{told}");
    }

    #[test]
    fn a_story_says_who_how_and_why() {
        let relayed = Settled {
            to: "b@else.test".into(),
            reply: "host=mx.else.test 250 2.0.0 ok".into(),
            tries: vec![Try {
                host: "mx.else.test".into(),
                address: Some(([192, 0, 2, 1], 25).into()),
                tls: Some(TlsSeen {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    verified: "dane".into(),
                }),
                policy: "dane".into(),
                why: "TLSA records, proven by DNSSEC".into(),
                result: "250 2.0.0 ok".into(),
            }],
            ..Settled::default()
        };
        let entries = [
            submitted(),
            entry("relayed", Told::Settled(Box::new(relayed))),
        ];
        let origin = Origin::Known {
            client: "192.0.2.7".into(),
            hello: "laptop".into(),
        };
        assert_eq!(
            texts(&entries, &origin, Language::English),
            "2026-11-22 20:14:03 anna@firma.test submitted it over TLSv1.3 (TLS_AES_256_GCM_SHA384), sender anna@firma.test. It came from address 192.0.2.7, which called itself \"laptop\".\n\
             2026-11-22 20:14:03 Accepted for b@else.test; 12 bytes, Message-ID <1@firma.test>. In mailboxes here: 0; in the queue: 1.\n\
             2026-11-22 20:14:03 Tried mx.else.test [192.0.2.1]:25: encrypted with TLSv1.3 TLS_AES_256_GCM_SHA384, certificate proven by DANE. Policy dane, because: TLSA records, proven by DNSSEC. Result: 250 2.0.0 ok\n\
             2026-11-22 20:14:03 Recipient b@else.test was taken over by the other server: 250 2.0.0 ok.\n"
        );
        let german = texts(&entries, &origin, Language::German);
        assert!(
            german.starts_with("22.11.2026 20:14:03 anna@firma.test hat sie"),
            "{german}"
        );
    }

    #[test]
    fn a_way_that_was_not_found_and_an_order_are_told_plainly() {
        let failed = Settled {
            to: "b@nix.test".into(),
            tries: vec![Try {
                host: "nix.test".into(),
                result: "5.1.2 no such domain".into(),
                ..tried()
            }],
            ..Settled::default()
        };
        let entries = [
            entry("ordered", Told::Text("The operator returns it.".into())),
            entry("failed", Told::Settled(Box::new(failed))),
        ];
        let text = texts(&entries, &Origin::None, Language::English);
        assert!(
            text.contains("20:14:03 The operator returns it.\n"),
            "{text}"
        );
        assert!(
            text.contains("Looked for the way to nix.test. Result: 5.1.2 no such domain\n"),
            "{text}"
        );
    }

    #[test]
    fn reasons_are_told_in_german() {
        for (english, wanted) in [
            (
                "example.org requires encryption for everything it sends",
                "example.org verlangt für alles, was hinausgeht, Verschlüsselung",
            ),
            (
                "the MTA-STS policy of b.test is in force",
                "die MTA-STS-Richtlinie von b.test gilt",
            ),
            ("something new", "something new"),
        ] {
            assert_eq!(german(english), wanted);
        }
        for (english, wanted) in [
            (
                "The operator sends what is for <b@x.test> to relay.test:25.",
                "Der Betreiber schickt, was an <b@x.test> geht, an relay.test:25.",
            ),
            (
                "What is for <b@x.test> was released.",
                "Was an <b@x.test> geht, wurde freigegeben.",
            ),
            ("Something new.", "Anweisung: Something new."),
        ] {
            assert_eq!(order(english, Language::German), wanted);
        }
    }

    #[test]
    fn an_origin_that_is_gone_is_said_to_be_expired() {
        let text = texts(&[submitted()], &Origin::Expired, Language::English);
        assert!(text.contains("no longer kept (expired)"), "{text}");
    }

    #[test]
    fn lines_of_older_releases_are_told_as_they_are() {
        let line = entry("relayed", Told::Text("to=<b@x.test> host=mx 250 ok".into()));
        let text = texts(&[line], &Origin::Expired, Language::English);
        assert!(
            text.contains("relayed: to=<b@x.test> host=mx 250 ok"),
            "{text}"
        );
    }
}
