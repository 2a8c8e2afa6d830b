//! A service while its section is read.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use zeroize::Zeroizing;

use super::negotiation::set::Spoken;
use super::ocsp::Ocsp;
use super::tls_options::{Protocol, SslOptions};
use super::types::{Accept, Connect, Facility, Failover, LogId, Origin, Sockets, Timeouts, Verify};

/// An option's value with its place.
pub(super) struct Given<'a> {
    /// The option's name as the manual spells it.
    pub option: &'static str,
    /// The value without blanks around it.
    pub value: &'a str,
    /// The line as it stands in the file.
    pub text: &'a str,
    /// Where it stands.
    pub origin: &'a Origin,
}

/// A value that is used only when the section is whole, with its place for messages.
#[derive(Clone)]
pub(super) struct Named {
    pub value: String,
    pub text: String,
    pub origin: Origin,
}

/// Everything that a section says, and the defaults for what it does not.
#[derive(Clone)]
pub(super) struct Draft {
    pub client: bool,
    pub accept: Vec<Accept>,
    /// `setuid` and `setgid`.
    pub user: Option<Named>,
    pub group: Option<Named>,
    pub connect: Vec<Connect>,
    pub redirect: Vec<Connect>,
    pub delay: bool,
    pub failover: Failover,
    pub cert: Option<Named>,
    pub key: Option<Named>,
    pub ca_file: Option<Named>,
    pub ca_path: Option<Named>,
    pub crl_file: Option<Named>,
    pub crl_path: Option<Named>,
    pub verify: Verify,
    pub check_host: Vec<String>,
    pub check_email: Vec<String>,
    pub check_ip: Vec<IpAddr>,
    pub ocsp: Ocsp,
    pub sni: Vec<Named>,
    pub min: Protocol,
    pub max: Protocol,
    pub ssl_options: SslOptions,
    pub ciphers: Option<Named>,
    pub ciphersuites: Option<Named>,
    pub curves: Option<Named>,
    pub session_resume: bool,
    pub session_cache_size: usize,
    pub session_cache_timeout: Duration,
    pub ticket_key: Option<(Zeroizing<Vec<u8>>, Origin)>,
    pub ticket_mac: Option<(Zeroizing<Vec<u8>>, Origin)>,
    pub timeouts: Timeouts,
    pub debug: u8,
    /// Whether this is the part before the first section, where `debug` takes a facility.
    pub is_defaults: bool,
    pub facility: Option<Facility>,
    /// `service` before the first section.
    pub service: Option<String>,
    pub reset: bool,
    pub renegotiation: bool,
    pub sockets: Sockets,
    pub psk_secrets: Option<Named>,
    pub psk_identity: Option<Named>,
    pub log_id: LogId,
    pub local: Option<IpAddr>,
    /// `exec`, `execArgs`, `pty`.
    pub exec: Option<Named>,
    pub exec_args: Option<String>,
    pub pty: bool,
    pub retry: Option<Duration>,
    /// `protocol` and what belongs to it, `alpn`, `acceptProxy`.
    pub spoken: Spoken,
}

impl Default for Draft {
    /// stunnel's defaults.
    fn default() -> Draft {
        let mut sockets = Sockets::default();
        sockets.local.nodelay = Some(true);
        sockets.remote.nodelay = Some(true);
        Draft {
            client: false,
            accept: Vec::new(),
            user: None,
            group: None,
            connect: Vec::new(),
            redirect: Vec::new(),
            delay: false,
            failover: Failover::default(),
            cert: None,
            key: None,
            ca_file: None,
            ca_path: None,
            crl_file: None,
            crl_path: None,
            verify: Verify::default(),
            check_host: Vec::new(),
            check_email: Vec::new(),
            check_ip: Vec::new(),
            ocsp: Ocsp::default(),
            sni: Vec::new(),
            min: Protocol::All,
            max: Protocol::All,
            ssl_options: SslOptions::default(),
            ciphers: None,
            ciphersuites: None,
            curves: None,
            session_resume: true,
            session_cache_size: 1000,
            session_cache_timeout: Duration::from_secs(300),
            ticket_key: None,
            ticket_mac: None,
            timeouts: Timeouts {
                busy: Duration::from_secs(300),
                close: Duration::from_secs(60),
                connect: Duration::from_secs(10),
                idle: Duration::from_secs(43_200),
            },
            debug: 5,
            is_defaults: false,
            facility: None,
            service: None,
            reset: true,
            renegotiation: true,
            sockets,
            psk_secrets: None,
            psk_identity: None,
            log_id: LogId::default(),
            local: None,
            exec: None,
            exec_args: None,
            pty: false,
            retry: None,
            spoken: Spoken::default(),
        }
    }
}

impl Given<'_> {
    /// The value with its place, unless it is empty.
    pub fn named(&self) -> Option<Named> {
        (!self.value.is_empty()).then(|| Named {
            value: self.value.into(),
            text: self.text.into(),
            origin: self.origin.clone(),
        })
    }
}
