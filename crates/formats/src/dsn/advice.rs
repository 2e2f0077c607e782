//! What a delivery status means for a person, in German and English: what happened, whose move it
//! is, what to do. A table over enhanced status codes (RFC 3463); knows nothing of messages.

use super::{Action, Reason};

/// One explanation in one language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    pub(super) what: &'static str,
    pub(super) whose_move: &'static str,
    pub(super) what_to_do: &'static str,
}

/// An explanation in both languages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    pub(super) german: Advice,
    pub(super) english: Advice,
}

const YOU: (&str, &str) = ("Sie selbst.", "Yours.");
const RECIPIENT: (&str, &str) = ("Der Empfänger.", "The recipient's.");
const THEIR_PROVIDER: (&str, &str) = (
    "Der Anbieter des Empfängers.",
    "The recipient's mail provider's.",
);
const NOBODY: (&str, &str) = ("Niemand.", "Nobody's.");
const US: (&str, &str) = ("Wir.", "Ours.");

const fn both(
    whose_move: (&'static str, &'static str),
    what: (&'static str, &'static str),
    what_to_do: (&'static str, &'static str),
) -> Both {
    Both {
        german: Advice {
            what: what.0,
            whose_move: whose_move.0,
            what_to_do: what_to_do.0,
        },
        english: Advice {
            what: what.1,
            whose_move: whose_move.1,
            what_to_do: what_to_do.1,
        },
    }
}

/// The explanation of an outcome.
pub(super) fn advice(action: Action, reason: Reason, status: &str) -> Both {
    let mut numbers = status
        .split('.')
        .skip(1)
        .map(|number| number.parse::<u16>().ok());
    let subject = numbers.next().flatten().unwrap_or(0);
    let detail = numbers.next().flatten().unwrap_or(0);
    match (action, reason) {
        (Action::Failed, Reason::MandatoryTls) => MANDATORY_TLS_FAILED,
        (Action::Delayed, Reason::MandatoryTls) => MANDATORY_TLS_DELAYED,
        (Action::Failed, Reason::RecipientTls) => NO_SAFE_TLS,
        (Action::Delayed, Reason::RecipientTls) => RECIPIENT_TLS_DELAYED,
        (Action::Failed, Reason::RequireTls) => REQUIRETLS_FAILED,
        (Action::Delayed, Reason::RequireTls) => REQUIRETLS_DELAYED,
        _ => by_status(action, subject, detail),
    }
}

fn by_status(action: Action, subject: u16, detail: u16) -> Both {
    match action {
        Action::Failed => failed(subject, detail),
        Action::Delayed => DELAYED,
        Action::Expanded => EXPANDED,
        Action::Delivered => DELIVERED,
        Action::Relayed => RELAYED,
    }
}

fn failed(subject: u16, detail: u16) -> Both {
    match (subject, detail) {
        (1, 0 | 1 | 3 | 6) => NO_SUCH_MAILBOX,
        (1, 2) | (4, 4) => NO_SUCH_DOMAIN,
        (1, 10) => NO_MAIL_ACCEPTED,
        (2, 1) => MAILBOX_DISABLED,
        (2, 2) => MAILBOX_FULL,
        (2, 3) | (3, 4) => TOO_LARGE,
        (4, 6) => LOOP,
        (4, 7) => EXPIRED,
        (4, _) | (3, _) => UNREACHABLE,
        (6, 7) => NEEDS_SMTPUTF8,
        (7, 10 | 30) => NO_SAFE_TLS,
        (7, _) => REFUSED,
        _ => OTHER,
    }
}

