//! What is said from accepting a connection to the end of its handshake.

use alloc::string::String;
use core::fmt;

use channel::CertificateReason;

use super::{
    Kind, Lines, Operation, Role, Severity, certificate,
    text::Shown,
    words::{Group, Suite, key_bits},
};

/// How far two clocks may be apart before it is worth a line, in seconds.
const CLOCKS_APART: u64 = 300;

impl Lines<'_> {
    /// A connection was accepted.
    pub fn accepted(&mut self, peer: impl fmt::Display) {
        let service = self.service;
        self.debug(format_args!("Service [{service}] started"));
        self.tell(
            Kind::Accepted,
            Severity::Notice,
            format_args!("Service [{service}] accepted connection from {peer}"),
        );
    }

    /// The service has no virtual services to choose from.
    pub fn sni_no_services(&mut self) {
        self.debug(format_args!("SNI: no virtual services defined"));
    }

    /// The name in a client's hello, or its protocols alone, chose the virtual service `service`.
    pub fn sni_switched(&mut self, name: Option<&str>, service: &str) {
        if let Some(name) = name {
            self.sni_requested(name);
        }
        self.notice(format_args!("SNI: switched to service [{service}]"));
    }

    /// No virtual service has the name in a client's hello, or there is none (`None`): the service
    /// itself serves.
    pub fn sni_not_matched(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            return self.notice(format_args!("SNI: no servername received"));
        };
        self.sni_requested(name);
        self.error(format_args!(
            "SNI: no pattern matched servername: {}",
            Shown(name)
        ));
    }

    /// No host has the name in a client's hello, or there is none (`None`), and nobody else serves it;
    /// with `proof`, an authority wants the name proven and there is nothing to show.
    pub fn host_unknown(&mut self, name: Option<&str>, proof: bool) {
        let kind = Kind::HandshakeFailed;
        match (name, proof) {
            (Some(name), false) => self.failure(
                kind,
                format_args!("SNI: no host is served by the name {}", Shown(name)),
            ),
            (None, false) => self.failure(kind, format_args!("SNI: no servername received")),
            (name, true) => self.failure(
                kind,
                format_args!(
                    "SNI: acme-tls/1 offered, and there is no proof for {}",
                    Shown(name.unwrap_or("no name"))
                ),
            ),
        }
    }

    /// A request in the clear was answered: with what, and what was asked for.
    pub fn answered(&mut self, is_challenge: bool, status: &dyn fmt::Display, asked: &str) {
        let severity = match is_challenge {
            true => Severity::Notice,
            false => Severity::Info,
        };
        self.line(severity, format_args!("HTTP: {status}: {}", Shown(asked)));
    }

    /// A notice was taken that the store has changed. `apart`: by how many seconds its teller's clock
    /// differs from ours, if it has told it.
    pub fn noticed(&mut self, apart: Option<u64>) {
        self.notice(format_args!("Notice: the store has changed"));
        if let Some(seconds) = apart.filter(|seconds| *seconds > CLOCKS_APART) {
            self.line(
                Severity::Warning,
                format_args!("Notice: its teller's clock and this one are {seconds} s apart"),
            );
        }
    }

    /// A notice was refused.
    pub fn notice_refused(&mut self, reason: store::notice::Refusal) {
        self.line(Severity::Warning, format_args!("Notice refused: {reason}"));
    }

    fn sni_requested(&mut self, name: &str) {
        self.info(format_args!("SNI: requested servername: {}", Shown(name)));
    }

    /// The name that our hello asks for.
    pub fn sni_sent(&mut self, name: &str) {
        self.info(format_args!("SNI: sending servername: {name}"));
    }

    /// Whether the peer must show a certificate.
    pub fn certificate_wanted(&mut self, required: bool) {
        self.info(format_args!(
            "Peer certificate {}required",
            if required { "" } else { "not " }
        ));
    }

    /// Whatever certificate the peer shows is good.
    pub fn verification_disabled(&mut self) {
        self.info(format_args!("Certificate verification disabled"));
    }

    /// The peer was asked for a certificate and showed none.
    pub fn certificate_missing(&mut self) {
        self.info(format_args!("No peer certificate received"));
    }

    /// A certificate of the peer's was accepted: its own at depth 0, its issuer's at depth 1, and
    /// so on.
    pub fn certificate_accepted(&mut self, depth: usize, subject: &str) {
        let severity = match depth {
            0 => Severity::Notice,
            _ => Severity::Info,
        };
        self.line(
            severity,
            format_args!("Certificate accepted at depth={depth}: {}", Shown(subject)),
        );
    }

    /// Whether the certificate at depth 0 was looked through for names, and which one was found: what
    /// was looked for, and for a host the name in the certificate.
    pub fn subject_checked(&mut self, matched: Option<(&tls::PeerName, &str)>) {
        match matched {
            None => self.info(format_args!("CERT: No subject checks configured")),
            Some((tls::PeerName::Host(host), presented)) => self.info(format_args!(
                "CERT: Host name \"{host}\" matched with \"{}\"",
                Shown(presented)
            )),
            Some((tls::PeerName::Email(email), _)) => {
                self.info(format_args!("CERT: Email address \"{email}\" matched"));
            }
            Some((tls::PeerName::Address(address), _)) => {
                self.info(format_args!("CERT: IP address \"{address}\" matched"));
            }
        }
    }

    /// The peer's certificate is one of those that are known.
    pub fn certificate_known(&mut self) {
        self.info(format_args!("CERT: Locally installed certificate matched"));
    }

    /// The peer's certificate was refused: the lines from which scanners learn why.
    /// [`tls_failed`](Self::tls_failed) comes after them.
    pub fn certificate_refused(&mut self, refusal: &tls::Refusal) {
        let words = certificate::reason(refusal).log_words();
        self.warning(format_args!("CERT: {words}"));
        self.warning(format_args!(
            "Rejected by CERT at depth={}: {}",
            refusal.depth,
            Shown(&refusal.subject)
        ));
    }

    /// The pre-shared key that our hello offers.
    pub fn key_offered(&mut self, identity: &[u8]) {
        let identity = String::from_utf8_lossy(identity);
        self.info(format_args!(
            "PSK client configured for identity \"{}\"",
            Shown(&identity)
        ));
    }

    /// A client's pre-shared key is known.
    pub fn key_found(&mut self, identity: &[u8]) {
        let identity = String::from_utf8_lossy(identity);
        self.notice(format_args!(
            "Key configured for PSK identity \"{}\"",
            Shown(&identity)
        ));
    }

    /// A client's pre-shared key is not known.
    pub fn key_not_found(&mut self) {
        self.info(format_args!("PSK identity not found (session resumption?)"));
    }

    /// A session is resumed; `authenticated`: its client was good when it began.
    pub fn ticket_decrypted(&mut self, authenticated: bool) {
        self.info(format_args!(
            "Decrypted ticket for an authenticated session: {}",
            if authenticated { "yes" } else { "no" }
        ));
    }

    /// A handshake is over.
    pub fn handshake(&mut self, role: Role, handshake: &tls::Handshake) {
        let tls::Handshake {
            version,
            suite,
            group,
            resumed,
            ..
        } = *handshake;
        // OpenSSL's client takes a pre-shared key for a session of its own, its server does not.
        let keyed = handshake.psk_identity.is_some() && role == Role::Client;
        // OpenSSL's server does not remember the group of TLS 1.2.
        let forgotten = role == Role::Server && version == tls::Version::Tls12;
        let group = group.filter(|_| !forgotten);
        self.negotiated(role, version, suite, group, resumed || keyed);
    }

    pub(super) fn negotiated(
        &mut self,
        role: Role,
        version: tls::Version,
        suite: &'static str,
        group: Option<&'static str>,
        resumed: bool,
    ) {
        let what = match role {
            Role::Server => "accepted",
            Role::Client => "connected",
        };
        let session = match resumed {
            false => "new session negotiated",
            true => "previous session reused",
        };
        self.info(format_args!("TLS {what}: {session}"));
        self.info(format_args!(
            "{version} ciphersuite: {} ({}-bit encryption)",
            Suite(suite),
            key_bits(suite)
        ));
        match group {
            None => self.info(format_args!("No peer temporary key received")),
            Some(group) => self.info(format_args!("Peer temporary key: {}", Group(group))),
        }
    }

    /// TLS failed, in a handshake or later: in OpenSSL's words, for which people and scanners look,
    /// and then in our own where they say more.
    pub fn tls_failed(&mut self, operation: Operation, error: &tls::Error) {
        let kind = match operation {
            Operation::Handshake(_) => Kind::HandshakeFailed,
            Operation::Read | Operation::Write => Kind::Line,
        };
        let Some(openssl) = error.openssl_reason() else {
            return self.failure(kind, format_args!("{operation}: {error}"));
        };
        match error {
            tls::Error::Refused(refusal) => self.unverified(
                certificate::problem(refusal),
                format_args!("{operation}: {openssl}: {refusal}"),
            ),
            tls::Error::NoCertificate => self.unverified(
                certificate::of_leaf(CertificateReason::Missing),
                format_args!("{operation}: {openssl}"),
            ),
            tls::Error::Certificate { reason } => self.unverified(
                certificate::of_leaf(CertificateReason::Rejected),
                format_args!("{operation}: {openssl}: {}", Shown(reason)),
            ),
            tls::Error::Decrypt | tls::Error::PeerAlert { .. } => {
                self.failure(kind, format_args!("{operation}: {openssl}"));
            }
            error => self.failure(kind, format_args!("{operation}: {openssl}: {error}")),
        }
    }

    /// A server has ended a handshake with a pre-shared key by an alert that often means the key.
    pub fn key_doubted(&mut self) {
        self.notice(format_args!(
            "The server may not know the PSK identity, or may have another key for it"
        ));
    }

    /// The peer left in the midst of its handshake.
    pub fn handshake_abandoned(&mut self, role: Role) {
        let operation = Operation::Handshake(role);
        self.failure(
            Kind::HandshakeFailed,
            format_args!(
                "{operation}: {}: the peer left before the end",
                tls::OpensslReason::UNEXPECTED_EOF
            ),
        );
    }

    /// What was found of a client that failed its authentication.
    pub fn client_unverified(&mut self, verdict: &tls::Verdict) {
        let problem = match verdict {
            tls::Verdict::Refused {
                refusal: Some(refusal),
                ..
            } => certificate::problem(refusal),
            tls::Verdict::Missing => certificate::of_leaf(CertificateReason::Missing),
            _ => certificate::of_leaf(CertificateReason::Rejected),
        };
        self.tell_of(
            Kind::VerificationFailed,
            Severity::Info,
            &[problem],
            format_args!("{verdict}"),
        );
    }

    /// The client failed its authentication: its connection goes to another backend.
    pub fn redirected(&mut self) {
        self.notice(format_args!("Redirecting connection"));
    }
}
