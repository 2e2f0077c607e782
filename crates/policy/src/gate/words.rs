//! What customers and operators read about a login that was refused. Pure text; ASCII, because it becomes a
//! reply line, English first and German behind it.

use super::Attempt;
use platform::tls::TlsVersion;

/// Why a login is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// In clear at a normal host.
    Clear,
    /// TLS 1.0 or 1.1 at a normal host.
    OldTls,
    /// TLS 1.2 where 1.3 is demanded.
    Tls12,
    /// There is no legacy access, or no longer.
    LegacyOver,
    /// The customer's domain forbids it.
    LegacyForbidden,
    /// The account has no legacy access.
    NotEnrolled,
    /// In clear at a legacy host that demands TLS.
    LegacyClear,
    /// A version the legacy hosts do not speak either.
    LegacyTls,
}

impl Why {
    pub(super) fn normal(tls: Option<TlsVersion>, needed: TlsVersion) -> Self {
        match tls {
            None => Self::Clear,
            Some(_) if needed > TlsVersion::V1_2 => Self::Tls12,
            Some(_) => Self::OldTls,
        }
    }

    pub(super) fn not_even_here(tls: Option<TlsVersion>) -> Self {
        match tls {
            None => Self::LegacyClear,
            Some(_) => Self::LegacyTls,
        }
    }

    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Clear => "cleartext",
            Self::OldTls => "tls-below-1.2",
            Self::Tls12 => "tls-below-1.3",
            Self::LegacyOver => super::LEGACY_OVER,
            Self::LegacyForbidden => "legacy-forbidden",
            Self::NotEnrolled => "legacy-not-enrolled",
            Self::LegacyClear => "legacy-cleartext",
            Self::LegacyTls => "legacy-tls",
        }
    }

    /// The page that helps, behind the address of the help pages.
    fn page(self) -> &'static str {
        match self {
            Self::Clear | Self::LegacyClear => "cleartext",
            Self::OldTls | Self::Tls12 => "tls",
            Self::LegacyOver | Self::LegacyForbidden | Self::NotEnrolled | Self::LegacyTls => {
                "legacy"
            }
        }
    }

    pub(super) fn text(self, help: &str) -> String {
        let (english, german) = match self {
            Self::Clear => (
                "Login without encryption is not accepted. Switch on SSL/TLS or STARTTLS in your mail \
                 program.",
                "Anmeldung nur verschluesselt: Bitte schalten Sie im Mailprogramm SSL/TLS oder STARTTLS ein.",
            ),
            Self::OldTls => (
                "Your mail program or device encrypts with TLS 1.0 or 1.1, which is no longer accepted. \
                 Update it, so that it uses TLS 1.2 or newer.",
                "TLS 1.0 und 1.1 werden nicht mehr angenommen: Bitte aktualisieren Sie Mailprogramm oder \
                 Geraet.",
            ),
            Self::Tls12 => (
                "Your mail program or device encrypts with TLS 1.2, which is not accepted here. Update it, \
                 so that it uses TLS 1.3.",
                "TLS 1.2 wird hier nicht angenommen: Bitte aktualisieren Sie Mailprogramm oder Geraet.",
            ),
            Self::LegacyOver => (
                "The transition time of this server is over. Update your mail program and set the normal \
                 server names.",
                "Die Uebergangszeit ist vorbei: Bitte aktualisieren Sie das Mailprogramm und tragen Sie die \
                 normalen Servernamen ein.",
            ),
            Self::LegacyForbidden => (
                "Whoever runs your mail domain does not allow this server for old programs. Update your \
                 mail program and set the normal server names, or ask them.",
                "Ihre Domain erlaubt diesen Server nicht: Bitte aktualisieren Sie das Mailprogramm und \
                 tragen Sie die normalen Servernamen ein.",
            ),
            Self::NotEnrolled => (
                "This server for old programs is open only to accounts that asked for it. Set the normal \
                 server names, or ask for transition access on the page below.",
                "Dieser Server ist nur nach Freischaltung nutzbar: Bitte tragen Sie die normalen Servernamen \
                 ein oder schalten Sie den Uebergang frei.",
            ),
            Self::LegacyClear => (
                "Login without encryption is not accepted here either. Switch on SSL/TLS or STARTTLS in \
                 your mail program.",
                "Auch hier ist die Anmeldung nur verschluesselt moeglich: Bitte schalten Sie SSL/TLS oder \
                 STARTTLS ein.",
            ),
            Self::LegacyTls => (
                "The TLS version of your mail program or device is not accepted here either. Update it, so \
                 that it uses TLS 1.2 or newer.",
                "Auch hier wird diese TLS-Version nicht angenommen: Bitte aktualisieren Sie Mailprogramm \
                 oder Geraet.",
            ),
        };
        format!("{english} {german} Help: {help}{}", self.page())
    }

    pub(super) fn explain(self, attempt: &Attempt<'_>) -> String {
        let service = attempt.service;
        match self {
            Self::Clear => {
                format!("cleartext/{service} is at enforce and the connection has no TLS.")
            }
            Self::OldTls | Self::Tls12 => format!(
                "tls-version/{service} asks for more than {}.",
                attempt.tls.map_or("no TLS", TlsVersion::as_str)
            ),
            Self::LegacyOver => {
                "legacy-access is off for this account, or its end date has passed.".to_owned()
            }
            Self::LegacyForbidden => "legacy-access is forbidden for this domain.".to_owned(),
            Self::NotEnrolled => "The account is not enrolled for the legacy hosts.".to_owned(),
            Self::LegacyClear => "legacy-access does not have the word cleartext.".to_owned(),
            Self::LegacyTls => format!(
                "legacy-access does not name {}.",
                attempt.tls.map_or("no TLS", TlsVersion::as_str)
            ),
        }
    }
}
