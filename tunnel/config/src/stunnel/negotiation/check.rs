//! `protocol` and the options beside it, seen from the whole section.

use alloc::format;
use alloc::string::{String, ToString};

use super::{Authentication, Negotiation, Protocol};
use crate::stunnel::draft::{Draft, Named};
use crate::stunnel::endpoint;
use crate::stunnel::finish::Check;
use crate::stunnel::lines::shown;
use crate::stunnel::types::{Connect, Origin, Service};
use crate::types::Host;

impl Protocol {
    /// Whether the client tells where its connection goes, so that `connect` does not.
    fn names_backend(self, client: bool) -> bool {
        !client && matches!(self, Protocol::Connect | Protocol::Socks)
    }

    /// Whether a server dials before TLS, to pass the backend's greeting on.
    fn dials_first(self) -> bool {
        matches!(self, Protocol::Imap | Protocol::Pop3 | Protocol::Smtp)
    }
}

impl Check<'_, '_> {
    /// Whether the client tells where its connection goes.
    pub(in crate::stunnel) fn client_names_backend(&self) -> bool {
        let draft = &self.section.draft;
        let protocol = draft.spoken.protocol;
        protocol.is_some_and(|protocol| protocol.names_backend(draft.client))
    }

    /// Whether the protocol leaves no room for `redirect`: the backend is dialled before the
    /// client can show who it is.
    pub(in crate::stunnel) fn forbids_redirect(&self) -> bool {
        let protocol = self.section.draft.spoken.protocol;
        protocol.is_some_and(Protocol::dials_first)
    }

    pub(in crate::stunnel) fn negotiation(&mut self, earlier: &[Service]) -> Option<Negotiation> {
        let section = self.section;
        let draft = &section.draft;
        self.proxies();
        self.primary_dials(earlier);
        let Some(protocol) = draft.spoken.protocol else {
            self.without_protocol();
            return None;
        };
        self.mode(protocol);
        if !draft.client {
            self.server(protocol);
            return Some(bare(protocol));
        }
        let host = self.host(protocol);
        let authentication = self.authentication(protocol);
        let credentials = self.credentials(protocol);
        if protocol != Protocol::Connect {
            for header in &draft.spoken.headers {
                self.idle("protocolHeader", &header.origin, &of_no_use(protocol));
            }
        }
        let spoken = &draft.spoken;
        let username = spoken.username.as_ref().filter(|_| credentials);
        let password = spoken.password.as_ref().filter(|_| credentials);
        let headers = spoken.headers.iter().map(|header| header.value.clone());
        Some(Negotiation {
            protocol,
            host,
            username: username.map(|name| name.value.clone()),
            password: password.map(|(word, _)| word.clone()),
            authentication,
            headers: headers.collect(),
        })
    }

    /// stunnel's words for what it does not speak, nor do we.
    fn mode(&mut self, protocol: Protocol) {
        let client = self.section.draft.client;
        let mode = match protocol {
            Protocol::Proxy | Protocol::Proxy2 if client => "client",
            Protocol::Ldap | Protocol::Nntp if !client => "server",
            _ => return,
        };
        let name = protocol.name();
        self.wrong(&format!(
            "The '{name}' protocol is not supported in the {mode} mode"
        ));
    }

    fn server(&mut self, protocol: Protocol) {
        let section = self.section;
        self.each_option(|check, option, origin| {
            check.tell(5, origin, format!("{option} is ignored in the server mode"));
        });
        if protocol == Protocol::Connect && !section.draft.connect.is_empty() {
            let text = format!(
                "connect is ignored: with the '{}' protocol, clients say where they want to go",
                protocol.name()
            );
            self.tell(5, &section.origin, text);
        }
        let by_key = section.draft.psk_secrets.is_some() && section.draft.cert.is_none();
        if protocol.names_backend(false) && !by_key && !self.verifies() {
            let name = shown(&section.name);
            let text = format!("Service [{name}] needs authentication: it leads anybody anywhere");
            self.tell(4, &section.origin, text);
        }
        let virtual_service = !section.draft.sni.is_empty();
        let clear = protocol.dials_first() || protocol == Protocol::Pgsql;
        if virtual_service && (clear || protocol == Protocol::Connect) {
            let text = format!(
                "the '{}' protocol of a secondary service is ignored: it is spoken before TLS, \
                 by the primary service",
                protocol.name()
            );
            self.tell(4, &section.origin, text);
        }
    }

    /// stunnel(8), "sni": "The connect option of the secondary service is ignored when the protocol
    /// option is specified".
    fn primary_dials(&mut self, earlier: &[Service]) {
        let section = self.section;
        if section.draft.client {
            return;
        }
        for sni in &section.draft.sni {
            let primary = sni.value.split_once(':').map(|(primary, _)| primary);
            let service = earlier
                .iter()
                .find(|service| Some(service.name.as_str()) == primary);
            let spoken = service.and_then(|service| service.protocol.as_ref());
            let spoken = spoken.map(|spoken| spoken.protocol);
            if let (Some(service), Some(protocol)) = (service, spoken)
                && protocol.dials_first()
            {
                let text = format!(
                    "connect is ignored: with the '{}' protocol, service [{}] has connected \
                     before the name is known",
                    protocol.name(),
                    service.name
                );
                self.tell(4, &sni.origin, text);
            }
        }
    }

    /// Proxies come to where connections are accepted.
    fn proxies(&mut self) {
        let section = self.section;
        if let (Some(origin), false) = (
            &section.draft.spoken.proxies_at,
            section.draft.client || section.draft.sni.is_empty(),
        ) {
            let text = "acceptProxy is ignored: the primary service's counts";
            self.tell(5, origin, text.into());
        }
    }

