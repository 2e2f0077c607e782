//! SMTP server and client
