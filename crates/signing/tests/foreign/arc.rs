//! ARC before dkimpy.
