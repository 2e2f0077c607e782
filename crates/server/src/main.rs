//! The program `rohrpost`.
fn main() {}