const NO_SUCH_MAILBOX: Both = both(
    YOU,
    (
        "Diese Adresse gibt es beim Anbieter des Empfängers nicht.",
        "The recipient's mail provider does not know this address.",
    ),
    (
        "Prüfen Sie die Schreibweise der Adresse und senden Sie die Nachricht noch einmal.",
        "Check how the address is spelled and send the message again.",
    ),
);
const NO_SUCH_DOMAIN: Both = both(
    YOU,
    (
        "Den Teil der Adresse nach dem @ gibt es im Internet nicht.",
        "The part of the address after the @ does not exist on the Internet.",
    ),
    (
        "Prüfen Sie, ob der Teil nach dem @ richtig geschrieben ist, und senden Sie die Nachricht noch einmal.",
        "Check that the part after the @ is spelled correctly and send the message again.",
    ),
);
const NO_MAIL_ACCEPTED: Both = both(
    YOU,
    (
        "Unter dem Teil der Adresse nach dem @ wird keine E-Mail angenommen.",
        "The part of the address after the @ does not accept mail.",
    ),
    (
        "Fragen Sie den Empfänger auf anderem Weg nach seiner richtigen Adresse.",
        "Ask the recipient in another way for the right address.",
    ),
);
const MAILBOX_DISABLED: Both = both(
    RECIPIENT,
    (
        "Das Postfach des Empfängers ist abgeschaltet.",
        "The recipient's mailbox is switched off.",
    ),
    (
        "Fragen Sie den Empfänger auf anderem Weg, welche Adresse er jetzt benutzt.",
        "Ask the recipient in another way which address is in use now.",
    ),
);
const MAILBOX_FULL: Both = both(
    RECIPIENT,
    (
        "Das Postfach des Empfängers ist voll.",
        "The recipient's mailbox is full.",
    ),
    (
        "Bitten Sie den Empfänger auf anderem Weg, Platz zu schaffen, und senden Sie die Nachricht dann noch einmal.",
        "Ask the recipient in another way to make room, then send the message again.",
    ),
);
const TOO_LARGE: Both = both(
    YOU,
    (
        "Die Nachricht ist größer, als der Anbieter des Empfängers annimmt.",
        "The message is larger than the recipient's mail provider accepts.",
    ),
    (
        "Verkleinern Sie die Anhänge oder geben Sie sie als Link weiter.",
        "Make the attachments smaller or share them as a link.",
    ),
);
const LOOP: Both = both(
    THEIR_PROVIDER,
    (
        "Die Nachricht lief im Kreis zwischen Mailservern.",
        "The message went round in circles between mail servers.",
    ),
    (
        "Teilen Sie dem Empfänger auf anderem Weg mit, dass eine Weiterleitung falsch eingestellt ist.",
        "Tell the recipient in another way that a forwarding rule is set up wrongly.",
    ),
);
const EXPIRED: Both = both(
    THEIR_PROVIDER,
    (
        "Wir haben es lange versucht, aber der Mailserver des Empfängers hat die Nachricht in dieser Zeit nicht angenommen.",
        "We tried for a long time, but the recipient's mail server did not accept the message.",
    ),
    (
        "Senden Sie die Nachricht später noch einmal, oder erreichen Sie den Empfänger auf anderem Weg.",
        "Send the message again later, or reach the recipient in another way.",
    ),
);
const UNREACHABLE: Both = both(
    THEIR_PROVIDER,
    (
        "Der Mailserver des Empfängers war nicht erreichbar oder gestört.",
        "The recipient's mail server could not be reached or was not working.",
    ),
    (
        "Senden Sie die Nachricht später noch einmal, oder erreichen Sie den Empfänger auf anderem Weg.",
        "Send the message again later, or reach the recipient in another way.",
    ),
);
const NEEDS_SMTPUTF8: Both = both(
    THEIR_PROVIDER,
    (
        "Der Mailserver des Empfängers kann keine Adressen mit Umlauten oder anderen Sonderzeichen.",
        "The recipient's mail server cannot handle addresses with letters beyond plain ASCII.",
    ),
    (
        "Fragen Sie den Empfänger nach einer Adresse ohne solche Zeichen, oder senden Sie von einer.",
        "Ask the recipient for an address without such letters, or send from one.",
    ),
);
const NO_SAFE_TLS: Both = both(
    THEIR_PROVIDER,
    (
        "Zum Mailserver des Empfängers kam keine sichere verschlüsselte Verbindung zustande, und ohne sie senden wir nicht.",
        "No secure encrypted connection to the recipient's mail server was possible, and we do not send without one.",
    ),
    (
        "Teilen Sie dem Empfänger mit, dass die Verschlüsselung seines Mailservers gestört ist.",
        "Tell the recipient that the encryption of their mail server is not working.",
    ),
);
const REFUSED: Both = both(
    THEIR_PROVIDER,
    (
        "Der Mailserver des Empfängers hat die Nachricht nach seinen Regeln abgelehnt.",
        "The recipient's mail server refused the message because of its rules.",
    ),
    (
        "Lesen Sie seine Antwort unten; hilft sie nicht weiter, geben Sie diese Nachricht Ihrem Mailanbieter.",
        "Read its answer below; if that does not help, pass this message on to your mail provider.",
    ),
);
const OTHER: Both = both(
    THEIR_PROVIDER,
    (
        "Der Mailserver des Empfängers hat die Nachricht nicht angenommen.",
        "The recipient's mail server did not accept the message.",
    ),
    (
        "Lesen Sie seine Antwort unten; hilft sie nicht weiter, geben Sie diese Nachricht Ihrem Mailanbieter.",
        "Read its answer below; if that does not help, pass this message on to your mail provider.",
    ),
);
const DELAYED: Both = both(
    US,
    (
        "Die Nachricht ist noch nicht zugestellt, weil der Mailserver des Empfängers sie bisher nicht angenommen hat.",
        "The message has not been delivered yet, because the recipient's mail server has not accepted it so far.",
    ),
    (
        "Nichts. Wir versuchen es weiter und melden uns, wenn es nicht gelingt.",
        "Nothing. We keep trying and will tell you if it does not succeed.",
    ),
);
const DELIVERED: Both = both(
    NOBODY,
    (
        "Die Nachricht liegt im Postfach des Empfängers.",
        "The message is in the recipient's mailbox.",
    ),
    ("Nichts.", "Nothing."),
);
const RELAYED: Both = both(
    NOBODY,
    (
        "Der nächste Mailserver hat die Nachricht angenommen; er meldet nicht, ob sie ankommt.",
        "The next mail server has accepted the message; it does not report whether it arrives.",
    ),
    ("Nichts.", "Nothing."),
);
const EXPANDED: Both = both(
    NOBODY,
    (
        "Die Nachricht wurde unter dieser Adresse an mehrere Empfänger weitergegeben.",
        "The message was passed on to several recipients behind this address.",
    ),
    ("Nichts.", "Nothing."),
);
const MANDATORY_TLS_FAILED: Both = both(
    YOU,
    (
        "Wir haben es einen Tag lang versucht, aber zum Mailserver des Empfängers kam keine sichere verschlüsselte Verbindung zustande. Für Sie ist eingestellt, dass Nachrichten nur sicher verschlüsselt übertragen werden; deshalb wurde sie nicht gesendet.",
        "We tried for a day, but no secure encrypted connection to the recipient's mail server was possible. Your settings say that messages are sent over secure encryption only; so it was not sent.",
    ),
    (
        "Wählen Sie eine der Möglichkeiten unten.",
        "Choose one of the options below.",
    ),
);
const MANDATORY_TLS_DELAYED: Both = both(
    US,
    (
        "Die Nachricht ist noch nicht zugestellt, weil zum Mailserver des Empfängers keine sichere verschlüsselte Verbindung zustande kommt. Für Sie ist eingestellt, dass Nachrichten nur sicher verschlüsselt übertragen werden.",
        "The message has not been delivered yet, because no secure encrypted connection to the recipient's mail server is possible (no secure encryption). Your settings say that messages are sent over secure encryption only.",
    ),
    (
        "Nichts, wenn Sie warten können: Wir versuchen es weiter und melden uns, wenn es nicht gelingt. Ist es eilig, wählen Sie eine der Möglichkeiten unten.",
        "Nothing, if you can wait: we keep trying and will tell you if it does not succeed. If it is urgent, choose one of the options below.",
    ),
);
const RECIPIENT_TLS_DELAYED: Both = both(
    THEIR_PROVIDER,
    (
        "Die Nachricht ist noch nicht zugestellt, weil der Anbieter des Empfängers gesicherte Verbindungen verlangt und sein Mailserver selbst keine zustande bringt.",
        "The message has not been delivered yet, because the recipient's mail provider demands secured connections and its own mail server does not manage one (no secure encryption).",
    ),
    (
        "Nichts. Wir versuchen es weiter und melden uns, wenn es nicht gelingt. Ist es eilig, erreichen Sie den Empfänger auf anderem Weg.",
        "Nothing. We keep trying and will tell you if it does not succeed. If it is urgent, reach the recipient in another way.",
    ),
);
const REQUIRETLS_FAILED: Both = both(
    YOU,
    (
        "Ihr Mailprogramm hat verlangt, dass diese Nachricht auf dem ganzen Weg gesichert übertragen wird (REQUIRETLS). Der Mailserver des Empfängers kann das nicht zusagen.",
        "Your mail program demanded that this message travels secured all the way (REQUIRETLS). The recipient's mail server cannot promise that.",
    ),
    (
        "Senden Sie die Nachricht ohne diese Forderung noch einmal, oder erreichen Sie den Empfänger auf anderem Weg.",
        "Send the message again without this demand, or reach the recipient in another way.",
    ),
);
const REQUIRETLS_DELAYED: Both = both(
    US,
    (
        "Die Nachricht ist noch nicht zugestellt, weil sie auf dem ganzen Weg gesichert übertragen werden soll (REQUIRETLS) und das bisher nicht möglich war.",
        "The message has not been delivered yet, because it is to travel secured all the way (REQUIRETLS) and that was not possible so far (no secure encryption).",
    ),
    (
        "Nichts. Wir versuchen es weiter und melden uns, wenn es nicht gelingt.",
        "Nothing. We keep trying and will tell you if it does not succeed.",
    ),
);
