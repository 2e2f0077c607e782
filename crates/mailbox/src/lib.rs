//! mail at rest
