//! Chores of this repository: up, test, tidy.
fn main() {}
