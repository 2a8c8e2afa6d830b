//! What can go wrong with a proxy, at its start and later.

use std::fmt;
use std::io;

use stockade_channel::CertificateProblem;
use stockade_host::Error as Host;

/// Why a proxy can't be, or why one of its connections came to nothing.
///
/// Displays as xapi's `Stunnel_error.to_string` does: `Certificate verification errors: …` or
/// `Stunnel error: …`, with the words behind it that xapi looks for in stunnel's log. People want
/// more than that: `{:#}` adds what is known besides, and [`detail`](Self::detail) is that alone.
///
/// ```
/// let error = stockade::Error::ConnectionRefused("connect 192.0.2.1:443".to_owned());
/// assert_eq!(error.to_string(), "Stunnel error: Connection refused");
/// assert_eq!(format!("{error:#}"), "Stunnel error: Connection refused: connect 192.0.2.1:443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The remote's certificate was refused.
    CertificateVerify {
        /// Everything that was found wrong, in the order in which it was found.
        reasons: Vec<CertificateProblem>,
    },
    /// The remote refused the connection.
    ConnectionRefused(String),
    /// The remote's name has no address.
    NoHostResolved(String),
    /// There is no way to the remote.
    NoRouteToHost(String),
    /// Another process listens on the socket, or another proxy does.
    AddressInUse(String),
    /// A value can't be what it is, or the remote's address is none that can be connected to.
    InvalidArgument(String),
    /// The configuration is refused, as a file that it names can't be used; a line each.
    ConfigurationFailed(Vec<String>),
    /// The machine, the remote or its TLS did not answer in time.
    TimedOut(String),
    /// The socket can't be made.
    SocketNotCreated(String),
    /// TLS failed for another reason than the certificate.
    HandshakeFailed(String),
    /// The machine can't be had, or has ended.
    MachineFailed(String),
}

impl Error {
    /// Whether it is about the remote's certificate, xapi's `Certificate_verify`.
    pub const fn is_certificate(&self) -> bool {
        matches!(self, Error::CertificateVerify { .. })
    }

    /// What is wrong with the remote's certificate, each with its depth; nothing for other errors.
    pub fn reasons(&self) -> &[CertificateProblem] {
        match self {
            Error::CertificateVerify { reasons } => reasons,
            _ => &[],
        }
    }

    /// The words that xapi looks for in stunnel's log, or says itself; for certificates what its
    /// scanner collects: the latest first.
    ///
    /// ```
    /// let error = stockade::Error::NoRouteToHost("connect 192.0.2.1:443".to_owned());
    /// assert_eq!(error.indicator(), "No route to host");
    /// ```
    pub fn indicator(&self) -> String {
        match self {
            Error::CertificateVerify { reasons } => {
                let words = reasons.iter().rev();
                let words: Vec<String> = words
                    .map(|problem| problem.reason.log_words().to_string())
                    .collect();
                words.join(";")
            }
            Error::ConnectionRefused(_) => "Connection refused".to_owned(),
            Error::NoHostResolved(_) => "No host resolved".to_owned(),
            Error::NoRouteToHost(_) => "No route to host".to_owned(),
            Error::AddressInUse(_) => "Address already in use".to_owned(),
            Error::InvalidArgument(_) => "Invalid argument".to_owned(),
            Error::ConfigurationFailed(_) => "Configuration failed".to_owned(),
            Error::TimedOut(_) => "Timed out waiting for stunnel condition".to_owned(),
            Error::SocketNotCreated(_) => "stunnel failed to create unix socket".to_owned(),
            Error::HandshakeFailed(_) => "TLS handshake failed".to_owned(),
            Error::MachineFailed(_) => "stunnel initialisation failed".to_owned(),
        }
    }

    /// What is known besides: where, why, what to do.
    pub fn detail(&self) -> String {
        match self {
            Error::CertificateVerify { reasons } => {
                let details = reasons.iter().map(|problem| {
                    let CertificateProblem {
                        depth,
                        reason,
                        subject,
                    } = problem;
                    format!("depth {depth} ({subject}): {reason}")
                });
                details.collect::<Vec<_>>().join("; ")
            }
            Error::ConfigurationFailed(lines) => lines.join("; "),
            Error::ConnectionRefused(text)
            | Error::NoHostResolved(text)
            | Error::NoRouteToHost(text)
            | Error::AddressInUse(text)
            | Error::InvalidArgument(text)
            | Error::TimedOut(text)
            | Error::SocketNotCreated(text)
            | Error::HandshakeFailed(text)
            | Error::MachineFailed(text) => text.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.is_certificate() {
            true => "Certificate verification errors",
            false => "Stunnel error",
        };
        write!(f, "{what}: {}", self.indicator())?;
        let detail = self.detail();
        if f.alternate() && !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Host> for Error {
    fn from(error: Host) -> Error {
        let text = error.to_string();
        match error {
            Host::Listen {
                kind: io::ErrorKind::AddrInUse,
                ..
            } => Error::AddressInUse(text),
            Host::Listen {
                kind: io::ErrorKind::InvalidInput,
                ..
            } => Error::InvalidArgument(text),
            Host::Listen { .. } => Error::SocketNotCreated(text),
            Host::SocketPort { .. } => Error::AddressInUse(text),
            Host::Refused(lines) => Error::ConfigurationFailed(lines),
            Host::LogFile { .. } => Error::ConfigurationFailed(vec![text]),
            Host::TimedOut { .. } => Error::TimedOut(text),
            _ => Error::MachineFailed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stockade_channel::CertificateReason;

    #[test]
    fn certificates_are_told_of_as_xapi_s_scanner_does() {
        let problem = |depth, reason| CertificateProblem {
            depth,
            reason,
            subject: "CN=a".to_owned(),
        };
        let error = Error::CertificateVerify {
            reasons: vec![
                problem(1, CertificateReason::Expired),
                problem(0, CertificateReason::NameMismatch),
            ],
        };
        assert_eq!(
            error.to_string(),
            "Certificate verification errors: Subject checks failed;\
             Pre-verification error: certificate has expired"
        );
        assert_eq!(
            error.detail(),
            "depth 1 (CN=a): certificate has expired; depth 0 (CN=a): hostname mismatch"
        );
    }

    #[test]
    fn all_else_is_stunnel_s() {
        let text = || "more".to_owned();
        for (error, words) in [
            (Error::ConnectionRefused(text()), "Connection refused"),
            (Error::NoHostResolved(text()), "No host resolved"),
            (Error::NoRouteToHost(text()), "No route to host"),
            (Error::AddressInUse(text()), "Address already in use"),
            (Error::InvalidArgument(text()), "Invalid argument"),
            (
                Error::ConfigurationFailed(vec![text()]),
                "Configuration failed",
            ),
            (
                Error::TimedOut(text()),
                "Timed out waiting for stunnel condition",
            ),
            (
                Error::SocketNotCreated(text()),
                "stunnel failed to create unix socket",
            ),
        ] {
            assert_eq!(error.to_string(), format!("Stunnel error: {words}"));
            assert_eq!(
                format!("{error:#}"),
                format!("Stunnel error: {words}: more")
            );
        }
    }
}
