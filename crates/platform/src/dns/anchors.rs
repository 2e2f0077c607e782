//! Trust anchors: the keys from which DNSSEC validation starts (RFC 4033 §2). Read from a file in zone-file form.
