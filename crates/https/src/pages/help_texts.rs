//! What the help pages of refusals say: what happened, whose move it is, what to do. One entry per word that a refusal
//! names after the help address; a test of the program compares them.

/// A help page.
pub(crate) struct Topic {
    /// What stands after `/h/`.
    pub(crate) word: &'static str,
    /// Heading and text.
    pub(crate) german: (&'static str, &'static str),
    /// The same in English.
    pub(crate) english: (&'static str, &'static str),
}

/// All of them.
pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        word: "sender",
        german: (
            "Der Absender gehört nicht zu Ihrem Postfach",
            "Ihr Mailprogramm wollte mit einer Absenderadresse senden, die Ihrem Postfach nicht zugeordnet ist. Damit \
             niemand in fremdem Namen schreibt, nehmen wir nur Absender an, die zu dem Postfach gehören, mit dem Sie \
             sich angemeldet haben.\n\n\
             ## Was Sie tun können\n\n\
             - Stellen Sie im Mailprogramm als Absender die Adresse Ihres Postfachs oder einen Ihrer Aliasse ein.\n\
             - Haben Sie eine Adresse bei einem anderen Anbieter, lassen Sie sie bestätigen: Sie bekommen dorthin einen \
             Code, und danach dürfen Sie sie als Absender benutzen.\n\
             - Soll ein Kollege in Ihrem Namen schreiben, kann der Administrator Ihrer Domain das erlauben.\n\n\
             Die abgewiesene Nachricht wurde nicht gesendet; sie liegt noch in Ihrem Mailprogramm.",
        ),
        english: (
            "The sender does not belong to your account",
            "Your mail program tried to send with an address that is not assigned to your account. So that nobody writes \
             in somebody else's name, we take only senders that belong to the account you logged in with.\n\n\
             ## What you can do\n\n\
             - Set your account's address, or one of its aliases, as the sender in your mail program.\n\
             - If you have an address with another provider, have it confirmed: a code is mailed there, and after that \
             you may use the address as a sender.\n\
             - If a colleague is to write in your name, the administrator of your domain can allow it.\n\n\
             The refused message was not sent; it is still in your mail program.",
        ),
    },
    Topic {
        word: "spoofed",
        german: (
            "Die Nachricht ist nicht nachweislich von diesem Absender",
            "Eine Nachricht kam von einem fremden Server und nennt als Absender eine Adresse, deren Domain hier liegt. \
             Nichts belegt, dass sie wirklich von dort ist: weder SPF noch eine DKIM-Signatur im Namen der Domain, noch \
             ein Weiterleiter, dem wir vertrauen. So sehen gefälschte Nachrichten aus; deshalb wurde sie nicht \
             angenommen.\n\n\
             ## Sie haben sie selbst geschickt\n\n\
             - Senden Sie über den Server Ihres Anbieters (Port 465 oder 587, mit Ihrem Passwort), nicht über den eines \
             anderen.\n\
             - Ein Newsletter-Dienst, ein Shop oder eine Warenwirtschaft, die in Ihrem Namen schreibt, muss mit DKIM im \
             Namen Ihrer Domain signieren. Der Dienst nennt dafür DNS-Einträge; der Administrator Ihrer Domain trägt sie \
             ein.\n\
             - Ein Webserver kann sich mit einem Passwort anmelden, das nur senden darf.\n\n\
             ## Sie betreiben eine Mailingliste oder eine Weiterleitung\n\n\
             Lassen Sie Kopfzeilen und Text unverändert, dann bleibt die Signatur gültig, oder schreiben Sie die Adresse \
             der Liste in das Feld From. Wer mit ARC versiegelt, kann uns bitten, dem Siegel zu vertrauen.\n\n\
             ## Sie wissen von nichts\n\n\
             Dann hat jemand versucht, in Ihrem Namen zu schreiben, und ist damit gescheitert. Sie müssen nichts tun.",
        ),
        english: (
            "The message is not shown to be from this sender",
            "A message came from a server elsewhere and names as its sender an address whose domain is here. Nothing \
             shows that it really is from there: neither SPF nor a DKIM signature in the domain's name, nor a forwarder \
             that we trust. Forged messages look like this, so it was not taken.\n\n\
             ## You sent it yourself\n\n\
             - Send through your provider's server (port 465 or 587, with your password), not through somebody else's.\n\
             - A newsletter service, a shop or an accounting program that writes in your name has to sign with DKIM in \
             the name of your domain. The service names DNS records for that; the administrator of your domain adds \
             them.\n\
             - A web server can log in with a password that may only send.\n\n\
             ## You run a mailing list or a forwarding\n\n\
             Leave header fields and text as they are, and the signature stays valid, or write the address of the list \
             into From. Whoever seals with ARC can ask us to trust the seal.\n\n\
             ## You know of nothing\n\n\
             Then somebody tried to write in your name and failed. You need to do nothing.",
        ),
    },
    Topic {
        word: "tls",
        german: (
            "Die Verbindung ist nicht oder zu alt verschlüsselt",
            "Diese Seite betrifft zwei Fälle.\n\n\
             ## Ihr Mailprogramm wurde abgewiesen\n\n\
             Es hat keine Verschlüsselung oder nur die veralteten Versionen TLS 1.0 und 1.1 angeboten. Wir verlangen \
             mindestens TLS 1.2.\n\n\
             - Aktualisieren Sie das Mailprogramm und das Betriebssystem.\n\
             - Schalten Sie in den Kontoeinstellungen SSL/TLS oder STARTTLS ein, für den Empfang und für den Versand.\n\
             - Bei Druckern, Kameras und Routern hilft oft eine neue Firmware des Herstellers.\n\n\
             ## Ihr Mailserver wurde abgewiesen\n\n\
             Die Empfängerdomain nimmt E-Mails nur über verschlüsselte Verbindungen an, und Ihr Server hat keine \
             begonnen. Schalten Sie für ausgehende E-Mails STARTTLS mit TLS 1.2 oder neuer ein. Die E-Mail wurde nicht \
             angenommen; Ihr Server gibt sie an den Absender zurück oder versucht es noch einmal.",
        ),
        english: (
            "The connection is not encrypted, or too old",
            "This page is about two cases.\n\n\
             ## Your mail program was refused\n\n\
             It offered no encryption, or only the outdated versions TLS 1.0 and 1.1. We ask for TLS 1.2 at least.\n\n\
             - Update the mail program and the operating system.\n\
             - Turn on SSL/TLS or STARTTLS in the account's settings, for receiving and for sending.\n\
             - For printers, cameras and routers, new firmware of the vendor often helps.\n\n\
             ## Your mail server was refused\n\n\
             The recipient's domain takes mail over encrypted connections only, and your server started none. Turn on \
             STARTTLS with TLS 1.2 or newer for outgoing mail. The message was not taken; your server returns it to the \
             sender or tries again.",
        ),
    },
    Topic {
        word: "cleartext",
        german: (
            "Ihr Mailprogramm meldet sich unverschlüsselt an",
            "Ihr Mailprogramm hat versucht, sich ohne Verschlüsselung anzumelden. Dabei kann jeder auf dem Weg Ihr \
             Passwort mitlesen. Deshalb nehmen wir solche Anmeldungen nicht mehr an.\n\n\
             ## Was Sie tun können\n\n\
             - Öffnen Sie die Kontoeinstellungen Ihres Mailprogramms und stellen Sie die Verbindungssicherheit auf \
             STARTTLS. Der Port kann dabei bleiben, wie er ist: 143 für IMAP, 110 für POP3, 587 für den Versand.\n\
             - Oder wählen Sie SSL/TLS mit Port 993 (IMAP), 995 (POP3) und 465 (Versand).\n\
             - Ändern Sie danach Ihr Passwort: Es wurde vielleicht schon einmal offen übertragen.\n\n\
             Ihre E-Mails sind alle noch da und kommen weiter an; nur das Mailprogramm kann sie gerade nicht abholen.",
        ),
        english: (
            "Your mail program logs in without encryption",
            "Your mail program tried to log in without encryption. Anybody on the way can then read your password, so we \
             no longer take such logins.\n\n\
             ## What you can do\n\n\
             - Open the account settings of your mail program and set the connection security to STARTTLS. The port may \
             stay as it is: 143 for IMAP, 110 for POP3, 587 for sending.\n\
             - Or choose SSL/TLS with port 993 (IMAP), 995 (POP3) and 465 (sending).\n\
             - Change your password afterwards: it may have been sent in the open before.\n\n\
             Your mail is all there and keeps arriving; only the mail program cannot fetch it just now.",
        ),
    },
    Topic {
        word: "legacy",
        german: (
            "Zugang für alte Geräte",
            "Für Geräte, die sich nicht mehr aktualisieren lassen, gibt es eine Zeit lang einen eigenen Zugang mit alter \
             Verschlüsselung. Er gilt nur für Postfächer, die dafür angemeldet sind, und nur bis zu einem festen Datum.\n\n\
             - Ist Ihr Postfach nicht angemeldet, melden Sie sich hier auf der Seite „Mein Postfach“ an und schalten Sie den \
             Zugang dort ein, solange das Datum nicht vorbei ist.\n\
             - Ist das Datum vorbei, bleibt der Zugang geschlossen. Ihr Postfach erreichen Sie mit jedem aktuellen \
             Mailprogramm.\n\
             - Hat Ihre Firma den Zugang untersagt, hilft der Administrator Ihrer Domain weiter.",
        ),
        english: (
            "Access for old devices",
            "For devices that cannot be updated any more there is, for some time, a separate access with old encryption. It \
             is only for accounts that are enrolled, and only until a fixed date.\n\n\
             - If your account is not enrolled, log in here, open the page \"My account\", and turn the access on there, as \
             long as the date is not over.\n\
             - After the date the access stays closed. Any current mail program reaches your account.\n\
             - If your company has forbidden the access, the administrator of your domain can help.",
        ),
    },
    Topic {
        word: "limits",
        german: (
            "Mehr E-Mails, als in dieser Zeit vorgesehen sind",
            "Ihr Postfach oder Ihre Domain hat in kurzer Zeit mehr Nachrichten oder Empfänger gehabt, als dafür vorgesehen \
             sind. Die Grenze schützt davor, dass ein gestohlenes Passwort zum Versand von Spam benutzt wird.\n\n\
             - Warten Sie die Zeit ab, die in der Meldung steht, und senden Sie dann weiter.\n\
             - Haben Sie selbst nichts gesendet? Ändern Sie sofort Ihr Passwort und prüfen Sie Ihre Geräte.\n\
             - Brauchen Sie auf Dauer mehr, sprechen Sie mit uns.",
        ),
        english: (
            "More mail than is meant for this time",
            "Your account or domain had more messages or recipients in a short time than are meant for it. The limit \
             protects against a stolen password that sends spam.\n\n\
             - Wait as long as the message says, then go on.\n\
             - You sent nothing yourself? Change your password at once and check your devices.\n\
             - If you need more regularly, please talk to us.",
        ),
    },
    Topic {
        word: "size",
        german: (
            "Die Nachricht ist zu groß",
            "Die Nachricht ist mit ihren Anhängen größer, als hier oder beim Empfänger angenommen wird. Anhänge wachsen beim \
             Versand um etwa ein Drittel.\n\n\
             - Verkleinern Sie Bilder oder verteilen Sie die Anhänge auf mehrere Nachrichten.\n\
             - Legen Sie große Dateien in einer Ablage ab und senden Sie nur den Verweis darauf.",
        ),
        english: (
            "The message is too large",
            "With its attachments the message is larger than is taken here or at the recipient's. Attachments grow by about a \
             third when they are sent.\n\n\
             - Make pictures smaller, or spread the attachments over several messages.\n\
             - Put large files into a file store and send only the link.",
        ),
    },
    Topic {
        word: "login",
        german: (
            "Die Anmeldung gelingt nicht",
            "Benutzername oder Passwort stimmen nicht, oder es kamen aus Ihrem Netz zu viele falsche Passwörter.\n\n\
             - Der Benutzername ist Ihre ganze E-Mail-Adresse.\n\
             - Prüfen Sie das Passwort auf allen Geräten: Ein altes Telefon mit dem alten Passwort genügt, damit wir eine \
             Weile warten lassen.\n\
             - Nach einigen Minuten dürfen Sie es wieder versuchen.",
        ),
        english: (
            "The login does not work",
            "User name or password is wrong, or too many wrong passwords came from your network.\n\n\
             - The user name is your whole e-mail address.\n\
             - Check the password on all devices: one old phone with the old password is enough to make us wait for a while.\n\
             - After some minutes you may try again.",
        ),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_says_something_in_both_languages() {
        for topic in TOPICS {
            for (title, text) in [topic.german, topic.english] {
                assert!(title.len() > 10 && text.len() > 200, "{}", topic.word);
            }
            assert_ne!(topic.german.1, topic.english.1);
        }
    }
}
