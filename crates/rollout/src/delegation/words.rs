//! The sentences of the wizard, German and English. Texts only.

use super::Purpose;
use formats::language::Language;

/// The one of two texts.
fn of(language: Language, german: &'static str, english: &'static str) -> &'static str {
    match language {
        Language::German => german,
        Language::English => english,
    }
}

/// Why mail sent past us is in danger.
pub(super) fn danger(language: Language) -> &'static str {
    of(
        language,
        "Was nicht über unsere Server geht, trägt weder unsere Signatur (DKIM), noch kommt es von einer Adresse, die \
         die Domain als ihre nennt (SPF). Empfänger können es nicht von einer Fälschung unterscheiden: Je strenger \
         der DMARC-Eintrag der Domain ist, desto eher landet es im Spam oder wird abgewiesen. Ein Werkzeug, das in \
         Ihrem Namen sendet, bekommt deshalb eine eigene Subdomain mit eigenem Schlüssel. Die Einträge Ihrer Domain \
         bleiben, wie sie sind, und geht mit dem Werkzeug etwas schief, leidet nur die Subdomain.",
        "What does not pass through our servers neither has our signature (DKIM) nor comes from an address that the \
         domain names as its own (SPF). Receivers cannot tell it from a forgery: the stricter the domain's DMARC \
         record is, the sooner it ends among spam or is refused. A tool that sends in your name therefore gets a \
         subdomain of its own with a key of its own. The records of your domain stay as they are, and if something \
         goes wrong with the tool, only the subdomain suffers.",
    )
}

/// What to keep in mind.
pub(super) fn advice(language: Language) -> &'static str {
    of(
        language,
        "Stellen Sie im Werkzeug einen Absender aus der Subdomain ein und als Antwortadresse (Reply-To) ein Postfach \
         Ihrer Domain. Senden Sie erst, wenn hier alles veröffentlicht ist.",
        "Set a sender from the subdomain in the tool, and a mailbox of your domain as the address for replies \
         (Reply-To). Send only once everything is published here.",
    )
}

/// What a record is for; `is_known`: whether its value is.
pub(super) fn purpose(purpose: Purpose, is_known: bool, language: Language) -> &'static str {
    match (purpose, is_known) {
        (Purpose::Senders | Purpose::BounceSenders, true) => of(
            language,
            "Von wo aus mit diesem Namen gesendet werden darf (SPF).",
            "Where mail with this name may be sent from (SPF).",
        ),
        (Purpose::Senders | Purpose::BounceSenders, false) => of(
            language,
            "Von wo aus das Werkzeug sendet (SPF): Es nennt ein „include“ oder Adressen.",
            "Where the tool sends from (SPF): it names an \"include\" or addresses.",
        ),
        (Purpose::Key, true) => of(
            language,
            "Der Schlüssel, mit dem das Werkzeug unterschreibt (DKIM).",
            "The key that the tool signs with (DKIM).",
        ),
        (Purpose::Key, false) => of(
            language,
            "Der Schlüssel des Werkzeugs (DKIM): Lassen Sie es einen für diesen Selektor anzeigen, als Alias (CNAME) \
             oder als Text.",
            "The tool's key (DKIM): let it show one for this selector, as an alias (CNAME) or as a text.",
        ),
        (Purpose::Policy, _) => of(
            language,
            "Was Empfänger mit unbewiesenen Nachrichten tun, und wohin sie berichten (DMARC): Die Unterschrift nennt \
             genau diese Subdomain.",
            "What receivers do with messages that prove nothing, and where they report (DMARC): signatures name \
             exactly this subdomain.",
        ),
        (Purpose::Reports, _) => of(
            language,
            "Dass Berichte zu uns gehen dürfen; diesen Eintrag setzt Ihr Provider.",
            "That reports may come to us; your provider publishes this record.",
        ),
        (Purpose::Bounces, true) => of(
            language,
            "Wohin zurückkommt, was nicht zustellbar ist (Return-Path).",
            "Where what cannot be delivered comes back to (return path).",
        ),
        (Purpose::Bounces, false) => of(
            language,
            "Wohin Unzustellbares zurückkommt (Return-Path), falls das Werkzeug einen eigenen Namen dafür anzeigt.",
            "Where what cannot be delivered comes back to (return path), if the tool shows a name for it.",
        ),
    }
}
