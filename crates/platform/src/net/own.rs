//! Whether an address is one of this host's. Asks the system, which needs no privilege and sends nothing.

use std::net::{IpAddr, UdpSocket};

/// Whether `ip` belongs to this host: only then may a socket have it. All of 127.0.0.0/8 does.
pub fn is_own_address(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_documentation_is_not() {
        assert!(is_own_address([127, 0, 0, 1].into()));
        assert!(is_own_address([127, 3, 2, 1].into()));
        assert!(!is_own_address([198, 51, 100, 7].into()));
    }
}
