//! What problems say in German, found by what they say in English: the services say why they refuse in English only, for
//! logs and the command line. Whatever is not in the table is told in English beside a German title. Pure.

/// English, German. `{0}`, `{1}` ... stand for what differs; in English in this order.
const SAYINGS: &[[&str; 2]] = &[
    // Names and addresses.
    [
        "\"{0}\" is not a domain name; an example is firma.example",
        "„{0}“ ist kein Domainname; ein Beispiel ist firma.example.",
    ],
    [
        "\"{0}\" is not an address; an example is anna@firma.example",
        "„{0}“ ist keine Adresse; ein Beispiel ist anna@firma.example.",
    ],
    ["\"{0}\" is no address", "„{0}“ ist keine Adresse."],
    [
        "{0} is no address mail can be led to",
        "An {0} kann keine Post geleitet werden.",
    ],
    [
        "\"{0}\" is not a block of IP addresses; examples are 192.0.2.0/24 and 2001:db8::/32",
        "„{0}“ ist kein Netz von IP-Adressen; Beispiele sind 192.0.2.0/24 und 2001:db8::/32.",
    ],
    // Domains, accounts, aliases, groups.
    [
        "domain {0} does not exist; `rohrpost domain list` shows those that do",
        "Die Domain {0} gibt es hier nicht; `rohrpost domain list` zeigt, welche es gibt.",
    ],
    [
        "{0} is no domain of this server; `rohrpost domain add {1}` makes it one",
        "{0} ist keine Domain dieses Servers; `rohrpost domain add {1}` macht sie dazu.",
    ],
    ["domain {0} exists already", "Die Domain {0} gibt es schon."],
    [
        "domain {0} still has {1} accounts; remove them first or use --with-accounts, which destroys their mail",
        "Die Domain {0} hat noch {1} Konten; entfernen Sie sie zuerst, oder nehmen Sie --with-accounts, was ihre Post \
         vernichtet.",
    ],
    [
        "domain {0} still has {1} aliases; remove them first or use --with-accounts",
        "Die Domain {0} hat noch {1} Aliasse; entfernen Sie sie zuerst, oder nehmen Sie --with-accounts.",
    ],
    ["account {0} does not exist", "Das Konto {0} gibt es nicht."],
    [
        "account {0} does not exist; `rohrpost account list` shows those that do",
        "Das Konto {0} gibt es nicht; `rohrpost account list` zeigt, welche es gibt.",
    ],
    ["{0} is an account already", "{0} ist schon ein Konto."],
    ["{0} is an alias already", "{0} ist schon ein Alias."],
    ["{0} is not an address", "{0} ist keine Adresse."],
    [
        "{0} cannot be used: {1}",
        "{0} kann nicht genutzt werden: {1}",
    ],
    ["alias {0} does not exist", "Den Alias {0} gibt es nicht."],
    [
        "alias {0} needs at least one address it leads to",
        "Der Alias {0} braucht mindestens eine Adresse, zu der er führt.",
    ],
    [
        "group {0} does not exist; `rohrpost group list` shows those that do",
        "Die Gruppe {0} gibt es nicht; `rohrpost group list` zeigt, welche es gibt.",
    ],
    ["group {0} exists already", "Die Gruppe {0} gibt es schon."],
    [
        "group {0} still has {1} domains and {2} accounts; give them another group first",
        "Die Gruppe {0} hat noch {1} Domains und {2} Konten; geben Sie ihnen zuerst eine andere.",
    ],
    [
        "{0} is none of the usual groups.",
        "{0} ist keine der üblichen Gruppen.",
    ],
    [
        "{0} still leads to {1}; change that first or use --with-aliases",
        "{0} führt noch zu {1}; ändern Sie das zuerst, oder nehmen Sie --with-aliases.",
    ],
    [
        "{0} still leads into domain {1}; change that first or use --with-accounts",
        "{0} führt noch in die Domain {1}; ändern Sie das zuerst, oder nehmen Sie --with-accounts.",
    ],
    [
        "Something outside of what you administer leads to {0}; please ask your provider to remove it.",
        "Etwas, das Sie nicht verwalten, führt zu {0}; bitten Sie Ihren Anbieter, es zu entfernen.",
    ],
    // Passwords.
    [
        "the password has a control character, such as a line break",
        "Das Passwort enthält ein Steuerzeichen, etwa einen Zeilenumbruch.",
    ],
    [
        "the password has {0} characters; at least {1} are needed",
        "Das Passwort hat {0} Zeichen; mindestens {1} sind nötig.",
    ],
    [
        "the password is longer than {0} bytes",
        "Das Passwort ist länger als {0} Bytes.",
    ],
    [
        "too many logins are waiting; try again in a moment",
        "Gerade warten zu viele Anmeldungen; bitte versuchen Sie es gleich noch einmal.",
    ],
    [
        "Give one of password, password_hash and no_password.",
        "Geben Sie eines von password, password_hash und no_password an.",
    ],
    [
        "account {0} has an app password \"{1}\" already; choose another label",
        "Das Konto {0} hat schon ein App-Passwort „{1}“; wählen Sie einen anderen Namen.",
    ],
    [
        "account {0} has no app password \"{1}\"",
        "Das Konto {0} hat kein App-Passwort „{1}“.",
    ],
    [
        "account {0} has {1} app passwords already; remove some first",
        "Das Konto {0} hat schon {1} App-Passwörter; entfernen Sie zuerst einige.",
    ],
    // Legacy access.
    [
        "legacy access is not set for this account, or has ended; set it to a day in the future first, as in {0}",
        "Legacy-Zugang ist für dieses Konto nicht gesetzt oder beendet; setzen Sie ihn zuerst auf einen Tag in der \
         Zukunft, etwa mit {0}.",
    ],
    [
        "the account's domain does not allow legacy access (its legacy-access is forbidden); only its owner should \
         change that",
        "Die Domain des Kontos erlaubt keinen Legacy-Zugang (legacy-access ist forbidden); das sollte nur ändern, wem \
         sie gehört.",
    ],
    [
        "the end must lie in the future and not after that of legacy access",
        "Das Ende muss in der Zukunft liegen und nicht nach dem des Legacy-Zugangs.",
    ],
    [
        "name what to switch: TLS 1.0, TLS 1.1, cleartext",
        "Nennen Sie, was geschaltet wird: TLS 1.0, TLS 1.1, cleartext.",
    ],
    // Changes of records.
    [
        "the zone no longer holds what it held when the change was planned; plan it again",
        "In der Zone steht nicht mehr, was dort stand, als die Änderung geplant wurde; planen Sie sie neu.",
    ],
    [
        "the DNS server {0} refused the change: {1}; look at its update policy and key",
        "Der DNS-Server {0} hat die Änderung abgelehnt: {1}; sehen Sie nach, was er erlaubt und welchen Schlüssel er \
         kennt.",
    ],
    [
        "the DNS server {0} could not be asked to change the zone: {1}",
        "Der DNS-Server {0} war für die Änderung nicht zu erreichen: {1}",
    ],
    [
        "{0} could not be looked up: {1}",
        "{0} ließ sich im DNS nicht nachschlagen: {1}",
    ],
    ["{0} has no change {1}", "{0} hat keine Änderung {1}."],
    [
        "{0} has change {1} under way; call it off first: {2}",
        "Für {0} läuft schon die Änderung {1}; sagen Sie sie zuerst ab: {2}",
    ],
    [
        "change {0} of {1} is {2}: there is nothing to take back",
        "Die Änderung {0} von {1} ist {2}: Es gibt nichts zurückzunehmen.",
    ],
    [
        "change {0} of {1} has just gone on; look at it and take it back again",
        "Die Änderung {0} von {1} ist gerade weitergegangen; sehen Sie sie an, und nehmen Sie sie noch einmal zurück.",
    ],
    [
        "the DMARC record of {0} cannot be used: {1}",
        "Der DMARC-Eintrag von {0} ist nicht zu gebrauchen: {1}",
    ],
    // Settings, measures, exceptions.
    [
        "there is no setting \"{0}\"",
        "Die Einstellung „{0}“ gibt es nicht.",
    ],
    [
        "{0} has no stages; `rohrpost policy show` shows it",
        "{0} hat keine Stufen; `rohrpost policy show` zeigt es.",
    ],
    [
        "There is no such change; examples are tls-version/imap=1.2 and cleartext/pop3.",
        "Eine solche Änderung gibt es nicht; Beispiele sind tls-version/imap=1.2 und cleartext/pop3.",
    ],
    ["{0} is not set for {1}", "{0} ist für {1} nicht gesetzt."],
    [
        "{0} was never changed for {1}",
        "{0} wurde für {1} nie geändert.",
    ],
    ["{0} does not exist", "{0} gibt es nicht."],
    ["{0} cannot have an end", "{0} kann kein Ende haben."],
    [
        "an exception ends in the future",
        "Eine Ausnahme endet in der Zukunft.",
    ],
    [
        "an exception needs who answers for it, and a reason",
        "Eine Ausnahme braucht jemanden, der für sie einsteht, und einen Grund.",
    ],
    [
        "who answers for an exception is named in one line",
        "Wer für eine Ausnahme einsteht, steht in einer Zeile.",
    ],
    [
        "who and why are one line each, of at most {0} and {1} bytes",
        "Wer und warum stehen in je einer Zeile, von höchstens {0} und {1} Bytes.",
    ],
    [
        "the name of who agrees is missing",
        "Der Name dessen, der zustimmt, fehlt.",
    ],
    [
        "The end lies in the past.",
        "Das Ende liegt in der Vergangenheit.",
    ],
    [
        "pool {0} does not exist; `rohrpost pool add {1} ADDRESS ...` makes it",
        "Den Pool {0} gibt es nicht; `rohrpost pool add {1} ADRESSE ...` legt ihn an.",
    ],
    [
        "pool {0} is still used by {1}; give them another pool first",
        "Den Pool {0} nutzen noch {1}; geben Sie ihnen zuerst einen anderen.",
    ],
    // Identities.
    [
        "{0} may send as {1} already",
        "{0} darf schon als {1} senden.",
    ],
    [
        "{0} has no identity {1}; `rohrpost identity list {2}` shows those it has",
        "{0} hat keine Identität {1}; `rohrpost identity list {2}` zeigt, welche es hat.",
    ],
    [
        "a code was sent to {0} a moment ago; another one can be asked for {1} minutes after it",
        "An {0} ging gerade ein Code; {1} Minuten danach kann ein neuer angefordert werden.",
    ],
    [
        "The code is wrong, for the last time; ask for a new one.",
        "Der Code ist falsch, und es war der letzte Versuch; bitte fordern Sie einen neuen an.",
    ],
    [
        "The code is wrong; {0} more tries are left.",
        "Der Code ist falsch; es bleiben {0} Versuche.",
    ],
    [
        "No code for {0} waits to be given back, or it is older than 24 hours; ask for a new one.",
        "Für {0} wartet kein Code auf seine Eingabe, oder er ist älter als 24 Stunden; bitte fordern Sie einen neuen an.",
    ],
    // Rollouts, rules, catalogue, queue, tokens.
    [
        "The slug of a rollout does not change.",
        "Der Kurzname einer Umstellung ändert sich nicht.",
    ],
    ["There is no such question.", "Diese Frage gibt es nicht."],
    [
        "There is no such version of the rules.",
        "Diese Fassung der Regeln gibt es nicht.",
    ],
    [
        "There is no point \"{0}\"; there are {1}.",
        "Den Zeitpunkt „{0}“ gibt es nicht; es gibt {1}.",
    ],
    [
        "There is no measure \"{0}\"; there are {1}, and rule/NAME.",
        "Die Maßnahme „{0}“ gibt es nicht; es gibt {1} und rule/NAME.",
    ],
    [
        "The catalogue has no such entry of your own.",
        "Einen solchen eigenen Eintrag hat der Katalog nicht.",
    ],
    [
        "{0} is no id of a message",
        "{0} ist keine Kennung einer Nachricht.",
    ],
    [
        "{0} is no HOST:PORT, for example relay.example:25; \"mx\" is the usual way",
        "{0} ist kein HOST:PORT, zum Beispiel relay.example:25; „mx“ ist der übliche Weg.",
    ],
    [
        "Say which: message, to_domain, from, group, older_than_ms, or all.",
        "Sagen Sie, welche: message, to_domain, from, group, older_than_ms oder all.",
    ],
    ["after is what next said.", "after ist, was next sagte."],
    [
        "rsa_bits is 2048, 3072 or 4096.",
        "rsa_bits ist 2048, 3072 oder 4096.",
    ],
    [
        "there is no token {0}; `rohrpost token list` shows those that exist",
        "Das Token {0} gibt es nicht; `rohrpost token list` zeigt, welche es gibt.",
    ],
    [
        "a label says what the token is for, in 1 to {0} characters",
        "Der Name sagt, wofür das Token ist, in 1 bis {0} Zeichen.",
    ],
    [
        "it would have ended already",
        "Das Ende läge in der Vergangenheit.",
    ],
    [
        "a token of a domain admin names its domains (--domain firma.example), one of a user its account \
         (--account anna@firma.example), one of an operator or of support neither",
        "Ein Token für die Verwaltung von Domains nennt diese (--domain firma.example), eines für ein Konto dieses \
         (--account anna@firma.example), eines für Betrieb oder Support keines von beiden.",
    ],
    // What cannot be read.
    [
        "NUL characters cannot be stored.",
        "NUL-Zeichen können nicht gespeichert werden.",
    ],
    [
        "Content-Type has to be application/json.",
        "Content-Type muss application/json sein.",
    ],
    ["The text has to be UTF-8.", "Der Text muss UTF-8 sein."],
    [
        "Failed to deserialize query string: {0}",
        "Was hinter dem Fragezeichen steht, ist nicht zu lesen: {0}",
    ],
    [
        "missing field `{0}` at line {1} column {2}",
        "Die Angabe `{0}` fehlt (Zeile {1}, Spalte {2}).",
    ],
    ["missing field `{0}`", "Die Angabe `{0}` fehlt."],
    [
        "unknown field `{0}`, expected {1}",
        "Die Angabe `{0}` gibt es nicht; erwartet wird {1}.",
    ],
    [
        "unknown variant `{0}`, expected {1}",
        "Den Wert `{0}` gibt es nicht; erwartet wird {1}.",
    ],
    [
        "invalid type: {0}, expected {1}",
        "Die Art passt nicht: {0}; erwartet wird {1}.",
    ],
    [
        "EOF while parsing {0} at line {1} column {2}",
        "Der Text endet zu früh ({0}, Zeile {1}, Spalte {2}).",
    ],
    [
        "expected value at line {0} column {1}",
        "Hier fehlt ein Wert (Zeile {0}, Spalte {1}).",
    ],
];

