//! Orders at an authority of one's own making, which keeps RFC 8555's rules.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use super::*;

const CHAIN: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const ROOT: &str = "https://ca.example";

/// An authority that believes every name once its proof is published and looked at twice.
struct Authority {
    /// Every so many-th request's nonce is too old.
    bad_nonce: u32,
    requests: u32,
    nonces: u32,
    last_nonce: String,
    names: Vec<String>,
    answered: Vec<bool>,
    looks: u32,
    finalized: u32,
    /// An answer in the place of this one's own, by a part of the URL.
    instead: Option<(&'static str, Response)>,
    orders: Vec<Value>,
    already_valid: bool,
}

impl Authority {
    fn new() -> Authority {
        Authority {
            bad_nonce: 0,
            requests: 0,
            nonces: 0,
            last_nonce: String::new(),
            names: Vec::new(),
            answered: Vec::new(),
            looks: 0,
            finalized: 0,
            instead: None,
            orders: Vec::new(),
            already_valid: false,
        }
    }

    fn respond(&mut self, status: u16, location: Option<String>, body: Value) -> Response {
        self.nonces += 1;
        self.last_nonce = format!("nonce-{}", self.nonces);
        let mut headers = vec![("Replay-Nonce".into(), self.last_nonce.clone())];
        headers.extend(location.map(|url| ("Location".into(), url)));
        Response {
            status,
            headers,
            body: body.to_string().into_bytes(),
        }
    }

    fn problem(&mut self, status: u16, kind: &str) -> Response {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        self.respond(status, None, json!({"type": kind, "detail": "no"}))
    }

    fn handle(&mut self, method: &str, url: &str, body: &[u8]) -> Response {
        self.requests += 1;
        assert!(self.requests < 2000, "an order without end");
        if let Some((part, response)) = &self.instead
            && url.contains(part)
        {
            return response.clone();
        }
        let path = url.strip_prefix(ROOT).unwrap_or_else(|| panic!("{url}"));
        if path == "/directory" {
            assert_eq!(method, "GET");
            let at = |name: &str| format!("{ROOT}/{name}");
            return self.respond(
                200,
                None,
                json!({"newNonce": at("nonce"), "newAccount": at("account"),
                       "newOrder": at("order"), "renewalInfo": at("ari"),
                       "meta": {"profiles": {"shortlived": "a week"}}}),
            );
        }
        if path == "/nonce" {
            return self.respond(200, None, Value::Null);
        }
        assert_eq!(method, "POST", "{url}");
        let (protected, payload) = opened(body);
        assert_eq!(protected["url"], url);
        let is_fresh = protected["nonce"] == self.last_nonce;
        if !is_fresh || (self.bad_nonce > 0 && self.requests.is_multiple_of(self.bad_nonce)) {
            return self.problem(400, "badNonce");
        }
        assert_eq!(protected.get("kid").is_none(), path == "/account", "{url}");
        self.serve(path, &payload)
    }

