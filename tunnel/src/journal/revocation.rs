//! What is told of checks by OCSP, in stunnel's words.

use core::fmt;

use tls::{CertificateStatus, OcspError, Status};

use super::{Date, Lines, Severity, text::Shown};

impl Lines<'_> {
    /// A responder is about to be asked.
    pub fn ocsp_asking(&mut self, url: &str, configured: bool) {
        let what = match configured {
            true => "configured",
            false => "AIA",
        };
        self.line(
            Severity::Notice,
            format_args!("OCSP: Connecting the {what} responder \"{}\"", Shown(url)),
        );
    }

    /// A responder has answered the connection.
    pub fn ocsp_connected(&mut self, responder: &str) {
        self.line(
            Severity::Debug,
            format_args!("OCSP: Connected {}", Shown(responder)),
        );
    }

    /// A responder cannot be asked.
    pub fn ocsp_failed(&mut self, why: &dyn fmt::Display) {
        self.line(Severity::Error, format_args!("{why}"));
    }

    /// A responder's name has no address.
    pub fn ocsp_not_resolved(&mut self) {
        self.line(
            Severity::Error,
            format_args!("OCSP: Failed to resolve the OCSP responder address"),
        );
    }

    /// A responder took too long.
    pub fn ocsp_timed_out(&mut self) {
        self.line(
            Severity::Error,
            format_args!("OCSP: s_poll_wait: TIMEOUTocsp exceeded"),
        );
    }

    /// A responder, or what it has sent, is not to be had.
    pub fn ocsp_not_answered(&mut self, why: &dyn fmt::Display) {
        self.line(Severity::Error, format_args!("OCSP: {why}"));
    }

    /// A whole response has come.
    pub fn ocsp_received(&mut self, stapled: bool) {
        match stapled {
            false => self.line(Severity::Debug, format_args!("OCSP: Response received")),
            true => self.line(
                Severity::Info,
                format_args!("OCSP: OCSP stapling response received"),
            ),
        }
    }

    /// What a response says.
    pub fn ocsp_answered(&mut self, answer: &Result<CertificateStatus, OcspError>) {
        let status = match answer {
            Ok(status) => status,
            Err(OcspError::Responder { status }) => {
                return self.line(
                    Severity::Error,
                    format_args!(
                        "OCSP: OCSP responder error: {status}: {}",
                        OcspError::responder_words(*status)
                    ),
                );
            }
            Err(OcspError::Nonce) => {
                return self.line(
                    Severity::Error,
                    format_args!("OCSP: Invalid or unsupported nonce"),
                );
            }
            Err(OcspError::Responsible | OcspError::Signature) => {
                let error = answer.as_ref().err();
                let why: &dyn fmt::Display = error.map_or(&"", |error| error);
                return self.line(
                    Severity::Error,
                    format_args!("OCSP: OCSP_basic_verify: {why}"),
                );
            }
            Err(error) => return self.line(Severity::Error, format_args!("OCSP: {error}")),
        };
        self.line(
            Severity::Info,
            format_args!("OCSP: Status: {}", status.state),
        );
        self.line(
            Severity::Info,
            format_args!("OCSP: This update: {}", Date::from_unix(status.this_update)),
        );
        if let Some(next) = status.next_update {
            self.line(
                Severity::Info,
                format_args!("OCSP: Next update: {}", Date::from_unix(next)),
            );
        }
        match status.state {
            Status::Good => self.line(Severity::Notice, format_args!("OCSP: Certificate accepted")),
            Status::Revoked { at, reason } => {
                match reason {
                    None => {
                        self.line(Severity::Error, format_args!("OCSP: Certificate revoked"));
                    }
                    Some(reason) => self.line(
                        Severity::Error,
                        format_args!(
                            "OCSP: Certificate revoked: {reason}: {}",
                            Status::reason_name(reason)
                        ),
                    ),
                }
                self.line(
                    Severity::Notice,
                    format_args!("OCSP: Revoked at: {}", Date::from_unix(at)),
                );
            }
            Status::Unknown => self.line(
                Severity::Warning,
                format_args!("OCSP: Unknown verification status"),
            ),
        }
    }

    /// What was said before still holds.
    pub fn ocsp_known(&mut self, revoked: bool) {
        match revoked {
            false => self.line(
                Severity::Info,
                format_args!("OCSP: Certificate accepted (known from an earlier answer)"),
            ),
            true => self.line(
                Severity::Error,
                format_args!("OCSP: Certificate revoked (known from an earlier answer)"),
            ),
        }
    }

    /// A certificate names nobody to ask.
    pub fn ocsp_nobody(&mut self) {
        self.line(Severity::Info, format_args!("OCSP: No AIA responder URL"));
    }

    /// Nobody has an answer.
    pub fn ocsp_undecided(&mut self, required: bool) {
        match required {
            true => self.line(
                Severity::Error,
                format_args!("OCSP: Rejected (OCSPrequire = yes)"),
            ),
            false => self.line(
                Severity::Notice,
                format_args!("OCSP: Accepted (OCSPrequire = no)"),
            ),
        }
    }

    /// The peer is refused; [`tls_failed`](Self::tls_failed) comes after it.
    pub fn ocsp_refused(&mut self, refusal: &tls::Refusal) {
        self.line(
            Severity::Warning,
            format_args!(
                "Rejected by OCSP at depth={}: {}",
                refusal.depth,
                Shown(&refusal.subject)
            ),
        );
    }

    /// What is sent with the service's own certificate has changed.
    pub fn staple(&mut self, state: Option<Status>) {
        match state {
            Some(state) => self.line(
                Severity::Info,
                format_args!("OCSP: Stapling a response to the certificate: {state}"),
            ),
            None => self.line(
                Severity::Warning,
                format_args!("OCSP: No OCSP stapling response to send"),
            ),
        }
    }
}
