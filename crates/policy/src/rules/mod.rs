//! Rules of the operator: conditions over facts, actions, stages; what they decide and why; their versions in the
//! store; what is likely to be a mistake in them. Decides only: sessions, the queue and routing carry out.

mod action;
mod check;
mod compiled;
mod condition;
mod evaluate;
mod fact;
mod facts;
mod rule;

pub use action::{
    Action, DelayBy, Extension, Extensions, HeaderAction, Level, Lowest, MechanismName, StatusCode,
    TEXT_BYTES_MAX, Text, Window,
};
pub use check::Truth;
pub use compiled::Compiled;
pub use condition::{Condition, DEPTH_MAX, Op, PARTS_MAX, Test, Value};
pub use evaluate::{Acting, Decision, Noted, evaluate};
pub use fact::{Described, FACTS, Fact, Kind};
pub use facts::{Facts, HeaderFacts, HeaderNames, HeaderValue, Known, Recipient, Tls, Way};
pub use rule::{ACTIONS_MAX, Point, RULES_MAX, Rule, RuleSet, SET_BYTES_MAX};

#[cfg(test)]
mod tests;
