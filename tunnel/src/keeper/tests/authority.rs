//! An authority without the network around it: it keeps RFC 8555's order, and looks at what is in
//! force when it has names proven.

use std::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use acme::{Identifier, Response, renewal::Lifetime};
use base64ct::{Base64UrlUnpadded, Encoding};
use rcgen::{CertificateSigningRequestParams, Issuer, KeyPair};
use serde_json::{Value, json};

use super::certificates;
use crate::{
    hosting::Sites,
    keeper::{Fault, HttpError, Request},
};

const ROOT: &str = "https://ca.example";

/// How it behaves.
pub(super) enum Mood {
    Well,
    /// It answers every order with this status, and when to come again.
    Refusing(u16, Option<u64>),
    /// It answers with something else than JSON.
    Talking,
    /// It does not answer.
    Silent,
}

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) mood: Mood,
    /// Seconds that certificates live, and by how many they begin in the past.
    pub(super) lifetime: u64,
    pub(super) backdate: u64,
    /// Whether it says when to renew.
    pub(super) suggests: bool,
    /// What it wants replaced at once, by its names for certificates.
    pub(super) revoked: Vec<String>,
    /// Names that it does not believe by HTTP, or not at all.
    pub(super) unreachable: Vec<String>,
    pub(super) disbelieved: Vec<String>,
    /// Its own clock may be another one than ours: seconds to be added.
    pub(super) skew: i64,
    /// What was ordered, with the names of each.
    pub(super) orders: Vec<Ordered>,
    pub(super) requests: usize,
    nonce: usize,
    known: BTreeMap<String, Lifetime>,
    /// The accounts' keys.
    pub(super) accounts: Vec<String>,
    /// Whether it binds accounts to others and has profiles; and what the last account said.
    pub(super) is_strict: bool,
    pub(super) account: Value,
}

#[derive(Default)]
pub(super) struct Ordered {
    pub(super) names: Vec<String>,
    pub(super) payload: Value,
    proven: Vec<Option<bool>>,
    pub(super) chain: Option<String>,
}

impl Authority {
    pub(super) fn new() -> Authority {
        Authority {
            issuer: certificates::authority(),
            mood: Mood::Well,
            lifetime: 90 * 86_400,
            backdate: 0,
            suggests: false,
            revoked: Vec::new(),
            unreachable: Vec::new(),
            disbelieved: Vec::new(),
            skew: 0,
            orders: Vec::new(),
            requests: 0,
            nonce: 0,
            known: BTreeMap::new(),
            accounts: Vec::new(),
            is_strict: false,
            account: Value::Null,
        }
    }

    /// How many certificates it has given for this name.
    pub(super) fn given(&self, name: &str) -> usize {
        let given = self.orders.iter().filter(|order| order.chain.is_some());
        given.filter(|order| order.names[0] == name).count()
    }

