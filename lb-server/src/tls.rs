//! TLS: certificates, and what is believed of backends.
