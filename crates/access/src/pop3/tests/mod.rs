//! Sessions over loopback against a real store. Transcripts lie beside the commands and are run by
//! `transcript`; what cannot be said in one is in `sessions`.

mod rig;
mod sessions;
mod transcript;