/// The German of an English text, where it is known. The longest saying that fits is taken: it leaves the least open.
pub(crate) fn german(english: &str) -> Option<String> {
    let fitting = SAYINGS.iter().filter_map(|[said, german]| {
        let holes = holes(said, english)?;
        Some((said.len(), german, holes))
    });
    let (_, german, holes) = fitting.max_by_key(|(length, ..)| *length)?;
    Some(filled(german, &holes))
}

/// What stands in the holes of a saying where it says `text`.
fn holes<'t>(said: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut pieces = pieces(said);
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut holes = Vec::new();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        // What stands last has to end the text.
        let end = match (is_last, piece.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest
                .len()
                .checked_sub(piece.len())
                .filter(|_| rest.ends_with(piece))?,
            (false, _) => rest.find(piece)?,
        };
        let (hole, after) = rest.split_at_checked(end)?;
        if hole.is_empty() {
            return None;
        }
        holes.push(hole);
        rest = after.get(piece.len()..)?;
    }
    rest.is_empty().then_some(holes)
}

/// What stands between the holes of a saying, before the first and behind the last.
fn pieces(said: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(said);
    std::iter::from_fn(move || {
        let text = rest?;
        let hole = text.match_indices('{').find(|(at, _)| {
            let inside = text.as_bytes().get(at + 1..at + 3);
            matches!(inside, Some([b'0'..=b'9', b'}']))
        });
        match hole {
            Some((at, _)) => {
                rest = text.get(at + 3..);
                text.get(..at)
            }
            None => rest.take(),
        }
    })
}

