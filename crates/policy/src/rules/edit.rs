//! Changes of a single rule in a set: add, say it differently, move, remove, give another schedule. Pure: each
//! gives a new set and leaves the old one. The API, the operator's page and rollouts put what comes of it.

use super::rule::{Rule, RuleSet, shown};
use crate::admin::PolicyError;
use crate::measure::Schedule;

/// Where in the order a rule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind all others.
    Last,
    /// At this place, counted from 1; behind all others where there are fewer.
    At(usize),
}

impl Place {
    /// The place with this number, the last where none is given.
    pub fn of(number: Option<usize>) -> Self {
        number.map_or(Self::Last, Self::At)
    }

    fn among(self, rules: usize) -> usize {
        match self {
            Self::Last => rules,
            Self::At(number) => number.saturating_sub(1).min(rules),
        }
    }
}

impl RuleSet {
    /// The set with one more rule.
    ///
    /// # Errors
    /// `Invalid` where a rule has this name already, or the rule cannot be used.
    pub fn with(&self, rule: Rule, place: Place) -> Result<Self, PolicyError> {
        let mut rules = self.rules().to_vec();
        rules.insert(place.among(rules.len()), rule);
        made_of(rules)
    }

    /// The set with another rule in the place of the one called `name`; it may have another name.
    ///
    /// # Errors
    /// `Missing` where there is none; `Invalid` where the new one cannot be used.
    pub fn with_changed(&self, name: &str, rule: Rule) -> Result<Self, PolicyError> {
        let mut rules = self.rules().to_vec();
        let known = rules.iter_mut().find(|known| known.name == name);
        *known.ok_or_else(|| missing(name))? = rule;
        made_of(rules)
    }

    /// The set with this rule elsewhere in the order.
    ///
    /// # Errors
    /// `Missing` where there is none; `Invalid` where rules need the order they have.
    pub fn with_moved(&self, name: &str, place: Place) -> Result<Self, PolicyError> {
        let mut rules = self.rules().to_vec();
        let rule = rules.remove(self.place_of(name)?);
        rules.insert(place.among(rules.len()), rule);
        made_of(rules)
    }

    /// The set without this rule.
    ///
    /// # Errors
    /// `Missing` where there is none; `Invalid` where another one needs it.
    pub fn without(&self, name: &str) -> Result<Self, PolicyError> {
        let mut rules = self.rules().to_vec();
        rules.remove(self.place_of(name)?);
        made_of(rules)
    }

    /// The set with another schedule for this rule.
    ///
    /// # Errors
    /// `Missing` where there is none.
    pub fn with_schedule(&self, name: &str, schedule: Schedule) -> Result<Self, PolicyError> {
        let known = self.named(name).ok_or_else(|| missing(name))?;
        let rule = Rule {
            schedule,
            ..known.clone()
        };
        self.with_changed(name, rule)
    }

    fn place_of(&self, name: &str) -> Result<usize, PolicyError> {
        let place = self.rules().iter().position(|rule| rule.name == name);
        place.ok_or_else(|| missing(name))
    }
}

fn made_of(rules: Vec<Rule>) -> Result<RuleSet, PolicyError> {
    RuleSet::new(rules).map_err(PolicyError::Invalid)
}

fn missing(name: &str) -> PolicyError {
    PolicyError::Missing(format!("there is no rule {}", shown(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Stage;
    use crate::rules::{Action, Condition, Point};

    fn rule(name: &str) -> Rule {
        Rule {
            name: name.to_owned(),
            note: String::new(),
            at: vec![Point::Rcpt],
            when: Condition::default(),
            then: vec![Action::Accept],
            schedule: Schedule::default(),
        }
    }

    fn names(set: &RuleSet) -> String {
        let names: Vec<_> = set.rules().iter().map(|rule| rule.name.as_str()).collect();
        names.join(" ")
    }

    #[test]
    fn one_rule_is_changed_and_the_others_stay_as_they_are() {
        let set = RuleSet::new(vec![rule("a"), rule("b"), rule("c")]).unwrap();
        let with = |place| names(&set.with(rule("d"), place).unwrap());
        assert_eq!(with(Place::Last), "a b c d");
        assert_eq!(with(Place::At(1)), "d a b c");
        assert_eq!(with(Place::At(99)), "a b c d");
        let moved = |name, place| names(&set.with_moved(name, Place::At(place)).unwrap());
        assert_eq!(moved("c", 1), "c a b");
        assert_eq!(moved("a", 2), "b a c");
        assert_eq!(moved("a", 3), "b c a");
        assert_eq!(names(&set.without("b").unwrap()), "a c");
        assert_eq!(names(&set.with_changed("b", rule("x")).unwrap()), "a x c");
        let observed = set
            .with_schedule("b", Schedule::always(Stage::Observe))
            .unwrap();
        assert_eq!(observed.rules()[1].schedule.to_string(), "observe");
        assert_eq!(observed.rules()[2], set.rules()[2]);
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_refused() {
        let set = RuleSet::new(vec![rule("a"), rule("b")]).unwrap();
        let refused = [
            set.with(rule("a"), Place::Last),
            set.with_changed("a", rule("b")),
            set.without("x"),
            set.with_moved("x", Place::Last),
            set.with_schedule("x", Schedule::default()),
        ];
        let said = refused.map(|one| one.unwrap_err().to_string());
        let twice = "two rules are called";
        assert!(
            said[0].contains(twice) && said[1].contains(twice),
            "{said:?}"
        );
        assert!(said[2..].iter().all(|text| text.contains("no rule x")));
    }
}