    fn serve(&mut self, path: &str, payload: &Value) -> Response {
        let number = |path: &str| path.rsplit('/').next()?.parse::<usize>().ok();
        if path == "/account" {
            assert_eq!(payload["termsOfServiceAgreed"], true);
            return self.respond(201, Some(format!("{ROOT}/account/7")), json!({}));
        }
        if path == "/order" {
            self.orders.push(payload.clone());
            if payload.get("replaces").is_some() {
                return self.problem(409, "alreadyReplaced");
            }
            let names = payload["identifiers"].as_array().unwrap();
            self.names = names
                .iter()
                .map(|name| name["value"].as_str().unwrap().into())
                .collect();
            self.answered = vec![self.already_valid; self.names.len()];
            let urls = (0..self.names.len()).map(|index| format!("{ROOT}/authz/{index}"));
            let order = json!({"status": "pending", "finalize": format!("{ROOT}/finalize"),
                               "authorizations": urls.collect::<Vec<_>>()});
            return self.respond(201, Some(format!("{ROOT}/order/1")), order);
        }
        if path.starts_with("/authz/") {
            let index = number(path).unwrap();
            self.looks += 1;
            let is_valid =
                self.answered[index] && (self.already_valid || self.looks.is_multiple_of(2));
            let status = if is_valid { "valid" } else { "pending" };
            let challenge = |kind: &str| {
                json!({"type": kind, "token": format!("token_{kind}-{index}"),
                       "url": format!("{ROOT}/{kind}/{index}")})
            };
            let authorization = json!({
                "status": status, "identifier": {"type": "dns", "value": self.names[index]},
                "challenges": [challenge("dns-01"), challenge("tls-alpn-01"), challenge("http-01")]
            });
            return self.respond(200, None, authorization);
        }
        if path.starts_with("/http-01/") || path.starts_with("/tls-alpn-01/") {
            assert_eq!(*payload, json!({}));
            self.answered[number(path).unwrap()] = true;
            return self.respond(200, None, json!({}));
        }
        if path == "/finalize" {
            assert!(self.answered.iter().all(|answered| *answered));
            self.finalized += 1;
            if self.finalized == 1 {
                return self.problem(403, "orderNotReady");
            }
            let request = payload["csr"].as_str().unwrap();
            assert!(Base64UrlUnpadded::decode_vec(request).unwrap().len() > 100);
            return self.respond(200, None, json!({"status": "processing"}));
        }
        if path == "/order/1" {
            let url = format!("{ROOT}/certificate");
            return self.respond(200, None, json!({"status": "valid", "certificate": url}));
        }
        assert_eq!(path, "/certificate");
        let mut response = self.respond(200, None, Value::Null);
        response.body = CHAIN.into();
        response
    }
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

fn order(names: &[&str]) -> Order {
    let key = |byte: u8| Key::draw(|bytes| bytes.fill(byte)).unwrap();
    let name = |name: &&str| Identifier::parse(name).unwrap();
    Order {
        directory: format!("{ROOT}/directory"),
        account: key(1),
        email: Some("a@example.org".into()),
        binding: None,
        key: key(2),
        identifiers: names.iter().map(name).collect(),
        proofs: vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
        profile: None,
        replaces: None,
    }
}

/// What an order has led to.
struct Way {
    end: Result<String, Error>,
    published: Vec<Challenge>,
    waited: u64,
    account: Option<String>,
}

fn go(order: Order, authority: &mut Authority) -> Way {
    let mut issue = Issue::new(order).unwrap();
    let (mut published, mut waited) = (Vec::new(), 0);
    let end = loop {
        let step = match issue.step() {
            Ok(step) => step,
            Err(error) => break Err(error),
        };
        assert_eq!(
            issue.step().as_ref(),
            Ok(&step),
            "asking twice changes nothing"
        );
        match step {
            Step::Request { method, url, body } => {
                let response = authority.handle(method, &url, &body);
                if let Err(error) = issue.answer(&response, 1_800_000_000) {
                    break Err(error);
                }
            }
            Step::Publish(challenges) => {
                published.extend(challenges);
                issue.published();
            }
            Step::Wait(seconds) => {
                waited += seconds;
                issue.waited();
            }
            Step::Done(chain) => break Ok(chain),
        }
    };
    let account = issue.account_url().map(String::from);
    Way {
        end,
        published,
        waited,
        account,
    }
}

#[test]
fn three_names_are_proven_and_certified() {
    let mut authority = Authority::new();
    let names = ["www.example.org", "example.org", "a.example"];
    let way = go(order(&names), &mut authority);
    assert_eq!(way.end.as_deref(), Ok(CHAIN));
    assert_eq!(way.account.as_deref(), Some("https://ca.example/account/7"));
    assert_eq!(way.published.len(), 3);
    let account = Key::draw(|bytes| bytes.fill(1)).unwrap();
    for (index, challenge) in way.published.iter().enumerate() {
        assert_eq!(challenge.kind, ChallengeKind::Http01);
        assert_eq!(challenge.identifier.to_string(), names[index]);
        assert_eq!(challenge.token, format!("token_http-01-{index}"));
        let authorization = account.authorization(&challenge.token);
        assert_eq!(challenge.authorization, authorization);
    }
    assert!(way.waited > 0);
}

#[test]
fn nonces_that_are_too_old_cost_a_turn_each() {
    for bad_nonce in [2, 3, 5] {
        let mut authority = Authority::new();
        authority.bad_nonce = bad_nonce;
        let way = go(order(&["a.example", "b.example"]), &mut authority);
        assert_eq!(way.end.as_deref(), Ok(CHAIN), "every {bad_nonce}th");
    }
    let mut authority = Authority::new();
    authority.bad_nonce = 1;
    let refused = go(order(&["a.example"]), &mut authority).end.unwrap_err();
    assert!(refused.to_string().contains("badNonce"), "{refused}");
}

#[test]
fn what_is_proven_already_is_not_proven_again() {
    let mut authority = Authority::new();
    authority.already_valid = true;
    let way = go(order(&["a.example", "b.example"]), &mut authority);
    assert_eq!(way.end.as_deref(), Ok(CHAIN));
    assert!(way.published.is_empty());
}

#[test]
fn a_certificate_that_was_replaced_already_is_ordered_anew() {
    let mut authority = Authority::new();
    let replaces = Some("aki.serial".to_string());
    let profile = Some("shortlived".to_string());
    let way = go(
        Order {
            replaces,
            profile,
            proofs: vec![ChallengeKind::TlsAlpn01],
            ..order(&["a.example"])
        },
        &mut authority,
    );
    assert_eq!(way.end.as_deref(), Ok(CHAIN));
    assert_eq!(way.published[0].kind, ChallengeKind::TlsAlpn01);
    assert_eq!(authority.orders[0]["replaces"], "aki.serial");
    assert!(authority.orders[1].get("replaces").is_none());
    assert_eq!(authority.orders[1]["profile"], "shortlived");
}

#[test]
fn an_account_is_bound_where_the_authority_wants_it() {
    let mut authority = Authority::new();
    let mut directory = authority.handle("GET", &format!("{ROOT}/directory"), b"");
    let mut json: Value = serde_json::from_slice(&directory.body).unwrap();
    json["meta"]["externalAccountRequired"] = json!(true);
    directory.body = json.to_string().into_bytes();
    authority.instead = Some(("/directory", directory));
    let refused = go(order(&["a.example"]), &mut authority).end;
    assert_eq!(refused, Err(Error::NeedsBinding));
    let binding = Binding {
        name: "kid-1".into(),
        secret: b"secret".to_vec().into(),
    };
    let bound = Order {
        binding: Some(binding),
        ..order(&["a.example"])
    };
    assert_eq!(go(bound, &mut authority).end.as_deref(), Ok(CHAIN));
}

#[test]
fn what_the_authority_says_is_wrong_is_told_with_when_to_come_again() {
    let cases = [
        (
            "/order",
            429,
            r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"later"}"#,
            "refuses the order: status 429, rateLimited: later",
        ),
        ("/account", 500, "oops", "refuses the account: status 500"),
        (
            "/authz/",
            200,
            r#"{"status":"invalid","identifier":{"type":"dns","value":"a.example"},
               "challenges":[{"type":"http-01","error":{"type":"urn:ietf:params:acme:error:connection",
               "detail":"refused"}}]}"#,
            "a.example is not proven: connection: refused",
        ),
        (
            "/order/1",
            200,
            r#"{"status":"invalid","error":{"detail":"bad key"}}"#,
            "refuses the certificate: no reason: bad key",
        ),
    ];
    for (part, status, body, expected) in cases {
        let mut authority = Authority::new();
        let response = Response {
            status,
            headers: vec![
                ("retry-after".into(), "300".into()),
                ("replay-nonce".into(), "x".into()),
                ("location".into(), format!("{ROOT}/order/1")),
            ],
            body: body.into(),
        };
        authority.instead = Some((part, response));
        let error = go(order(&["a.example"]), &mut authority).end.unwrap_err();
        assert!(error.to_string().contains(expected), "{part}: {error}");
        let again = (status >= 400).then_some(300);
        assert_eq!(error.retry_after(), again, "{part}");
    }
}

