//! The groups of customers an installation begins with (S3-45), and what each is to the scheduler. Data only;
//! the CLI and the demo make them, and an operator may change or remove them.

use crate::setting::Name;

/// A group to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultGroup {
    /// Its name.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Its share where several groups wait.
    pub weight: &'static str,
    /// Whose mail goes first within a share.
    pub priority: &'static str,
}

impl DefaultGroup {
    /// The group with this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        DEFAULT_GROUPS.iter().find(|group| group.name == name)
    }

    /// Its settings.
    pub fn settings(&self) -> [(Name, &'static str); 2] {
        [(Name::Weight, self.weight), (Name::Priority, self.priority)]
    }
}

const fn group(
    name: &'static str,
    description: &'static str,
    weight: &'static str,
    priority: &'static str,
) -> DefaultGroup {
    DefaultGroup {
        name,
        description,
        weight,
        priority,
    }
}

/// All of them. Business and important mail goes first; private mail keeps well over a tenth of the
/// throughput beside it.
pub const DEFAULT_GROUPS: &[DefaultGroup] = &[
    group("private", "Private customers", "10", "0"),
    group("business", "Business customers", "30", "3"),
    group("premium", "Customers who pay for more", "20", "2"),
    group("free", "Customers who pay nothing", "5", "-2"),
    group("internal", "Our own people", "10", "0"),
    group("external", "Everybody else's mail that we carry", "10", "0"),
    group("newsletter", "Newsletters and other mass mail", "2", "-5"),
    group(
        "important",
        "Mail that must not wait, such as invoices and alerts",
        "30",
        "5",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Value;

    #[test]
    fn every_default_group_has_settings_that_can_be_made() {
        for group in DEFAULT_GROUPS {
            for (name, value) in group.settings() {
                assert!(Value::parse(name, value).is_ok(), "{} {name}", group.name);
            }
        }
    }
}
