//! Web servers behind the tunnel and clients before it: nginx, Apache, a WebSocket server; curl,
//! h2load, a WebSocket client, Chromium.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::peers::Place;
use crate::peers::proxies::Proxy;
use crate::process::Finished;
use crate::stunnel::daemon::Daemon;
use crate::{PATIENCE, wait_until};

/// The WebSocket server and client.
const WEBSOCKET: &str = include_str!("websocket.py");
/// Chromium without windows, below the tree.
const CHROMIUM: &str = "usr/lib/chromium/chromium-headless-shell";

/// Apache, or a WebSocket server. Ended when dropped.
pub struct Web {
    daemon: Daemon,
    place: Place,
}

impl Web {
    /// Apache with these lines, and these files below its document root; somebody listens on `port`
    /// then.
    pub fn apache(lines: &str, files: &[(&str, &str)], port: u16) -> Web {
        let place = Place::new();
        let root = place.folder("www");
        for (name, text) in files {
            place.add(&format!("www/{name}"), text);
        }
        let mut text = String::from(
            "ServerRoot /usr/lib/apache2\nPidFile /run/apache2.pid\nDefaultRuntimeDir /run\n\
             ServerName backend.example\nErrorLog /dev/stderr\nLogLevel info\n",
        );
        for module in [
            "mpm_event",
            "authz_core",
            "mime",
            "dir",
            "headers",
            "setenvif",
            "deflate",
            "filter",
            "rewrite",
        ] {
            writeln!(text, "LoadModule {module}_module modules/mod_{module}.so")
                .expect("a String grows");
        }
        write!(
            text,
            "TypesConfig /etc/mime.types\nDocumentRoot {root}\n<Directory {root}>\n\
             Require all granted\n</Directory>\n{lines}\n"
        )
        .expect("a String grows");
        let path = place.add("apache.conf", text);
        let mut command = place.command("apache2");
        command.args(["-X", "-f", &path]);
        let daemon = place.serve(&mut command, port);
        Web { daemon, place }
    }

    /// A server that sends every WebSocket message back, and says the client's words of farewell.
    pub fn echo(address: SocketAddr) -> Web {
        let place = Place::new();
        let mut command = python(&place, "serve");
        command.args([address.ip().to_string(), address.port().to_string()]);
        let daemon = place.serve(&mut command, address.port());
        Web { daemon, place }
    }

    /// What it says.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// nginx with these lines in its `http` block, behind the folders that it wants, text as what files
/// are, and no log of requests; somebody listens on `port` then.
pub fn nginx(lines: &str, port: u16) -> Proxy {
    let mut folders = String::new();
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        write!(folders, "{name}_temp_path /var/tmp/{name}; ").expect("a String grows");
    }
    let text = format!("http {{ {folders}access_log off; default_type text/plain;\n{lines}\n}}\n");
    Proxy::nginx(&text, port)
}

/// Clients that trust one authority, each of which finds every host at one address.
pub struct Clients {
    place: Place,
    server: SocketAddr,
    authority: String,
}

impl Clients {
    /// Clients of what listens at `server`, and trust this certificate.
    pub fn new(server: SocketAddr, certificate: &str) -> Clients {
        let place = Place::new();
        let authority = place.add("ca.pem", certificate);
        Clients {
            place,
            server,
            authority,
        }
    }

    /// Where they run.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// curl, which verifies the certificate, speaks HTTP/1.1, and says no word of its own but errors;
    /// a URL and more may be added.
    pub fn curl(&self) -> Command {
        let mut command = self.place.command("curl");
        // `-q` must come first: nobody's .curlrc shall change a test.
        command.args(["-q", "--silent", "--show-error", "--noproxy", "*"]);
        command.args(["--connect-to", &format!("::{}", self.server)]);
        command.args(["--cacert", &self.authority, "--max-time", "100"]);
        command
    }

    /// What curl writes with these words; panics when it fails.
    pub fn fetched(&self, words: &[&str]) -> String {
        let finished = self.run(self.curl().args(words)).succeeded();
        String::from_utf8_lossy(&finished.stdout).into_owned()
    }

    /// h2load over HTTP/1.1; a URL and more may be added.
    pub fn h2load(&self) -> Command {
        let mut command = self.place.command("h2load");
        command.args(["--h1", "--npn-list=http/1.1"]);
        command.args(["--connect-to", &self.server.to_string()]);
        command
    }

    /// A client of an echo server at this URL: it fails unless everything comes back as it was sent,
    /// and says how the connections ended.
    pub fn websocket(&self, url: &str) -> Command {
        let mut command = python(&self.place, "ask");
        command.args([url, &self.server.to_string(), &self.authority]);
        command
    }

    /// Whether there is a browser. Ubuntu has none as a package.
    pub fn have_browser(&self) -> bool {
        self.place.has(Path::new(CHROMIUM))
    }

    /// What Chromium has of a page once it has loaded, with all that belongs to it; panics when it
    /// fails.
    pub fn browsed(&self, url: &str) -> String {
        let home = self.place.folder("home");
        let database = self.place.folder("home/.pki/nssdb");
        let mut certutil = self.place.command("certutil");
        let database = format!("sql:{database}");
        certutil.args(["-A", "-d", &database, "-n", "scene", "-t", "C,,"]);
        self.run(certutil.args(["-i", &self.authority])).succeeded();
        let mut last = String::new();
        let dom = wait_until(PATIENCE, || {
            let finished = self.run(&mut self.chromium(&home, url));
            last = finished.stderr;
            // Other tests' devices come and go beside it, and it gives up what it was loading.
            let is_disturbed = last.contains("ERR_NETWORK_CHANGED");
            let dom = String::from_utf8_lossy(&finished.stdout).into_owned();
            assert!(is_disturbed || finished.status.success(), "{last}");
            (!is_disturbed).then_some(dom)
        });
        let dom = dom.unwrap_or_else(|| panic!("the network keeps changing: {last}"));
        assert!(dom.contains("<html"), "{dom}\n{last}");
        dom
    }

    /// Chromium, which writes what it has of a page, and what it says to its console to standard error.
    fn chromium(&self, home: &str, url: &str) -> Command {
        let mut command = self.place.command_at(Path::new(CHROMIUM));
        command.env("HOME", home).env("XDG_CONFIG_HOME", home);
        // It would make namespaces of its own within ours.
        command.args(["--headless", "--no-sandbox", "--disable-gpu"]);
        command.args(["--disable-background-networking", "--no-proxy-server"]);
        command.args(["--enable-logging=stderr", "--log-level=0"]);
        command.arg(format!("--user-data-dir={home}/data"));
        command.arg(format!("--host-resolver-rules=MAP * {}", self.server));
        command.args(["--timeout=100000", "--dump-dom", url]);
        command
    }

    /// Runs one of these commands to its end.
    pub fn run(&self, command: &mut Command) -> Finished<Vec<u8>> {
        self.place.run(command, &[][..])
    }
}

/// The WebSocket program in this role.
fn python(place: &Place, role: &str) -> Command {
    let script = place.add("websocket.py", WEBSOCKET);
    let mut command = place.command(&place.python());
    // Nothing of it is kept in the tree.
    command.args(["-B", "-u", &script, role]);
    command
}
