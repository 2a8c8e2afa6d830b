//! HAProxy, nginx, tinyproxy and Dante, each with a configuration of the tests' own.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use crate::peers::Place;
use crate::stunnel::daemon::Daemon;
use crate::stunnel::ports;

/// A proxy, or a server that tells what a proxy has told it. Ended when dropped.
pub struct Proxy {
    daemon: Daemon,
    place: Place,
}

/// What [`Reporter`]s tell of a connection: the client's address, the one that it connected to, and
/// the name that it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The client's address.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The name that it asked for; empty where none is told.
    pub authority: String,
}

/// How a reporter is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By an HTTP request.
    ByRequest,
    /// By the connection itself.
    ByConnection,
}

/// A server that answers with what the PROXY header in front of a connection told it.
pub struct Reporter {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is asked.
    pub asked: Asked,
    /// Whether it tells the name that the client asked for.
    pub tells_authority: bool,
    _proxy: Proxy,
}

/// How a proxy announces a client to its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// HAProxy, `send-proxy`.
    HaproxyVersion1,
    /// HAProxy, `send-proxy-v2`.
    HaproxyVersion2,
    /// HAProxy, `send-proxy-v2-ssl` with a checksum.
    HaproxyVersion2Ssl,
    /// nginx, `proxy_protocol on`.
    Nginx,
}

impl Proxy {
    /// HAProxy with these sections; somebody listens on `port` then.
    pub fn haproxy(sections: &str, port: u16) -> Proxy {
        Self::haproxy_in(Place::new(), sections, port)
    }

    /// The same in a place that has files for it.
    pub fn haproxy_in(place: Place, sections: &str, port: u16) -> Proxy {
        let text = format!(
            "defaults\n timeout client 60s\n timeout server 60s\n timeout connect 10s\n{sections}"
        );
        let path = place.add("haproxy.cfg", text);
        let mut command = place.command("haproxy");
        command.args(["-db", "-f", &path]);
        let daemon = place.serve(&mut command, port);
        Proxy { daemon, place }
    }

    /// nginx with these blocks (`http`, `stream`); somebody listens on `port` then.
    pub fn nginx(blocks: &str, port: u16) -> Proxy {
        let place = Place::new();
        // One process in the foreground, as an ordinary user, with nothing of the package's own.
        let mut text = String::from(
            "daemon off;\nmaster_process off;\npid /run/nginx.pid;\nerror_log stderr info;\n\
             load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\n",
        );
        text.push_str(blocks);
        let path = place.add("nginx.conf", text);
        let mut command = place.command("nginx");
        command.args(["-e", "stderr", "-c", &path]);
        let daemon = place.serve(&mut command, port);
        Proxy { daemon, place }
    }

    /// tinyproxy on this address, for this user with this password.
    pub fn tinyproxy(address: SocketAddr, user: &str, password: &str) -> Proxy {
        let place = Place::new();
        let text = format!(
            "Listen {}\nPort {}\nTimeout 60\nLogLevel Info\nMaxClients 20\nBasicAuth {user} \
             {password}\n",
            address.ip(),
            address.port()
        );
        let path = place.add("tinyproxy.conf", text);
        let mut command = place.command("tinyproxy");
        command.args(["-d", "-c", &path]);
        let daemon = place.serve(&mut command, address.port());
        Proxy { daemon, place }
    }

