//! `[admin]`.

use super::{Findings, listener};
use crate::config::model::{AdminConfig, AdminToken, Config, ListenAddress, ListenerTls};

/// So many letters of any kind are beyond guessing.
const TOKEN_LEAST: usize = 16;

pub(super) fn check(admin: &AdminConfig, config: &Config, findings: &mut Findings) {
    if !admin.address.is_local() && admin.token.is_none() {
        findings.add(
            "admin.address",
            format!(
                "`{}` is not on loopback: whoever reaches it could steer the server",
                admin.address
            ),
            "add `token_file = \"/run/secrets/lb-admin\"` with a random token, or listen on \"127.0.0.1:9900\" or \
             \"unix:/run/lb/admin.sock\"",
        );
    }
    for (index, name) in admin.names.iter().enumerate() {
        // It is compared with the host of requests, which has neither scheme nor port here.
        if name.contains(['/', ':']) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            findings.add(
                format!("admin.names[{index}]"),
                format!("`{name}` is no host name"),
                "write the name alone: \"lb.internal\"",
            );
        }
    }
    if let Some(AdminToken::Text(token)) = &admin.token {
        let text = token.as_str();
        if text.len() < TOKEN_LEAST || !text.bytes().all(|b| b.is_ascii_graphic()) {
            findings.add(
                "admin.token",
                format!("the token is no random text: it must have {TOKEN_LEAST} printable characters or more, and no blanks"),
                "take one from `openssl rand -hex 32`, best as \"${LB_ADMIN_TOKEN}\" or in `token_file`",
            );
        }
    }
    listener::server_tls(
        "admin.tls",
        "the admin API",
        &admin.tls,
        std::slice::from_ref(&admin.address),
        findings,
    );
    let port_0 = matches!(&admin.address, ListenAddress::Tcp(address) if address.port() == 0);
    let other = config
        .listeners
        .iter()
        .find(|(_, listener)| listener.address.contains(&admin.address));
    if let Some((name, _)) = other.filter(|_| !port_0) {
        findings.add(
            "admin.address",
            format!("`{}` is taken by listener `{name}`", admin.address),
            "give the admin API an address of its own: \"127.0.0.1:9900\"",
        );
    }
}

pub(super) fn warnings(admin: &AdminConfig, findings: &mut Findings) {
    if admin.tls == ListenerTls::Off && !admin.address.is_local() {
        findings.add(
            "admin.tls",
            "the admin API speaks cleartext on the network: whoever listens on the way learns the token",
            "fine behind something that ends TLS; else give it a certificate",
        );
    }
}
