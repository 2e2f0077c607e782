//! Knowing the client: from what a connection and a message show of the program behind them to product, version and
//! platform, what it can do, and which guide helps its owner. Data in `clients/*.toml`, operators' own entries in the
//! store. Recognising is pure and says `unknown` where it does not know. The rim asks, letters and guides use it.

mod catalogue;
pub mod entry;
mod pattern;
pub mod rows;

pub use catalogue::Catalogue;
pub use entry::{Entry, Version};
pub use pattern::{HINT_BYTES_MAX, Pattern};

use formats::language::Language;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// The product nobody knows.
pub const UNKNOWN: &str = "unknown";
/// The guide for clients without one.
pub const GENERIC_GUIDE: &str = "generic";

/// What a client showed of itself; `None` where it did not say. Nothing of it is believed for more than a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hints<'a> {
    /// The fingerprint of its ClientHello (`platform::tls::ClientHello::fingerprint`).
    pub fingerprint: Option<&'a str>,
    /// The TLS versions it offered (`ClientHello::offered_versions`).
    pub offered_versions: Option<&'a str>,
    /// The field `name` of the IMAP command ID (RFC 2971).
    pub imap_id_name: Option<&'a str>,
    /// The field `version` of it.
    pub imap_id_version: Option<&'a str>,
    /// The fields `os` and `os-version` of it, with a blank between.
    pub imap_id_os: Option<&'a str>,
    /// What it said with EHLO or HELO.
    pub hello: Option<&'a str>,
    /// X-Mailer or User-Agent of a message it sent.
    pub mailer: Option<&'a str>,
}

/// Who it probably is. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// The entry's identifier; `UNKNOWN` for nobody.
    pub product: Arc<str>,
    /// As people call it: "Microsoft Outlook"; empty for nobody.
    pub name: Arc<str>,
    /// As people call it: "2010".
    pub version: Option<Arc<str>>,
    /// Where it runs.
    pub platform: Platform,
    /// What kind of thing it is.
    pub class: Class,
    /// The guide that helps.
    pub guide: Arc<str>,
    /// The newest TLS it speaks as installed, where that is known.
    pub newest_tls: Option<TlsAbility>,
    /// The newest TLS it speaks after an update or a setting, where that differs.
    pub updated_tls: Option<TlsAbility>,
    /// How sure this is.
    pub confidence: Confidence,
}

impl Recognised {
    /// Nobody knows.
    pub fn unknown() -> Self {
        Self {
            product: UNKNOWN.into(),
            name: Arc::default(),
            version: None,
            platform: Platform::Any,
            class: Class::Other,
            guide: GENERIC_GUIDE.into(),
            newest_tls: None,
            updated_tls: None,
            confidence: Confidence::None,
        }
    }

    /// Whether somebody was recognised.
    pub fn is_known(&self) -> bool {
        self.confidence != Confidence::None
    }

    /// The compact form for stores and logs: `outlook/2010/windows`, `-` for what is not known, a `?` behind it where
    /// it is a guess; `unknown`. `Catalogue::from_key` is the inverse. At most 112 bytes.
    pub fn key(&self) -> Cow<'static, str> {
        if !self.is_known() {
            return Cow::Borrowed(UNKNOWN);
        }
        let guess = match self.confidence {
            Confidence::Guess => "?",
            _ => "",
        };
        let version = self.version.as_deref().unwrap_or("-");
        Cow::Owned(format!(
            "{}/{version}/{}{guess}",
            self.product,
            self.platform.word()
        ))
    }
}

impl Recognised {
    /// As `Display`, with the words of a version in `language`: "Microsoft Outlook 2016 oder neuer (Windows)".
    pub fn in_words(&self, language: Language) -> String {
        match (language, &self.version) {
            (Language::German, Some(version)) => {
                let version = Some(german(version).into());
                let said = Self {
                    version,
                    ..self.clone()
                };
                said.to_string()
            }
            _ => self.to_string(),
        }
    }
}

/// A version's label, whose words the catalogue writes in English, in German.
fn german(label: &str) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("or", "oder"),
        ("newer", "neuer"),
        ("older", "älter"),
        ("to", "bis"),
        ("of", "von"),
        ("for", "für"),
    ];
    let words = label.split(' ').map(|word| {
        let known = WORDS.iter().find(|(english, _)| *english == word);
        known.map_or(word, |(_, german)| german)
    });
    words.collect::<Vec<_>>().join(" ")
}

