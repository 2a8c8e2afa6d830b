//! From what is to be served by name to services.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use config::{Accept, Zeroizing};
use tls::{Identity, ServerOptions};

use super::{Proof, Site, Sites, http};
use crate::{
    journal::{Channel, LogId},
    service::{Answers, Backend, Listen, Service, Tls, VirtualHost, conf::Ground},
};

/// TLS sessions that are kept for a host's clients which take no tickets. Nearly all take them, and
/// they cost nothing.
const KEPT_SESSIONS: usize = 16;

/// Heap that a host takes besides its texts and the sessions that are kept for it, in bytes: its
/// certificates and key as they are used, TLS options, the service. 4 KiB were measured, with two
/// certificates and a key on P-256 or of RSA.
const HOST: usize = 8 * 1024;

/// The protocol of an authority that has a name proven (RFC 8737 §4).
const ACME_TLS: &[u8] = b"acme-tls/1";

/// What stays the same from one state to the next: the TLS of hosts whose certificates do, with the
/// keys of their clients' tickets.
#[derive(Default)]
pub struct Kept {
    hosts: BTreeMap<String, KeptHost>,
    /// How often TLS was made.
    made: usize,
}

struct KeptHost {
    chain: Arc<str>,
    key: Arc<Zeroizing<String>>,
    alpn: Vec<Vec<u8>>,
    /// What was made of them, or why nothing could be.
    made: Result<tls::Server, String>,
}

impl Kept {
    /// How often a host's TLS was made of its texts, in all.
    pub fn made(&self) -> usize {
        self.made
    }
}

/// Heap that the services of such a state take, in bytes, sessions that are kept excepted.
pub fn memory(sites: &Sites) -> usize {
    let bytes = |chain: &str, key: &str| 2 * (chain.len() + key.len()) + HOST;
    let hosts = sites.hosts.iter();
    let hosts = hosts.map(|site| bytes(&site.chain, &site.key));
    let proofs = sites.proofs.iter();
    let proofs = proofs.map(|proof| bytes(&proof.certificate, &proof.key));
    hosts.chain(proofs).sum()
}

/// Makes services of a state: where https is, one that hands clients over to those of the hosts; one
/// that answers HTTP; and one that takes notices. Returns also every host that is not served, with the reason.
pub fn services(
    sites: &Sites,
    kept: &mut Kept,
    ground: &Ground,
) -> (Vec<Service>, Vec<(String, String)>) {
    let mut builder = Builder {
        ground,
        services: Vec::new(),
        left_out: Vec::new(),
    };
    if let Some(https) = sites.https {
        builder.https(sites, https, kept);
    }
    if let Some(accept) = sites.http {
        let answers = http::Answers {
            tokens: sites.tokens.clone(),
            https_port: sites.https.map_or(443, |https| https.port),
        };
        let tls = Tls::Answered(Answers::Http(answers));
        builder.add("http", Some(accept), tls, Backend::none());
    }
    if let Some(notices) = &sites.notices {
        let tls = Tls::Answered(Answers::Notices(notices.clone()));
        builder.add("notices", Some(notices.accept), tls, Backend::none());
    }
    (builder.services, builder.left_out)
}

struct Builder<'a> {
    ground: &'a Ground,
    services: Vec<Service>,
    left_out: Vec<(String, String)>,
}

