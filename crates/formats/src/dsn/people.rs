//! The part of a notice that people read: what happened to whom, whose move it is, what to do, in
//! two languages, one after the other. Text only; the caller encodes it.

use super::advice::{Advice, advice};
use super::{Action, Notice, Reason, Recipient, host, one_line};
use crate::date::{DateTime, format_internaldate};
use crate::header;
use crate::language::Language;

/// Letters of the original subject that are repeated.
const SUBJECT_LETTERS_MAX: usize = 120;

/// Months as IMAP writes them, in German and in English.
const MONTHS: [(&str, &str, &str); 12] = [
    ("Jan", "Januar", "January"),
    ("Feb", "Februar", "February"),
    ("Mar", "März", "March"),
    ("Apr", "April", "April"),
    ("May", "Mai", "May"),
    ("Jun", "Juni", "June"),
    ("Jul", "Juli", "July"),
    ("Aug", "August", "August"),
    ("Sep", "September", "September"),
    ("Oct", "Oktober", "October"),
    ("Nov", "November", "November"),
    ("Dec", "Dezember", "December"),
];

/// One line for the subject, in both languages, without letters beyond ASCII.
pub(super) fn subject(notice: &Notice<'_>) -> String {
    let has = |action| {
        let mut recipients = notice.recipients.iter();
        recipients.any(|recipient| recipient.action == action)
    };
    let (german, english) = if has(Action::Failed) {
        ("Nachricht nicht zugestellt", "Message not delivered")
    } else if has(Action::Delayed) {
        ("Zustellung dauert noch", "Delivery delayed")
    } else if has(Action::Delivered) {
        ("Nachricht zugestellt", "Message delivered")
    } else {
        ("Nachricht weitergegeben", "Message passed on")
    };
    match notice.first {
        Language::German => format!("{german} / {english}"),
        Language::English => format!("{english} / {german}"),
    }
}

/// The whole text, lines ended by LF. `returned` begins with the header of the message it is about.
pub(super) fn text(notice: &Notice<'_>, returned: &[u8]) -> String {
    let (hint, second) = match notice.first {
        Language::German => ("(English text below)", Language::English),
        Language::English => ("(Deutscher Text weiter unten)", Language::German),
    };
    let mut text = format!("{hint}\n\n");
    let subject = original_subject(returned);
    in_language(&mut text, notice, &subject, notice.first);
    text += "\n----------------------------------------\n\n";
    in_language(&mut text, notice, &subject, second);
    text
}

/// What the sender wrote as the subject, by which people know a message; empty where there is none.
fn original_subject(returned: &[u8]) -> String {
    let header = returned.get(..header::header_bytes(returned));
    let field = header::find(header.unwrap_or(returned), "subject");
    let subject = field.map_or(String::new(), |field| header::decode_text(&field.value()));
    let short: String = subject.trim().chars().take(SUBJECT_LETTERS_MAX).collect();
    one_line(&short)
}

/// A time as people write it, UTC.
fn moment(unix_ms: i64, language: Language) -> String {
    // "17-Jul-1996 09:33:20 +0000", its day padded with a blank.
    let text = format_internaldate(DateTime::utc(unix_ms));
    let parts = (
        text.get(..2),
        text.get(3..6),
        text.get(7..11),
        text.get(12..17),
    );
    let (Some(day), Some(month), Some(year), Some(clock)) = parts else {
        return text;
    };
    let day = day.trim_start_matches([' ', '0']);
    let names = MONTHS.iter().find(|(short, _, _)| *short == month);
    match (language, names) {
        (Language::German, Some((_, german, _))) => {
            format!("{day}. {german} {year}, {clock} Uhr (UTC)")
        }
        (Language::English, Some((_, _, english))) => {
            format!("{day} {english} {year}, {clock} UTC")
        }
        (_, None) => text,
    }
}

fn in_language(text: &mut String, notice: &Notice<'_>, subject: &str, language: Language) {
    let arrived = moment(notice.arrived_ms, language);
    let host = host(notice.reporting_mta);
    *text += &match language {
        Language::German => format!(
            "Dies ist eine automatische Mitteilung von {host}.\nEs geht um Ihre Nachricht vom {arrived}.\n"
        ),
        Language::English => format!(
            "This is an automatic notice from {host}.\nIt is about your message of {arrived}.\n"
        ),
    };
    if !subject.is_empty() {
        *text += &match language {
            Language::German => format!("Ihr Betreff war: {subject}\n"),
            Language::English => format!("Its subject was: {subject}\n"),
        };
    }
    for recipient in notice.recipients {
        let both = advice(recipient.action, recipient.reason, recipient.status);
        let advice = match language {
            Language::German => both.german,
            Language::English => both.english,
        };
        write_advice(text, recipient, advice, language);
    }
    let mut refused = notice
        .recipients
        .iter()
        .filter(|recipient| recipient.reason == Reason::MandatoryTls);
    if let Some(first) = refused.next() {
        write_options(text, first, notice, language);
    }
}

