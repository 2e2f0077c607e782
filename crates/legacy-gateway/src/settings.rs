//! The gateway's own settings file. It names nothing of the mail server but the socket to reach it by: what clients
//! may use, and until when, the core says.

use crate::groups::Group;
use gateway_link::{Door, Mode, Protocol, VersionSet};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file, read and checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The core's socket.
    pub(crate) socket: PathBuf,
    /// Whom to become when started as root.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// The certificate with its chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its private key, PEM. Never that of another host.
    pub(crate) key: PathBuf,
    /// TLS versions at most; the core may allow fewer.
    #[serde(default = "all_versions")]
    versions: Vec<String>,
    /// The group of DHE.
    #[serde(default)]
    pub(crate) dh_group: Group,
    /// Clients at a time.
    #[serde(default = "connections_max")]
    pub(crate) connections_max: usize,
    /// How long a handshake may take, in seconds.
    #[serde(default = "handshake_seconds_max")]
    handshake_seconds_max: u64,
    /// Where clients come.
    #[serde(rename = "listener")]
    listeners: Vec<Listener>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listener {
    address: SocketAddr,
    role: Role,
}

/// What a listener is for: the protocol, and whether TLS comes first (the names ending in s).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    #[serde(rename = "smtp-submission")]
    Submission,
    Submissions,
    Imap,
    Imaps,
    Pop3,
    Pop3s,
}

fn all_versions() -> Vec<String> {
    ["1.0", "1.1", "1.2"].map(str::to_owned).into()
}

fn connections_max() -> usize {
    2000
}

fn handshake_seconds_max() -> u64 {
    30
}

impl Settings {
    /// Reads `path`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let settings: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if VersionSet::parse(&settings.versions.join(",")).is_none() {
            return Err("versions: each of \"1.0\", \"1.1\", \"1.2\" at most once".to_owned());
        }
        if settings.listeners.is_empty() || settings.listeners.len() > gateway_link::LISTENERS_MAX {
            return Err(format!(
                "there must be a [[listener]] and at most {} of them",
                gateway_link::LISTENERS_MAX
            ));
        }
        if !(1..=100_000).contains(&settings.connections_max) {
            return Err("connections_max is from 1 to 100000".to_owned());
        }
        if !(1..=300).contains(&settings.handshake_seconds_max) {
            return Err("handshake_seconds_max is from 1 to 300".to_owned());
        }
        Ok(settings)
    }

    /// TLS versions that this file allows.
    pub(crate) fn versions(&self) -> VersionSet {
        VersionSet::parse(&self.versions.join(",")).unwrap_or(VersionSet::NONE)
    }

    /// How long a handshake may take.
    pub(crate) fn handshake_time_max(&self) -> Duration {
        Duration::from_secs(self.handshake_seconds_max)
    }

    /// The listeners as wanted; ports may be 0.
    pub(crate) fn doors(&self) -> impl Iterator<Item = Door> {
        self.listeners.iter().map(|listener| {
            let (protocol, mode) = match listener.role {
                Role::Submission => (Protocol::Submission, Mode::StartTls),
                Role::Submissions => (Protocol::Submission, Mode::ImplicitTls),
                Role::Imap => (Protocol::Imap, Mode::StartTls),
                Role::Imaps => (Protocol::Imap, Mode::ImplicitTls),
                Role::Pop3 => (Protocol::Pop3, Mode::StartTls),
                Role::Pop3s => (Protocol::Pop3, Mode::ImplicitTls),
            };
            Door {
                protocol,
                mode,
                local: listener.address,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_good() {
        let settings = Settings::parse(gateway_link::SAMPLE_SETTINGS).unwrap();
        assert_eq!(settings.versions(), VersionSet::ALL);
        assert_eq!(settings.doors().count(), 6);
        assert_eq!(settings.dh_group, Group::Ffdhe2048);
    }

    #[test]
    fn nothing_weaker_can_be_asked_for() {
        let with =
            |line: &str| Settings::parse(&format!("{line}\n{}", gateway_link::SAMPLE_SETTINGS));
        // Parameters of one's own, whatever their size, have no place.
        assert!(
            with("dh_parameters = \"/etc/dh1024.pem\"")
                .unwrap_err()
                .contains("unknown field")
        );
        assert!(
            with("ciphers = \"ALL\"")
                .unwrap_err()
                .contains("unknown field")
        );
        let sample = gateway_link::SAMPLE_SETTINGS;
        assert!(Settings::parse(&sample.replace("ffdhe2048", "ffdhe1024")).is_err());
        assert!(Settings::parse(&sample.replace("\"1.0\"", "\"ssl3\"")).is_err());
    }
}