    pub(super) fn handle(
        &mut self,
        request: &Request,
        sites: &Sites,
        unix: u64,
    ) -> Result<Response, Fault<HttpError>> {
        self.requests += 1;
        match self.mood {
            Mood::Well => {}
            Mood::Refusing(status, after) if request.url.ends_with("/order") => {
                let mut response = self.respond(status, None, json!({"detail": "not now"}));
                let after = after.map(|after| ("Retry-After".into(), after.to_string()));
                response.headers.extend(after);
                return Ok(response);
            }
            Mood::Refusing(..) => {}
            Mood::Talking => {
                let mut response = self.respond(200, None, Value::Null);
                response.body = b"<html>Welcome</html>".to_vec();
                return Ok(response);
            }
            Mood::Silent => return Err(Fault::TimedOut),
        }
        let path = request.url.strip_prefix(ROOT).expect("an address of ours");
        let at = |name: &str| format!("{ROOT}/{name}");
        if path == "/directory" {
            let mut directory = json!({"newNonce": at("nonce"), "newAccount": at("account"),
                                       "newOrder": at("order")});
            if self.suggests {
                directory["renewalInfo"] = json!(at("ari"));
            }
            if self.is_strict {
                directory["meta"] = json!({"externalAccountRequired": true,
                                           "profiles": {"shortlived": "six days"}});
            }
            return Ok(self.respond(200, None, directory));
        }
        if path == "/nonce" {
            return Ok(self.respond(200, None, Value::Null));
        }
        if let Some(id) = path.strip_prefix("/ari/") {
            return Ok(self.suggest(id, unix));
        }
        let (protected, payload) = opened(&request.body);
        assert_eq!(protected["url"], request.url);
        if protected["nonce"] != format!("nonce-{}", self.nonce) {
            let kind = "urn:ietf:params:acme:error:badNonce";
            return Ok(self.respond(400, None, json!({"type": kind})));
        }
        if path == "/account" {
            self.account = payload;
            let key = protected["jwk"].to_string();
            if !self.accounts.contains(&key) {
                self.accounts.push(key);
            }
            return Ok(self.respond(201, Some(at("account/1")), json!({})));
        }
        Ok(self.serve(path, &payload, sites, unix))
    }

    fn serve(&mut self, path: &str, payload: &Value, sites: &Sites, unix: u64) -> Response {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let number = |index: usize| parts[index].parse::<usize>().unwrap();
        let at = |path: String| format!("{ROOT}/{path}");
        if path == "/order" {
            let names = payload["identifiers"].as_array().unwrap();
            let names = names.iter().map(|name| name["value"].as_str().unwrap());
            let names: Vec<String> = names.map(ToString::to_string).collect();
            if let Some(id) = payload.get("replaces") {
                assert!(self.known.contains_key(id.as_str().unwrap()));
            }
            self.orders.push(Ordered {
                proven: vec![None; names.len()],
                names,
                payload: payload.clone(),
                chain: None,
            });
        }
        let index = match path {
            "/order" => self.orders.len() - 1,
            _ => number(1),
        };
        match parts[0] {
            "order" | "finalize" => {
                if parts[0] == "finalize" {
                    self.sign(index, payload["csr"].as_str().unwrap(), unix);
                }
                let order = &self.orders[index];
                let authorizations = 0..order.names.len();
                let authorizations = authorizations.map(|name| at(format!("authz/{index}/{name}")));
                let status = match order.chain {
                    Some(_) => "valid",
                    None => "pending",
                };
                let body = json!({
                    "status": status, "finalize": at(format!("finalize/{index}")),
                    "certificate": at(format!("certificate/{index}")),
                    "authorizations": authorizations.collect::<Vec<String>>(),
                });
                self.respond(201, Some(at(format!("order/{index}"))), body)
            }
            "authz" => {
                let name = number(2);
                let order = &self.orders[index];
                let status = match order.proven[name] {
                    None => "pending",
                    Some(true) => "valid",
                    Some(false) => "invalid",
                };
                let challenge = |kind: &str| {
                    json!({"type": kind, "token": format!("token-{index}-{name}"),
                           "url": at(format!("{kind}/{index}/{name}")),
                           "error": {"detail": "nothing there"}})
                };
                let body = json!({
                    "status": status,
                    "identifier": {"type": "dns", "value": order.names[name]},
                    "challenges": [challenge("tls-alpn-01"), challenge("http-01")],
                });
                self.respond(200, None, body)
            }
            "http-01" | "tls-alpn-01" => {
                let position = number(2);
                let name = self.orders[index].names[position].clone();
                let token = format!("token-{index}-{position}");
                let is_there = match parts[0] {
                    "http-01" => {
                        let mut tokens = sites.tokens.iter();
                        let is_ours = |found: &&_| found_token(found, &token);
                        tokens.any(|found| is_ours(&found)) && !self.unreachable.contains(&name)
                    }
                    _ => sites.proofs.iter().any(|proof| {
                        proof.name == name && proof.certificate.contains("BEGIN CERTIFICATE")
                    }),
                };
                let is_proven = is_there && !self.disbelieved.contains(&name);
                self.orders[index].proven[position] = Some(is_proven);
                self.respond(200, None, json!({}))
            }
            "certificate" => {
                let chain = self.orders[index].chain.clone().unwrap();
                let mut response = self.respond(200, None, Value::Null);
                response.body = chain.into_bytes();
                response
            }
            _ => panic!("{path}"),
        }
    }

