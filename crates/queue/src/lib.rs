//! mail in motion
