//! How the provider speaks: its name, how it addresses people, whom to call, and where its pages are. One
//! place for all texts, so that a telephone number changes once. Values only; `Rollouts` keeps them.

use std::fmt;

/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 500;

/// How readers are addressed in German.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Address {
    /// Sie.
    #[default]
    Formal,
    /// Du.
    Familiar,
}

impl Address {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Formal, Self::Familiar];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Formal => "sie",
            Self::Familiar => "du",
        }
    }
}

/// How German texts name people of all genders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gender {
    /// Kundinnen und Kunden.
    #[default]
    Pair,
    /// Kund:innen.
    Colon,
}

impl Gender {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pair, Self::Colon];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Colon => "colon",
        }
    }
}

/// What can be said about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Word {
    /// Its name.
    Provider,
    /// The address letters come from.
    Sender,
    /// The telephone number of support.
    Phone,
    /// When somebody answers there.
    Hours,
    /// Where remote help begins.
    RemoteHelp,
    /// Sie or Du.
    Address,
    /// How people of all genders are named.
    Gender,
    /// Where the public pages are.
    Site,
    /// The customer group whose pool the newsletter leaves from.
    NewsletterGroup,
    /// The host names of customers' clients.
    ImapHost,
    /// For POP3.
    Pop3Host,
    /// For sending.
    SmtpHost,
    /// Of the legacy door.
    LegacyImapHost,
    /// Of the legacy door, for POP3.
    LegacyPop3Host,
    /// Of the legacy door, for sending.
    LegacySmtpHost,
}

impl Word {
    /// Every one, with its name on the command line, what can be given, and what it is for.
    pub const ALL: [(Self, &'static str, &'static str, &'static str); 15] = [
        (Self::Provider, "provider", "NAME", "the provider's name"),
        (
            Self::Sender,
            "sender",
            "ADDRESS",
            "the address letters come from",
        ),
        (
            Self::Phone,
            "phone",
            "NUMBER",
            "the telephone number of support",
        ),
        (
            Self::Hours,
            "hours",
            "TEXT",
            "when somebody answers there, such as Mo-Fr 9-17",
        ),
        (
            Self::RemoteHelp,
            "remote-help",
            "https://...",
            "where remote help begins",
        ),
        (
            Self::Address,
            "address",
            "sie | du",
            "how readers are addressed in German",
        ),
        (
            Self::Gender,
            "gender",
            "pair | colon",
            "Kundinnen und Kunden, or Kund:innen",
        ),
        (
            Self::Site,
            "site",
            "https://.../",
            "where the public pages are",
        ),
        (
            Self::NewsletterGroup,
            "newsletter-group",
            "GROUP",
            "the customer group whose pool the newsletter leaves from",
        ),
        (
            Self::ImapHost,
            "imap-host",
            "HOST",
            "the server clients use for IMAP",
        ),
        (
            Self::Pop3Host,
            "pop3-host",
            "HOST",
            "the server clients use for POP3",
        ),
        (
            Self::SmtpHost,
            "smtp-host",
            "HOST",
            "the server clients send through",
        ),
        (
            Self::LegacyImapHost,
            "legacy-imap-host",
            "HOST",
            "the legacy server for IMAP",
        ),
        (
            Self::LegacyPop3Host,
            "legacy-pop3-host",
            "HOST",
            "the legacy server for POP3",
        ),
        (
            Self::LegacySmtpHost,
            "legacy-smtp-host",
            "HOST",
            "the legacy server for sending",
        ),
    ];

    /// The name on the command line and in the store.
    pub fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The one with this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|w| w.1 == word).map(|w| w.0)
    }
}

/// How the provider speaks. The default speaks for a host without any settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// The provider's name.
    pub provider: String,
    /// The address letters come from; `None`: postmaster of the host.
    pub sender: Option<String>,
    /// The telephone number of support; empty for none, as the next two.
    pub phone: String,
    /// When somebody answers there.
    pub hours: String,
    /// Where remote help begins.
    pub remote_help: String,
    /// Sie or Du.
    pub address: Address,
    /// How people of all genders are named.
    pub gender: Gender,
    /// Where the public pages are, with a final slash.
    pub site: String,
    /// The customer group whose pool the newsletter leaves from.
    pub newsletter_group: String,
    /// The server clients use for IMAP.
    pub imap_host: String,
    /// For POP3.
    pub pop3_host: String,
    /// For sending.
    pub smtp_host: String,
    /// The legacy server for IMAP.
    pub legacy_imap_host: String,
    /// For POP3.
    pub legacy_pop3_host: String,
    /// For sending.
    pub legacy_smtp_host: String,
}

impl Voice {
    /// What holds where nothing is set, on a node with this host name.
    pub fn of_host(host: &str) -> Self {
        let parent = host.split_once('.').map_or(host, |(_, parent)| parent);
        let own = host.to_owned();
        Self {
            provider: parent.to_owned(),
            sender: None,
            phone: String::new(),
            hours: String::new(),
            remote_help: String::new(),
            address: Address::default(),
            gender: Gender::default(),
            site: format!("https://{host}/"),
            newsletter_group: "newsletter".to_owned(),
            imap_host: own.clone(),
            pop3_host: own.clone(),
            smtp_host: own,
            legacy_imap_host: format!("imap-legacy.{parent}"),
            legacy_pop3_host: format!("pop3-legacy.{parent}"),
            legacy_smtp_host: format!("smtp-legacy.{parent}"),
        }
    }

