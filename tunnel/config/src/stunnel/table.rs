//! The one table of stunnel's options (stunnel(8), "GLOBAL OPTIONS", "SERVICE-LEVEL OPTIONS").

use alloc::string::String;

use super::draft::{Draft, Given};
use super::negotiation::set as spoken;
use super::ocsp;
use super::set;
use super::types::Global;

/// What became of a value.
pub(super) enum Taken {
    /// It does what the manual says.
    Honoured,
    /// It does what the manual says, and the user is told this at this level.
    Told(u8, String),
    /// It changes nothing, for this reason.
    WithoutEffect(String),
    /// The configuration can't be used because of it, for this reason.
    Refused(String),
}

/// How a value is taken in; an error is in stunnel's words.
pub(super) type SetGlobal = fn(&mut Global, &Given<'_>) -> Result<Taken, String>;
/// As [`SetGlobal`], for a service.
pub(super) type SetService = fn(&mut Draft, &Given<'_>) -> Result<Taken, String>;

/// What an option does.
#[derive(Clone, Copy)]
pub(super) enum Action {
    /// It holds for the process, and stands before the first section.
    Global(SetGlobal),
    /// It holds for a service; before the first section, for all that follow.
    Service(SetService),
    /// As `Global`, and nothing depends on it here.
    GlobalWithoutEffect(&'static str),
    /// As `Service`, and nothing depends on it here.
    WithoutEffect(&'static str),
    /// It can't be had here, for this reason; stands before the first section.
    GlobalRefused(&'static str),
    /// It can't be had here, for this reason.
    Refused(&'static str),
    /// The files of a directory are read in its place.
    Include,
}

/// One option.
pub(super) struct Row {
    /// Its name as the manual spells it.
    pub name: &'static str,
    /// What it does.
    pub action: Action,
}

const fn row(name: &'static str, action: Action) -> Row {
    Row { name, action }
}

use Action::{
    Global as G, GlobalRefused, GlobalWithoutEffect, Include, Refused, Service as S, WithoutEffect,
};

pub(super) const NO_PROCESS: &str = "an image has no users, no other processes and no directories";
const OWN_ENTROPY: &str = "the processor or a virtio-rng device gives the random numbers";
const NO_MODULES: &str = "no code can be loaded into an image: keys and certificates come from \
    files (key, cert, CAfile)";
const WINDOWS: &str = "it is for Windows";
const NO_NTLM: &str = "it is part of NTLM, which is not spoken here";

/// Every option.
pub(super) static TABLE: [Row; 102] = [
    // The process.
    row("chroot", GlobalWithoutEffect(NO_PROCESS)),
    row("compression", G(set::compression)),
    row("EGD", GlobalWithoutEffect(OWN_ENTROPY)),
    row("engine", GlobalRefused(NO_MODULES)),
    row("engineCtrl", GlobalRefused(NO_MODULES)),
    row("engineDefault", GlobalRefused(NO_MODULES)),
    row("fips", G(set::fips)),
    row("foreground", G(set::foreground)),
    row("iconActive", GlobalWithoutEffect(WINDOWS)),
    row("iconError", GlobalWithoutEffect(WINDOWS)),
    row("iconIdle", GlobalWithoutEffect(WINDOWS)),
    row("taskbar", GlobalWithoutEffect(WINDOWS)),
    row("log", G(set::log)),
    row("output", G(set::output)),
    row("pid", G(set::pid)),
    row("provider", GlobalRefused(NO_MODULES)),
    row("providerParameter", GlobalRefused(NO_MODULES)),
    row("RNDbytes", G(set::random_bytes)),
    row("RNDfile", GlobalWithoutEffect(OWN_ENTROPY)),
    row("RNDoverwrite", G(set::random_overwrite)),
    row(
        "setEnv",
        GlobalWithoutEffect("programs of exec have the launcher's own environment"),
    ),
    row("syslog", G(set::syslog)),
    // Where connections come from and go to.
    row("accept", S(set::accept)),
    // Ours: stunnel has none.
    row("acceptProxy", S(spoken::accept_proxy)),
    row("client", S(set::client)),
    row("connect", S(set::connect)),
    row("delay", S(set::delay)),
    row("exec", S(set::exec)),
    row("execArgs", S(set::exec_args)),
    row("failover", S(set::failover)),
    row(
        "ident",
        Refused("clients are not asked for their users' names: use verifyChain or verifyPeer"),
    ),
    row("include", Include),
    row("libwrap", S(set::libwrap)),
    row("local", S(set::local)),
    row("protocol", S(spoken::protocol)),
    row("protocolAuthentication", S(spoken::authentication)),
    row("protocolDomain", WithoutEffect(NO_NTLM)),
    row("protocolHeader", S(spoken::header)),
    row("protocolHost", S(spoken::host)),
    row("protocolPassword", S(spoken::password)),
    row("protocolUsername", S(spoken::username)),
    row("pty", S(set::pty)),
    row("redirect", S(set::redirect)),
    row("retry", S(set::retry)),
    row("sni", S(set::sni)),
    row("socket", S(set::socket)),
    row("transparent", S(set::transparent)),
    // Who they are with.
    row("CAengine", Refused(NO_MODULES)),
    row("CAfile", S(set::ca_file)),
    row("CApath", S(set::ca_path)),
    row(
        "CAstore",
        Refused("stores are code that can't be loaded here: use CAfile or CApath"),
    ),
    row("cert", S(set::cert)),
    row("checkEmail", S(set::check_email)),
    row("checkHost", S(set::check_host)),
    row("checkIP", S(set::check_ip)),
    row("CRLfile", S(set::crl_file)),
    row("CRLpath", S(set::crl_path)),
    row("engineId", Refused(NO_MODULES)),
    row("engineNum", Refused(NO_MODULES)),
    row("key", S(set::key)),
    row("OCSP", S(ocsp::responder)),
    row("OCSPaia", S(ocsp::aia)),
    row("OCSPflag", S(ocsp::flag)),
    row("OCSPnonce", S(ocsp::nonce)),
    row("OCSPrequire", S(ocsp::require)),
    row("PSKidentity", S(set::psk_identity)),
    row("PSKsecrets", S(set::psk_secrets)),
    row("requireCert", S(set::require_cert)),
    row("verify", S(set::verify)),
    row("verifyChain", S(set::verify_chain)),
    row("verifyPeer", S(set::verify_peer)),
    // TLS.
    // Ours: stunnel has none.
    row("alpn", S(spoken::alpn)),
    row("ciphers", S(set::ciphers)),
    row("ciphersuites", S(set::ciphersuites)),
    row(
        "config",
        Refused(
            "OpenSSL's own commands mean nothing here: use ciphers, ciphersuites, curves, \
             options, sslVersionMin and sslVersionMax",
        ),
    ),
    row("curve", S(set::curves)),
    row("curves", S(set::curves)),
    row("options", S(set::options)),
    row("renegotiation", S(set::renegotiation)),
    row("reset", S(set::reset)),
    row("securityLevel", S(set::security_level)),
    row("session", S(set::session_cache_timeout)),
    row("sessionCacheSize", S(set::session_cache_size)),
    row("sessionCacheTimeout", S(set::session_cache_timeout)),
    row(
        "sessiond",
        Refused(
            "sessions are not shared through sessiond: give each image the same ticketKeySecret \
             and ticketMacSecret",
        ),
    ),
    row("sessionResume", S(set::session_resume)),
    row("sslVersion", S(set::ssl_version)),
    row("sslVersionMax", S(set::ssl_version_max)),
    row("sslVersionMin", S(set::ssl_version_min)),
    row("ticketKeySecret", S(set::ticket_key_secret)),
    row("ticketMacSecret", S(set::ticket_mac_secret)),
    // The rest of a service.
    row("debug", S(set::debug)),
    row("logId", S(set::log_id)),
    row("service", S(set::service)),
    row("setgid", S(set::setgid)),
    row("setuid", S(set::setuid)),
    row("stack", S(set::stack)),
    row("TIMEOUTbusy", S(set::timeout_busy)),
    row("TIMEOUTclose", S(set::timeout_close)),
    row("TIMEOUTconnect", S(set::timeout_connect)),
    row("TIMEOUTidle", S(set::timeout_idle)),
    row("TIMEOUTocsp", S(ocsp::timeout)),
];

/// The option of this name, in any case.
pub(super) fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

impl Row {
    /// Whether the option stands before the first section only.
    pub fn is_global(&self) -> bool {
        matches!(
            self.action,
            Action::Global(_) | Action::GlobalWithoutEffect(_) | Action::GlobalRefused(_)
        )
    }

    /// Whether nobody but its owner may read the value.
    pub fn is_secret(&self) -> bool {
        matches!(
            self.name,
            "ticketKeySecret" | "ticketMacSecret" | "protocolPassword"
        )
    }
}