    /// Signs what was asked for, once its names are proven.
    fn sign(&mut self, index: usize, request: &str, unix: u64) {
        let order = &mut self.orders[index];
        assert!(order.proven.iter().all(|proven| *proven == Some(true)));
        let der = Base64UrlUnpadded::decode_vec(request).unwrap();
        let request = CertificateSigningRequestParams::from_der(&der.into()).unwrap();
        let from = unix.checked_add_signed(self.skew).unwrap() - self.backdate;
        let mut params = certificates::params(&order.names, from, from + self.lifetime);
        assert_eq!(params.subject_alt_names, request.params.subject_alt_names);
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some((index as u64 + 1).into());
        let certificate = params.signed_by(&request.public_key, &self.issuer).unwrap();
        let chain = certificate.pem();
        let lifetime = Lifetime::of(&chain).unwrap();
        self.known.insert(lifetime.id.clone().unwrap(), lifetime);
        order.chain = Some(chain);
    }

    fn suggest(&mut self, id: &str, unix: u64) -> Response {
        let Some(lifetime) = self.known.get(id) else {
            return self.respond(404, None, json!({"detail": "unknown"}));
        };
        let (start, end) = match self.revoked.iter().any(|revoked| revoked == id) {
            true => (unix - 100, unix - 50),
            // Later than two thirds, to tell it from that.
            false => (lifetime.not_after - 1_000, lifetime.not_after - 500),
        };
        let date = |unix| crate::journal::Date::from_unix(unix).rfc3339().to_string();
        let body = json!({"suggestedWindow": {"start": date(start), "end": date(end)}});
        let mut response = self.respond(200, None, body);
        response.headers.push(("Retry-After".into(), "3600".into()));
        response
    }

    fn respond(&mut self, status: u16, location: Option<String>, body: Value) -> Response {
        self.nonce += 1;
        let mut headers = vec![("Replay-Nonce".into(), format!("nonce-{}", self.nonce))];
        headers.extend(location.map(|url| ("Location".into(), url)));
        Response {
            status,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    /// Whether it has given this chain.
    pub(super) fn known(&self, chain: &str) -> bool {
        let mut chains = self
            .orders
            .iter()
            .filter_map(|order| order.chain.as_deref());
        chains.any(|known| known == chain)
    }

    /// What it calls the certificate that it gave last for this name.
    pub(super) fn last_id(&self, name: &str) -> String {
        let mut given = self.orders.iter().rev();
        let order = given.find(|order| order.names[0] == name && order.chain.is_some());
        let chain = order.and_then(|order| order.chain.as_ref()).unwrap();
        Lifetime::of(chain).and_then(|life| life.id).unwrap()
    }
}

fn found_token(found: &crate::hosting::Token, token: &str) -> bool {
    found.token == token && found.authorization.starts_with(&format!("{token}."))
}

/// The parts of a signed request.
fn opened(body: &[u8]) -> (Value, Value) {
    let body: Value = serde_json::from_slice(body).unwrap();
    let part = |name: &str| {
        let bytes = Base64UrlUnpadded::decode_vec(body[name].as_str().unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    (part("protected"), part("payload"))
}

/// Whether a chain is for this name.
pub(super) fn is_for(chain: &str, name: &str) -> bool {
    let name = Identifier::parse(name).unwrap();
    Lifetime::of(chain).is_some_and(|lifetime| lifetime.covers(&name))
}
