//! What is known of the gateway's TLS library: its support and its published weaknesses, from a dated list. Says
//! what it does not know. Pure.

use serde::Deserialize;

/// The list that comes with the program.
const LIST: &str = include_str!("advisories.toml");

#[derive(Debug, Deserialize)]
struct List {
    known_until: String,
    series: Vec<Series>,
    advisory: Vec<Advisory>,
}

#[derive(Debug, Deserialize)]
struct Series {
    version: String,
    support_ends: String,
}

#[derive(Debug, Deserialize)]
struct Advisory {
    id: String,
    fixed_in: String,
    severity: String,
    about: String,
}

/// Sentences about `library` (as it names itself: `OpenSSL 3.0.19 27 Jan 2026`) on the day `today` (2026-11-22).
pub(crate) fn about(library: &str, today: &str) -> Vec<String> {
    let list: List = match toml::from_str(LIST) {
        Ok(list) => list,
        Err(error) => return vec![format!("The list of advisories cannot be read: {error}")],
    };
    let Some(version) = version_of(library) else {
        return vec![format!("\"{library}\" is no library this program knows.")];
    };
    let series = list
        .series
        .iter()
        .find(|series| version_of(&series.version).map(first_two) == Some(first_two(version)));
    let Some(series) = series else {
        return vec![format!(
            "This program knows nothing about the advisories of {library}; follow those of your system."
        )];
    };
    let mut lines = vec![match today > series.support_ends.as_str() {
        true => format!(
            "OpenSSL's project ended its support of {} on {}; only your system's vendor may still repair it.",
            series.version, series.support_ends
        ),
        false => format!(
            "OpenSSL's project supports {} until {}.",
            series.version, series.support_ends
        ),
    }];
    let open = list
        .advisory
        .iter()
        .filter(|advisory| version_of(&advisory.fixed_in).is_some_and(|fixed| version < fixed));
    let mut none = true;
    for advisory in open {
        none = false;
        lines.push(format!(
            "{} ({}, fixed in {}): {}",
            advisory.id, advisory.severity, advisory.fixed_in, advisory.about
        ));
    }
    if none {
        lines.push("No advisory that this program knows concerns this version.".to_owned());
    } else {
        lines.push(
            "Systems repair libraries without a new version number; ask your system's tracker."
                .to_owned(),
        );
    }
    lines.push(format!(
        "Unknown to this program: whatever was published after {}.",
        list.known_until
    ));
    lines
}

/// The first three numbers in a text such as `OpenSSL 3.0.19 27 Jan 2026`.
fn version_of(text: &str) -> Option<[u32; 3]> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(['.', '-', '+']).map_while(|part| {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse().ok()
    });
    Some([
        numbers.next()?,
        numbers.next()?,
        numbers.next().unwrap_or(0),
    ])
}

fn first_two([major, minor, _]: [u32; 3]) -> (u32, u32) {
    (major, minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said_and_what_is_not() {
        let old = about("OpenSSL 3.0.6 11 Oct 2022", "2025-01-01").join("\n");
        assert!(old.contains("CVE-2022-3602 (high, fixed in 3.0.7)"));
        assert!(!old.contains("CVE-2022-0778"));
        assert!(old.contains("supports 3.0 until 2026-09-07"));
        let new = about("OpenSSL 3.0.19 27 Jan 2026", "2026-11-22").join("\n");
        assert!(new.contains("ended its support"));
        assert!(new.contains("No advisory that this program knows"));
        assert!(new.contains("published after 2025-10-01"));
        let other = about("OpenSSL 3.5.1 1 Jul 2025", "2026-11-22").join("\n");
        assert!(other.contains("knows nothing about"));
        assert!(about("LibreSSL", "2026-11-22")[0].contains("no library this program knows"));
    }
}
