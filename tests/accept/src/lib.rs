//! one executable check per requirement ID