    fn without_protocol(&mut self) {
        self.each_option(|check, option, origin| {
            // A client asks for that host, as stunnel does.
            if option != "protocolHost" || !check.section.draft.client {
                check.idle(option, origin, "there is no protocol");
            }
        });
    }

    fn each_option(&mut self, mut found: impl FnMut(&mut Self, &'static str, &Origin)) {
        let section = self.section;
        let spoken = &section.draft.spoken;
        let at = |named: &Option<Named>| named.as_ref().map(|named| named.origin.clone());
        let options = [
            ("protocolHost", at(&spoken.host)),
            ("protocolUsername", at(&spoken.username)),
            (
                "protocolPassword",
                spoken.password.as_ref().map(|(_, origin)| origin.clone()),
            ),
            ("protocolAuthentication", at(&spoken.authentication)),
            (
                "protocolHeader",
                spoken.headers.first().map(|header| header.origin.clone()),
            ),
        ];
        for (option, origin) in options {
            if let Some(origin) = origin {
                found(self, option, &origin);
            }
        }
    }

    fn idle(&mut self, option: &str, origin: &Origin, reason: &str) {
        let text = format!("{option} has no effect: {reason}");
        self.tell(5, origin, text);
    }

    /// Where a proxy is to lead, `HOST:PORT`; for others the text as it is.
    fn host(&mut self, protocol: Protocol) -> Option<String> {
        let section = self.section;
        let proxied = matches!(protocol, Protocol::Connect | Protocol::Socks);
        let Some(named) = &section.draft.spoken.host else {
            if proxied {
                let expected = "expected HOST:PORT, which the proxy is asked for";
                self.wrong(&format!("protocolHost not specified: {expected}"));
            }
            return None;
        };
        if !proxied {
            return Some(named.value.clone());
        }
        let has_host = named.value.contains(':');
        match endpoint::connect("protocolHost", &named.value) {
            Ok(Connect::Tcp { host, port, .. }) if has_host => Some(match host {
                Host::Address(address) => core::net::SocketAddr::new(address, port).to_string(),
                Host::Name(name) => format!("{name}:{port}"),
            }),
            Ok(_) => {
                self.wrong_line(named, "protocolHost needs a port: expected HOST:PORT");
                None
            }
            Err(error) => {
                self.wrong_line(named, &error);
                None
            }
        }
    }

    fn authentication(&mut self, protocol: Protocol) -> Authentication {
        let section = self.section;
        let default = match protocol {
            Protocol::Smtp => Authentication::Plain,
            _ => Authentication::Basic,
        };
        let Some(named) = &section.draft.spoken.authentication else {
            return default;
        };
        let is = |name: &str| named.value.eq_ignore_ascii_case(name);
        let (method, instead) = match protocol {
            Protocol::Connect if is("ntlm") => {
                self.wrong_line(
                    named,
                    "NTLM is not spoken here: use \"protocolAuthentication = basic\" if the proxy \
                     takes it, or connect to a proxy such as cntlm, which speaks NTLM to that one",
                );
                return default;
            }
            Protocol::Connect => (Authentication::Basic, (!is("basic")).then_some("basic")),
            Protocol::Smtp if is("login") => (Authentication::Login, None),
            Protocol::Smtp => (Authentication::Plain, (!is("plain")).then_some("plain")),
            _ => {
                let reason = of_no_use(protocol);
                self.idle("protocolAuthentication", &named.origin, &reason);
                return default;
            }
        };
        if let Some(instead) = instead {
            let reason = format!("the '{}' protocol uses {instead}", protocol.name());
            self.idle("protocolAuthentication", &named.origin, &reason);
        }
        method
    }

    /// Whether a name and a password are there, and can be used.
    fn credentials(&mut self, protocol: Protocol) -> bool {
        let section = self.section;
        let spoken = &section.draft.spoken;
        let username = spoken.username.as_ref().map(|name| &name.origin);
        let password = spoken.password.as_ref().map(|(_, origin)| origin);
        if !matches!(protocol, Protocol::Connect | Protocol::Smtp) {
            let reason = of_no_use(protocol);
            for (option, origin) in [
                ("protocolUsername", username),
                ("protocolPassword", password),
            ] {
                if let Some(origin) = origin {
                    self.idle(option, origin, &reason);
                }
            }
            return false;
        }
        match (username, password) {
            (Some(origin), None) => {
                self.idle("protocolUsername", origin, "there is no protocolPassword");
                false
            }
            (None, Some(origin)) => {
                self.idle("protocolPassword", origin, "there is no protocolUsername");
                false
            }
            _ => {
                if let Some(name) = &spoken.username
                    && protocol == Protocol::Connect
                    && name.value.contains(':')
                {
                    // RFC 7617 §2.
                    self.wrong_line(name, "a user name with a colon can't be used with basic");
                }
                true
            }
        }
    }
}

/// The server name that a client sends, as far as options tell: as in stunnel, a host in
/// `protocolHost` counts before that in `connect`, whatever the protocol. (Without a port, it is
/// none that could be connected to.)
pub(in crate::stunnel) fn server_name(draft: &Draft) -> Option<String> {
    if !draft.client {
        return None;
    }
    if let Some(sni) = draft.sni.last() {
        return Some(sni.value.clone());
    }
    let (host, _) = draft.spoken.host.as_ref()?.value.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    Some(bare.unwrap_or(host).into())
}

fn of_no_use(protocol: Protocol) -> String {
    format!("the '{}' protocol has no use for it", protocol.name())
}

/// A server needs no more than the name.
fn bare(protocol: Protocol) -> Negotiation {
    Negotiation {
        protocol,
        host: None,
        username: None,
        password: None,
        authentication: Authentication::Basic,
        headers: alloc::vec::Vec::new(),
    }
}
