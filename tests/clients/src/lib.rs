//! foreign clients against the running server