/// A saying with its holes filled.
fn filled(said: &str, holes: &[&str]) -> String {
    let mut text = String::new();
    let mut at = 0;
    for piece in pieces(said) {
        text.push_str(piece);
        at += piece.len();
        let number = said
            .as_bytes()
            .get(at + 1)
            .map(|digit| usize::from(digit.wrapping_sub(b'0')));
        let hole = number.and_then(|number| holes.get(number));
        text.push_str(hole.copied().unwrap_or_default());
        at += 3;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_saying_is_found_by_what_it_says_and_none_is_hidden_by_another() {
        for [english, german_text] in SAYINGS {
            let said = |text: &str| {
                let words = ["eins@x.test", "zwei", "drei"];
                filled(text, &words)
            };
            let found = german(&said(english));
            assert_eq!(
                found.as_deref(),
                Some(said(german_text).as_str()),
                "{english}"
            );
            assert_eq!(
                pieces(english).count(),
                pieces(german_text).count(),
                "{english}"
            );
        }
    }

    #[test]
    fn what_the_services_say_is_known() {
        for english in [
            directory::DomainName::parse("a b").unwrap_err().to_string(),
            directory::AddressKey::parse("a b").unwrap_err().to_string(),
            platform::dns::update::UpdateError::Changed.to_string(),
            serde_json::from_str::<crate::api::dmarc::DmarcStep>("{}")
                .unwrap_err()
                .to_string(),
            policy::legacy::NotOpen::Over.explain().to_owned(),
            policy::legacy::NotOpen::Forbidden.explain().to_owned(),
        ] {
            let found = german(&english).unwrap_or_default();
            assert!(!found.is_empty() && found != english, "{english}");
        }
    }

    #[test]
    fn what_is_unknown_stays_as_it_is() {
        assert_eq!(german("something nobody has said before"), None);
        assert_eq!(german(""), None);
        // A hole holds something.
        assert_eq!(german("domain  exists already"), None);
        // Letters of more than one byte, and braces that are no holes.
        assert_eq!(german("Domäne {ü exists alreadü"), None);
    }
}