/// The words before the facts about a recipient.
struct Labels {
    to: &'static str,
    what: &'static str,
    whose_move: &'static str,
    what_to_do: &'static str,
    answer: &'static str,
    reason: &'static str,
    until: &'static str,
}

const GERMAN: Labels = Labels {
    to: "Empfänger",
    what: "Was geschehen ist",
    whose_move: "Wer am Zug ist",
    what_to_do: "Was Sie tun können",
    answer: "Antwort von",
    reason: "Technischer Grund",
    until: "Wir versuchen es bis",
};
const ENGLISH: Labels = Labels {
    to: "Recipient",
    what: "What happened",
    whose_move: "Whose move it is",
    what_to_do: "What you can do",
    answer: "Answer of",
    reason: "Technical reason",
    until: "We keep trying until",
};

fn write_advice(text: &mut String, recipient: &Recipient<'_>, advice: Advice, language: Language) {
    let labels = match language {
        Language::German => GERMAN,
        Language::English => ENGLISH,
    };
    *text += &format!(
        "\n{}: {}\n{}: {}\n{}: {}\n{}: {}\n",
        labels.to,
        recipient.address,
        labels.what,
        advice.what,
        labels.whose_move,
        advice.whose_move,
        labels.what_to_do,
        advice.what_to_do
    );
    if let (Action::Delayed, Some(until_ms)) = (recipient.action, recipient.retry_until_ms) {
        let date = moment(until_ms, language);
        *text += &format!("{}: {date}\n", labels.until);
    }
    if let Some(diagnostic) = recipient.diagnostic {
        let mta = host(recipient.remote_mta.unwrap_or("localhost"));
        *text += &format!("{} {mta}: {}\n", labels.answer, one_line(diagnostic));
    }
    if let Some(reason) = recipient.own_reason {
        *text += &format!("{}: {}\n", labels.reason, one_line(reason));
    }
}

/// What a sender with mandatory TLS can do (S4-19). Links lead to pages behind a login; a notice
/// itself must not be able to change anything, because it travels in the clear like any mail.
fn write_options(
    text: &mut String,
    first: &Recipient<'_>,
    notice: &Notice<'_>,
    language: Language,
) {
    let (domain, sender) = (first.address.domain(), notice.to);
    let link = |page: &str| match notice.help {
        Some(base) => format!("\n     {}/{page}", one_line(base)),
        None => String::new(),
    };
    let (off, exception) = (link("mandatory-tls/off"), link("mandatory-tls/exception"));
    let web = link("mandatory-tls/web-link");
    *text += &match language {
        Language::German => format!(
            "\nIhre Möglichkeiten:\n\n\
             \x20 1. Die Pflicht zur sicheren Verschlüsselung für Ihr Postfach oder Ihre Domain abschalten\n\
             \x20    und die Nachricht noch einmal senden.{off}\n\
             \x20 2. Eine Ausnahme nur für die Domain {domain} eintragen\n\
             \x20    und die Nachricht noch einmal senden.{exception}\n\
             \x20 3. Diese Nachricht als geschützten Web-Link weitergeben, wenn Ihr Anbieter das anbietet.{web}\n\
             \x20 4. Den Empfänger auf anderem Weg erreichen, etwa am Telefon.\n\n\
             Für Ihren Verwalter, an der Befehlszeile (steht der Schalter an Ihrer Domain, dann diese statt der Adresse):\n\
             \x20 rohrpost policy set {sender} outbound-tls off\n\
             \x20 rohrpost destination set {domain} may --for {sender} --exception\n"
        ),
        Language::English => format!(
            "\nYour options:\n\n\
             \x20 1. Switch the duty of secure encryption off for your mailbox or your domain\n\
             \x20    and send the message again.{off}\n\
             \x20 2. Make an exception for the domain {domain} only\n\
             \x20    and send the message again.{exception}\n\
             \x20 3. Pass this message on as a protected web link, if your provider offers that.{web}\n\
             \x20 4. Reach the recipient in another way, for example by telephone.\n\n\
             For your administrator, on the command line (where the switch is your domain's, that instead of the address):\n\
             \x20 rohrpost policy set {sender} outbound-tls off\n\
             \x20 rohrpost destination set {domain} may --for {sender} --exception\n"
        ),
    };
}
