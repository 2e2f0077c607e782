//! kill and power-cut tests
