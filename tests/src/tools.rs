//! The command-line clients that users have: `openssl s_client` and `curl`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::certificates::NAME;

/// `openssl s_client` that verifies the server's certificate and name.
///
/// It sends `name` as SNI (RFC 6066 §3), or none, and goes on reading after the end of its
/// standard input, until the server closes.
pub fn s_client(server: SocketAddr, authority: &Path, name: Option<&str>) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-ign_eof", "-verify_return_error"]);
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    command.args(["-verify_hostname", NAME, "-connect", &server.to_string()]);
    command.arg("-CAfile").arg(authority);
    command
}

/// `curl` that verifies the server's certificate and treats HTTP errors as failures; the caller
/// adds a URL below `https://localhost:PORT`, see [`url`].
pub fn curl(server: SocketAddr, authority: &Path) -> Command {
    let mut command = Command::new("curl");
    // `-q` must come first: nobody's .curlrc shall change a test.
    command.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", "*"]);
    command.args(["--connect-to", &format!("::{server}")]);
    command.arg("--cacert").arg(authority);
    command
}

/// The URL of `path` on `server`, under the name that its certificate is for.
pub fn url(server: SocketAddr, path: &str) -> String {
    format!("https://{NAME}:{}{path}", server.port())
}
