//! domains, accounts, addresses and login
