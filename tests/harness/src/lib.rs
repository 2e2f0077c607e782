//! a running server and its peers for tests
