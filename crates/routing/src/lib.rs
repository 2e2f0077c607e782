//! Where a message goes and how securely: MX routes, DANE, MTA-STS, the TLS duty of one hop. Opens no SMTP
//! connection; the SMTP client asks it.
