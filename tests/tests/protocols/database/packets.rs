//! PostgreSQL's messages by hand ("Frontend/Backend Protocol", "Message Formats").

/// `SSLRequest`.
pub const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";
/// `GSSENCRequest`.
pub const GSS_ENCRYPTION_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x30";
/// `CancelRequest` for a process and a key.
pub const CANCEL_REQUEST: &[u8] = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
/// `Terminate`.
pub const TERMINATE: &[u8] = b"X\0\0\0\x04";
/// `AuthenticationOk`.
pub const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// A `StartupMessage` of version 3.0 for the tests' user.
pub fn startup() -> Vec<u8> {
    message(b"", b"\0\x03\0\0user\0tester\0database\0postgres\0\0")
}

/// A simple `Query`.
pub fn query(words: &str) -> Vec<u8> {
    message(b"Q", &[words.as_bytes(), b"\0"].concat())
}

fn message(kind: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(4 + content.len()).expect("a short message");
    [kind, &length.to_be_bytes(), content].concat()
}