/// "Microsoft Outlook 2010 (Windows)"; for an unknown client "unknown".
impl fmt::Display for Recognised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_known() {
            return f.write_str(UNKNOWN);
        }
        f.write_str(&self.name)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        match self.platform.name() {
            // "iOS Mail 9 (iOS)" says nothing twice.
            Some(name) if !self.name.contains(name) => write!(f, " ({name})"),
            _ => Ok(()),
        }
    }
}

/// How sure a recognition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Not at all: nobody was recognised.
    None,
    /// It looks like the family: a letter says "probably".
    Guess,
    /// A fingerprint or a host name that only it is known to have.
    Likely,
    /// It says so itself.
    Certain,
}

/// An enum with a word for each value.
macro_rules! worded {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $value:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $value,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// The word in files, keys and logs.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }

            /// The value with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

worded! {
    /// What kind of thing a client is; decides which letter its owner gets.
    Class {
        /// A program on a computer.
        MailProgram = "mail-program",
        /// An app on a telephone or tablet.
        Phone = "phone",
        /// A printer or scanner that sends what it scans.
        Printer = "printer",
        /// A network camera.
        Camera = "camera",
        /// A router.
        Router = "router",
        /// Network storage and other servers at home.
        Storage = "storage",
        /// A website: WordPress and whatever else runs on PHP.
        Website = "website",
        /// A program of the customer's own, made with a library.
        Program = "program",
        /// Another mail server that sends through us.
        Server = "server",
        /// A tool by which people test.
        Tool = "tool",
        /// Not known.
        Other = "other",
    }
}

impl Class {
    /// Whether nobody sits at it: such clients only send, and a limited app password fits them.
    pub fn is_device(self) -> bool {
        matches!(
            self,
            Self::Printer | Self::Camera | Self::Router | Self::Storage | Self::Website
        )
    }
}

worded! {
    /// Where a client runs.
    Platform {
        /// Windows.
        Windows = "windows",
        /// macOS.
        MacOs = "macos",
        /// iOS and iPadOS.
        Ios = "ios",
        /// Android.
        Android = "android",
        /// Linux and other Unix.
        Linux = "linux",
        /// A device with software of its maker's.
        Device = "device",
        /// Several, or not known.
        Any = "-",
    }
}

impl Platform {
    /// As people write it; `None` where it says nothing.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Windows => Some("Windows"),
            Self::MacOs => Some("macOS"),
            Self::Ios => Some("iOS"),
            Self::Android => Some("Android"),
            Self::Linux => Some("Linux"),
            Self::Device | Self::Any => None,
        }
    }

    /// What a client calls it, in the IMAP command ID or in its User-Agent.
    pub fn from_text(text: &str) -> Self {
        let holds = |needle: &[u8]| {
            text.as_bytes()
                .windows(needle.len())
                .any(|window| window.eq_ignore_ascii_case(needle))
        };
        if holds(b"windows") || holds(b"winnt") {
            Self::Windows
        } else if holds(b"iphone") || holds(b"ipad") || is_ios(text) {
            Self::Ios
        } else if holds(b"android") {
            Self::Android
        } else if holds(b"mac os") || holds(b"macos") || holds(b"macintosh") || holds(b"darwin") {
            Self::MacOs
        } else if holds(b"linux") || holds(b"x11") || holds(b"bsd") {
            Self::Linux
        } else {
            Self::Any
        }
    }
}

worded! {
    /// The newest TLS a client speaks.
    TlsAbility {
        /// None at all, or SSL 3.0 at most.
        Nothing = "none",
        /// TLS 1.0.
        Tls10 = "1.0",
        /// TLS 1.1.
        Tls11 = "1.1",
        /// TLS 1.2.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

/// "iOS" or "iOS 9.3.5 (13G36)".
fn is_ios(text: &str) -> bool {
    let word = text.split(' ').next();
    word.is_some_and(|word| word.eq_ignore_ascii_case("ios"))
}

#[cfg(test)]
mod tests;