    /// Says one thing differently.
    ///
    /// # Errors
    /// A sentence that says what can be given.
    pub fn say(&mut self, word: Word, value: &str) -> Result<(), String> {
        let value = value.trim();
        if value.len() > VALUE_BYTES_MAX
            || value.chars().any(|c| c.is_control() || "{}".contains(c))
        {
            return Err(format!(
                "{} has at most {VALUE_BYTES_MAX} bytes, one line, without braces",
                word.word()
            ));
        }
        let text = value.to_owned();
        match word {
            Word::Provider => self.provider = text,
            Word::Sender => self.sender = address(value)?,
            Word::Phone => self.phone = text,
            Word::Hours => self.hours = text,
            Word::RemoteHelp => self.remote_help = url(value, UrlEnd::Any)?,
            Word::Address => self.address = one_of(value, Address::ALL, Address::word)?,
            Word::Gender => self.gender = one_of(value, Gender::ALL, Gender::word)?,
            Word::Site => self.site = url(value, UrlEnd::Slash)?,
            Word::NewsletterGroup => self.newsletter_group = text,
            Word::ImapHost => self.imap_host = host(value)?,
            Word::Pop3Host => self.pop3_host = host(value)?,
            Word::SmtpHost => self.smtp_host = host(value)?,
            Word::LegacyImapHost => self.legacy_imap_host = host(value)?,
            Word::LegacyPop3Host => self.legacy_pop3_host = host(value)?,
            Word::LegacySmtpHost => self.legacy_smtp_host = host(value)?,
        }
        Ok(())
    }

    /// What holds for a word, as it can be given.
    pub fn said(&self, word: Word) -> &str {
        match word {
            Word::Provider => &self.provider,
            Word::Sender => self.sender.as_deref().unwrap_or_default(),
            Word::Phone => &self.phone,
            Word::Hours => &self.hours,
            Word::RemoteHelp => &self.remote_help,
            Word::Address => self.address.word(),
            Word::Gender => self.gender.word(),
            Word::Site => &self.site,
            Word::NewsletterGroup => &self.newsletter_group,
            Word::ImapHost => &self.imap_host,
            Word::Pop3Host => &self.pop3_host,
            Word::SmtpHost => &self.smtp_host,
            Word::LegacyImapHost => &self.legacy_imap_host,
            Word::LegacyPop3Host => &self.legacy_pop3_host,
            Word::LegacySmtpHost => &self.legacy_smtp_host,
        }
    }
}

/// How an address of a page ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UrlEnd {
    /// However.
    Any,
    /// With a slash, because something is put behind it.
    Slash,
}

fn url(text: &str, end: UrlEnd) -> Result<String, String> {
    let empty = text.is_empty() && end == UrlEnd::Any;
    let fits = text.starts_with("https://")
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>\"'".contains(&b))
        && (end == UrlEnd::Any || text.ends_with('/'));
    match fits || empty {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "\"{text}\" is no address of a page; give https://...{}",
            if end == UrlEnd::Slash { "/" } else { "" }
        )),
    }
}

fn host(text: &str) -> Result<String, String> {
    let name = directory::DomainName::parse(text).map_err(|error| error.to_string())?;
    Ok(name.to_string())
}

fn address(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = formats::address::Address::parse(text).map_err(|error| error.to_string())?;
    Ok(Some(address.to_string()))
}

fn one_of<T: Copy, const N: usize>(
    text: &str,
    all: [T; N],
    word: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let words: Vec<_> = all.into_iter().map(&word).collect();
    let found = all.into_iter().find(|one| word(*one) == text);
    found.ok_or_else(|| format!("\"{text}\" is none of {}", words.join(", ")))
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_read_again_and_the_table_is_in_the_order_of_the_words() {
        let mut voice = Voice::of_host("mx.provider.test");
        for (word, name, ..) in Word::ALL {
            assert_eq!(word.word(), name);
            assert_eq!(Word::from_word(name), Some(word));
            let said = voice.said(word).to_owned();
            voice.say(word, &said).unwrap();
            assert_eq!(voice.said(word), said);
        }
        assert_eq!(voice, Voice::of_host("mx.provider.test"));
    }

    #[test]
    fn what_would_break_a_text_is_refused() {
        let mut voice = Voice::of_host("mx.provider.test");
        for (word, value) in [
            (Word::Phone, "1\n2"),
            (Word::Provider, "{x}"),
            (Word::Site, "https://x.test"),
            (Word::Site, "http://x.test/"),
            (Word::Sender, "nobody"),
            (Word::Address, "ihr"),
            (Word::ImapHost, "a b"),
        ] {
            assert!(voice.say(word, value).is_err(), "{word} {value}");
        }
    }
}