#[test]
fn garbage_at_any_step_is_an_error_and_no_hang() {
    for part in [
        "/directory",
        "/nonce",
        "/account",
        "/order",
        "/authz/",
        "/http-01/",
        "/finalize",
        "/order/1",
        "/certificate",
    ] {
        for body in ["", "[]", "{}", "null", "{\"status\":\"pending\"}", "\u{0}"] {
            for status in [200, 301, 404] {
                let mut authority = Authority::new();
                let response = Response {
                    status,
                    headers: Vec::new(),
                    body: body.into(),
                };
                authority.instead = Some((part, response));
                let way = go(order(&["a.example"]), &mut authority);
                // Whatever a challenge answers with success counts, and an order may stay pending for
                // a while.
                let is_pending = part == "/finalize" && body.contains("pending");
                let may_pass = status == 200 && (part == "/http-01/" || is_pending);
                assert!(way.end.is_err() || may_pass, "{part} {status} {body:?}");
            }
        }
    }
}

#[test]
fn names_that_can_not_be_proven_are_refused_at_once() {
    let error = |names: &[&str]| Issue::new(order(names)).err();
    assert_eq!(error(&[]), Some(Error::Names));
    assert_eq!(error(&["*.example.org"]), Some(Error::Wildcard));
    let many: Vec<String> = (0..101)
        .map(|number| format!("a{number}.example"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(error(&many), Some(Error::Names));
    let unknown = Order {
        profile: Some("eternal".into()),
        ..order(&["a.example"])
    };
    let refused = go(unknown, &mut Authority::new()).end.unwrap_err();
    assert!(refused.to_string().contains("shortlived"), "{refused}");
}
