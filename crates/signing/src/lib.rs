//! Signs what leaves: DKIM keys and signatures, ARC seals for forwards, SRS sender rewriting. Sends nothing.