    /// Dante's SOCKS server on this address, for anybody and for all destinations but its loopback.
    pub fn dante(address: SocketAddr) -> Proxy {
        let place = Place::new();
        let text = format!(
            "logoutput: stderr\ninternal: {} port = {}\nexternal: {}\nclientmethod: none\n\
             socksmethod: none\nclient pass {{ from: 0/0 to: 0/0 }}\n\
             socks block {{ from: 0/0 to: 127.0.0.0/8 }}\n\
             socks pass {{ from: 0/0 to: 0/0 log: connect }}\n",
            address.ip(),
            address.port(),
            address.ip()
        );
        let path = place.add("danted.conf", text);
        let mut command = place.command("danted");
        command.args(["-f", &path, "-p", "/run/danted.pid"]);
        let daemon = place.serve(&mut command, address.port());
        Proxy { daemon, place }
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

impl Reporter {
    /// HAProxy with `accept-proxy`.
    pub fn haproxy(host: IpAddr) -> Reporter {
        let address = SocketAddr::new(host, ports::next());
        let sections = format!(
            "frontend reports\n mode http\n bind {address} accept-proxy\n \
             http-request return status 200 content-type text/plain lf-string \
             \"%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority]\"\n"
        );
        Reporter {
            address,
            asked: Asked::ByRequest,
            tells_authority: true,
            _proxy: Proxy::haproxy(&sections, address.port()),
        }
    }

    /// nginx's web server with `listen … proxy_protocol`.
    pub fn nginx_http(host: IpAddr) -> Reporter {
        let address = SocketAddr::new(host, ports::next());
        let mut folders = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            write!(folders, "{name}_temp_path /var/tmp/{name}; ").expect("a String grows");
        }
        let blocks = format!(
            "http {{ access_log off; {folders}\n server {{ listen {address} proxy_protocol; \
             return 200 \"{NGINX}\"; }} }}\n"
        );
        Reporter {
            address,
            asked: Asked::ByRequest,
            tells_authority: false,
            _proxy: Proxy::nginx(&blocks, address.port()),
        }
    }

    /// nginx's stream server with `listen … proxy_protocol`.
    pub fn nginx_stream(host: IpAddr) -> Reporter {
        let address = SocketAddr::new(host, ports::next());
        let blocks = format!(
            "stream {{ server {{ listen {address} proxy_protocol; return \"{NGINX}\"; }} }}\n"
        );
        Reporter {
            address,
            asked: Asked::ByConnection,
            tells_authority: false,
            _proxy: Proxy::nginx(&blocks, address.port()),
        }
    }
}

/// What nginx tells, in the words of its configuration.
const NGINX: &str = "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr \
                     $proxy_protocol_server_port ";

impl Told {
    /// Reads a report, which may have an HTTP header section in front.
    pub fn read(answer: &str) -> Option<Told> {
        let line = answer.lines().last()?;
        let words: Vec<&str> = line.split(' ').collect();
        let [client, client_port, local, local_port, authority] = words.as_slice() else {
            return None;
        };
        Some(Told {
            client: SocketAddr::new(client.parse().ok()?, client_port.parse().ok()?),
            local: SocketAddr::new(local.parse().ok()?, local_port.parse().ok()?),
            authority: (*authority).to_owned(),
        })
    }
}

impl Announced {
    /// All of them.
    pub const ALL: [Announced; 4] = [
        Announced::HaproxyVersion1,
        Announced::HaproxyVersion2,
        Announced::HaproxyVersion2Ssl,
        Announced::Nginx,
    ];

    /// Starts the proxy at `front`; it carries bytes to and from `backend` as they are.
    pub fn start(self, front: SocketAddr, backend: SocketAddr) -> Proxy {
        let option = match self {
            Announced::HaproxyVersion1 => "send-proxy",
            Announced::HaproxyVersion2 => "send-proxy-v2",
            Announced::HaproxyVersion2Ssl => {
                "send-proxy-v2-ssl proxy-v2-options crc32c,unique-id,authority"
            }
            Announced::Nginx => {
                let blocks = format!(
                    "stream {{ server {{ listen {front}; proxy_pass {backend}; proxy_protocol on; \
                     }} }}\n"
                );
                return Proxy::nginx(&blocks, front.port());
            }
        };
        let sections =
            format!("listen front\n mode tcp\n bind {front}\n server tunnel {backend} {option}\n");
        Proxy::haproxy(&sections, front.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let told = Told::read("HTTP/1.1 200 OK\r\n\r\n192.0.2.1 5 2001:db8::1 443 name.example");
        let told = told.unwrap();
        assert_eq!(told.client, "192.0.2.1:5".parse().unwrap());
        assert_eq!(told.local, "[2001:db8::1]:443".parse().unwrap());
        assert_eq!(told.authority, "name.example");
        assert_eq!(
            Told::read("192.0.2.1 5 192.0.2.2 443 ").unwrap().authority,
            ""
        );
        assert_eq!(Told::read("192.0.2.1 5 192.0.2.2"), None);
        assert_eq!(Told::read(""), None);
    }
}
