//! Which requirement IDs have an acceptance check, and which of those pass. Counted from the names
//! of the tests that ran: module `s1_02_s1_03` in tests/accept covers S1-02 and S1-03.

use std::collections::BTreeMap;

/// Items in the list of requirements.
pub(crate) const REQUIREMENTS: usize = 190;

/// Per ID: whether every test of it passed.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    ids: BTreeMap<String, bool>,
}

impl Coverage {
    /// Notes one test that ran. `name` is its path, for example `s1_02_s1_03::refused_before_tls`.
    pub(crate) fn note(&mut self, name: &str, passed: bool) {
        let Some(module) = name.split("::").find(|part| !ids_of(part).is_empty()) else {
            return;
        };
        for id in ids_of(module) {
            let all = self.ids.entry(id).or_insert(true);
            *all &= passed;
        }
    }

    /// IDs whose checks all passed.
    pub(crate) fn passing(&self) -> usize {
        self.ids.values().filter(|passed| **passed).count()
    }

    /// One line for the end of a run.
    pub(crate) fn summary(&self) -> String {
        let failing: Vec<_> = self
            .ids
            .iter()
            .filter(|(_, passed)| !**passed)
            .map(|(id, _)| id.as_str())
            .collect();
        let mut line = format!(
            "requirements: {} of {REQUIREMENTS} covered, {} pass",
            self.ids.len(),
            self.passing()
        );
        if !failing.is_empty() {
            line.push_str(&format!("; failing: {}", failing.join(", ")));
        }
        line
    }
}

/// The IDs a module's name lists, in the form of the requirements: `s0_03` is S0-03.
fn ids_of(module: &str) -> Vec<String> {
    let words: Vec<&str> = module.split('_').collect();
    let is_area = |word: &str| {
        let mut bytes = word.bytes();
        word.len() == 2 && bytes.next() == Some(b's') && matches!(bytes.next(), Some(b'0'..=b'4'))
    };
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    words
        .windows(2)
        .filter(|pair| is_area(pair[0]) && is_number(pair[1]))
        .map(|pair| format!("{}-{}", pair[0].to_uppercase(), pair[1]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_may_list_several_ids() {
        assert_eq!(ids_of("s1_02_s1_03"), ["S1-02", "S1-03"]);
        assert!(ids_of("parser_tests").is_empty());
    }

    #[test]
    fn an_id_with_one_failing_test_does_not_pass() {
        let mut coverage = Coverage::default();
        coverage.note("s1_02_s1_03::a", true);
        coverage.note("s1_02::b", false);
        assert_eq!(coverage.passing(), 1);
        assert!(
            coverage
                .summary()
                .contains("2 of 190 covered, 1 pass; failing: S1-02")
        );
    }
}