impl Builder<'_> {
    fn https(&mut self, sites: &Sites, https: Accept, kept: &mut Kept) {
        let front = self.add("https", Some(https), Tls::Others, Backend::none());
        let mut proofs = Vec::new();
        for proof in &sites.proofs {
            match self.prove(proof) {
                Ok(tls) => {
                    let name = format!("acme-tls/1 {}", proof.name);
                    let index = self.add(&name, None, tls, Backend::none());
                    let host = VirtualHost::of_host(&proof.name, index);
                    proofs.push(host.for_protocols(&[ACME_TLS.to_vec()]));
                }
                Err(why) => self.left_out.push((proof.name.clone(), why)),
            }
        }
        let (mut exact, mut wildcards) = (Vec::new(), Vec::new());
        let mut taken = BTreeSet::new();
        let mut default = None;
        let mut next = BTreeMap::new();
        for site in &sites.hosts {
            let Some(own) = site.names.first() else {
                continue;
            };
            let names = site.names.iter();
            let names: Vec<&String> = names.filter(|name| taken.insert(*name)).collect();
            if names.is_empty() {
                let why = "another host has its name".to_string();
                self.left_out.push((own.clone(), why));
                continue;
            }
            let host = self.host(site, own, kept);
            match &host.made {
                Ok(server) => {
                    let server = Tls::Server(server.clone());
                    let index = self.add(own, None, server, Backend::new(&site.backend));
                    if let Some(service) = self.services.get_mut(index) {
                        service.requests = site.requests.clone();
                    }
                    for name in names {
                        let list = match name.starts_with("*.") {
                            true => &mut wildcards,
                            false => &mut exact,
                        };
                        list.push(VirtualHost::of_host(name, index));
                    }
                    let is_default = |name: &String| site.has(name);
                    if default.is_none() && sites.default_host.as_ref().is_some_and(is_default) {
                        default = Some(index);
                    }
                }
                Err(why) => self.left_out.push((own.clone(), why.clone())),
            }
            next.insert(own.clone(), host);
        }
        kept.hosts = next;
        if let (None, Some(name)) = (default, &sites.default_host) {
            let why =
                "the default host is not served: clients that ask for no known name are refused";
            self.left_out.push((name.clone(), why.into()));
        }
        let others = default.map(VirtualHost::of_others);
        if let Some(front) = self.services.get_mut(front) {
            let hosts = proofs.into_iter().chain(exact).chain(wildcards);
            front.virtual_hosts = hosts.chain(others).collect();
        }
    }

    /// A host's TLS: what there is already, if it was made of the same.
    fn host(&self, site: &Site, name: &str, kept: &mut Kept) -> KeptHost {
        let is_same = |before: &KeptHost| {
            before.chain == site.chain && before.key == site.key && before.alpn == site.alpn
        };
        let made = match kept.hosts.remove(name).filter(is_same) {
            Some(before) => before.made,
            None => {
                kept.made += 1;
                self.make(site, name)
            }
        };
        KeptHost {
            chain: site.chain.clone(),
            key: site.key.clone(),
            alpn: site.alpn.clone(),
            made,
        }
    }

    fn make(&self, site: &Site, name: &str) -> Result<tls::Server, String> {
        let identity = self.identity(&site.chain, &site.key)?;
        for warning in identity.warnings(self.ground.clock.now()) {
            log::warn!("{name}: {warning}");
        }
        let options = ServerOptions {
            alpn: site.alpn.clone(),
            session_cache: KEPT_SESSIONS,
            session_context: name.as_bytes().to_vec(),
            ..ServerOptions::new(identity, self.ground.clock.clone())
        };
        tls::Server::new(options).map_err(|error| error.to_string())
    }

    fn prove(&self, proof: &Proof) -> Result<Tls, String> {
        let identity = self.identity(&proof.certificate, &proof.key)?;
        let options = ServerOptions {
            alpn: vec![ACME_TLS.to_vec()],
            resumption: false,
            ..ServerOptions::new(identity, self.ground.clock.clone())
        };
        let server = tls::Server::new(options).map_err(|error| error.to_string())?;
        Ok(Tls::Proof(server))
    }

    fn identity(&self, chain: &str, key: &str) -> Result<Identity, String> {
        let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes(), self.ground.provider);
        identity.map_err(|error| error.to_string())
    }

    /// Adds a service; its place.
    fn add(&mut self, name: &str, accept: Option<Accept>, tls: Tls, backend: Backend) -> usize {
        let listeners = accept.map(|accept| Listen {
            // What is published has its addresses on the host.
            local: accept.host.filter(|_| !self.ground.published),
            port: accept.port,
        });
        let channel = Channel::new(name, self.ground.level, LogId::Sequential);
        let kept_sessions = match tls {
            Tls::Server(_) => KEPT_SESSIONS,
            _ => 0,
        };
        let mut service = Service::new(channel, listeners.into_iter().collect(), tls, backend);
        service.kept_sessions = kept_sessions;
        self.services.push(service);
        self.services.len() - 1
    }
}
