//! Reports about TLS and authentication: sends TLS-RPT (RFC 8460), reads TLS-RPT and DMARC reports about us.
//! Decides nothing about mail.
