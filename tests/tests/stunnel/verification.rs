//! Who is let through, who is not, and what the log says about it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use stockade_tests::backend::{Backend, Mode};
use stockade_tests::certificates::Identity;
use stockade_tests::pattern::Sum;
use stockade_tests::stunnel::authority::{Authority, Leaf, Pair, self_signed};
use stockade_tests::stunnel::debian::{Debian, GLOBALS};
use stockade_tests::stunnel::files::Files;
use stockade_tests::stunnel::ports;
use stockade_tests::stunnel::subject::{Kind, Scene};
use stockade_tests::stunnel::talk;

const HOST: &str = "www.wire.example";
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const MAIL: &str = "post@wire.example";

/// What must become of a connection.
pub enum Outcome {
    Served,
    /// Refused, and the verifying side's log says each of these.
    Refused(&'static [&'static str]),
}
use Outcome::{Refused, Served};

/// One peer and one service that verifies it.
pub struct Case {
    name: &'static str,
    /// What the verified side shows; `None`: nothing.
    shown: Option<Pair>,
    /// The verifying service's options; `{dir}` is the folder of [`Kit::write`].
    options: Cow<'static, str>,
    outcome: Outcome,
    /// Whether a client judges its server only once the handshake is over.
    late: bool,
}

impl Case {
    /// A peer that shows `shown`, and who asks about it.
    pub fn new(name: &'static str, shown: &Pair, options: String, outcome: Outcome) -> Case {
        Case {
            name,
            shown: Some(shown.clone()),
            options: options.into(),
            outcome,
            late: true,
        }
    }
}

/// The certificates of all cases.
pub struct Kit {
    authority: Authority,
    other: Authority,
    good: Pair,
    revoked: Pair,
    self_signed: Pair,
    version_1: Identity,
}

impl Kit {
    pub fn new() -> Kit {
        let authority = Authority::new("Wire authority");
        let leaf = || Leaf::named("good").dns(HOST).address(ADDRESS).email(MAIL);
        Kit {
            good: authority.issue(&leaf()),
            revoked: authority.issue(&leaf()),
            other: Authority::new("Other authority"),
            self_signed: self_signed(&Leaf::named("alone").dns(HOST)),
            version_1: Identity::version_1(),
            authority,
        }
    }

    /// Who vouches for the good ones.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Writes what the options name, hashed folders included.
    fn write(&self, files: &Files) {
        files.add("ca.pem", self.authority.certificate());
        files.add("other-ca.pem", self.other.certificate());
        files.add("good.pem", &self.good.certificate);
        files.add("revoked.pem", &self.revoked.certificate);
        files.add("alone.pem", &self.self_signed.certificate);
        files.add("version-1-ca.pem", &self.version_1.authority);
        files.add("crl.pem", self.authority.revoke(&[&self.revoked]));
        files.add("other-crl.pem", self.other.revoke(&[]));
        files.add("authorities/ca.pem", self.authority.certificate());
        files.add("authorities/other.pem", self.other.certificate());
        files.add("lists/crl.pem", self.authority.revoke(&[&self.revoked]));
        for folder in ["authorities", "lists"] {
            files.rehash(folder);
        }
    }

    fn version_1(&self) -> Pair {
        Pair::new(&self.version_1.chain, &self.version_1.key)
    }

    /// The cases that hold whichever side verifies.
    fn common(&self) -> Vec<Case> {
        let case = |name, shown: &Pair, options: &'static str, outcome| Case {
            name,
            shown: Some(shown.clone()),
            options: options.into(),
            outcome,
            late: false,
        };
        let issue = |leaf: Leaf| self.authority.issue(&leaf);
        let good = &self.good;
        vec![
            case("no verification", &self.self_signed, "", Served),
            case(
                "chain",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes",
                Served,
            ),
            case(
                "unknown authority",
                good,
                "CAfile = {dir}/other-ca.pem\nverifyChain = yes",
                Refused(&[
                    "CERT: Pre-verification error: unable to get local issuer certificate",
                    "certificate verify failed",
                ]),
            ),
            case(
                "expired",
                &issue(Leaf::named("late").dns(HOST).expired()),
                "CAfile = {dir}/ca.pem\nverifyChain = yes",
                Refused(&[
                    "CERT: Pre-verification error: certificate has expired",
                    "Rejected by CERT at depth=0: CN=late",
                ]),
            ),
            case(
                "self-signed",
                &self.self_signed,
                "CAfile = {dir}/ca.pem\nverifyChain = yes",
                Refused(&["CERT: Pre-verification error: self-signed certificate"]),
            ),
            case(
                "self-signed and trusted",
                &self.self_signed,
                "CAfile = {dir}/alone.pem\nverifyChain = yes",
                Served,
            ),
            case(
                "version 1",
                &self.version_1(),
                "CAfile = {dir}/version-1-ca.pem\nverifyChain = yes\ncheckHost = localhost",
                Served,
            ),
            case(
                "folder",
                good,
                "CApath = {dir}/authorities\nverifyChain = yes",
                Served,
            ),
            case(
                "pinned",
                good,
                "CAfile = {dir}/good.pem\nverifyPeer = yes",
                Served,
            ),
            case(
                "not pinned",
                &issue(Leaf::named("stranger").dns(HOST)),
                "CAfile = {dir}/good.pem\nverifyPeer = yes",
                Refused(&["certificate verify failed"]),
            ),
            case(
                "subject alternative name",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = www.wire.example",
                Served,
            ),
            case(
                "one of several names",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = a.example\n\
                 checkHost = www.wire.example",
                Served,
            ),
            case(
                "wildcard",
                &issue(Leaf::named("x").dns("*.wire.example")),
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = www.wire.example",
                Served,
            ),
            case(
                "common name",
                &issue(Leaf::named(HOST)),
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = www.wire.example",
                Served,
            ),
            case(
                "common name beside another name",
                &issue(Leaf::named(HOST).dns("a.example")),
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = www.wire.example",
                Refused(&["CERT: Subject checks failed", "certificate verify failed"]),
            ),
            case(
                "wrong host",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = a.example",
                Refused(&[
                    "CERT: Subject checks failed",
                    "Rejected by CERT at depth=0: CN=good",
                ]),
            ),
            case(
                "address",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckIP = 192.0.2.7",
                Served,
            ),
            case(
                "wrong address",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckIP = 192.0.2.8",
                Refused(&["CERT: Subject checks failed"]),
            ),
            case(
                "mail address",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckEmail = post@wire.example",
                Served,
            ),
            case(
                "wrong mail address",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckEmail = a@wire.example",
                Refused(&["CERT: Subject checks failed"]),
            ),
            case(
                "any of the union",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\ncheckHost = a.example\n\
                 checkIP = 192.0.2.7",
                Served,
            ),
            case(
                "not revoked",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLfile = {dir}/crl.pem",
                Served,
            ),
            case(
                "revoked",
                &self.revoked,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLfile = {dir}/crl.pem",
                Refused(&["CERT: Pre-verification error: certificate revoked"]),
            ),
            case(
                "revoked in a folder",
                &self.revoked,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLpath = {dir}/lists",
                Refused(&["CERT: Pre-verification error: certificate revoked"]),
            ),
            case(
                "missing list",
                good,
                "CAfile = {dir}/ca.pem\nverifyChain = yes\nCRLfile = {dir}/other-crl.pem",
                Refused(&["CERT: Pre-verification error: unable to get certificate CRL"]),
            ),
            case(
                "verify 0",
                &self.self_signed,
                "CAfile = {dir}/ca.pem\nverify = 0",
                Served,
            ),
            case(
                "verify 1",
                &self.self_signed,
                "CAfile = {dir}/ca.pem\nverify = 1",
                Refused(&["self-signed certificate"]),
            ),
            case(
                "verify 2",
                good,
                "CAfile = {dir}/ca.pem\nverify = 2",
                Served,
            ),
            case(
                "verify 3",
                good,
                "CAfile = {dir}/ca.pem\nverify = 3",
                Refused(&["certificate verify failed"]),
            ),
            case(
                "verify 4",
                good,
                "CAfile = {dir}/good.pem\nverify = 4",
                Served,
            ),
        ]
    }

    /// The cases that only a server has: clients that show nothing.
    fn of_clients(&self) -> Vec<Case> {
        let nothing = |name, options: &'static str, outcome| Case {
            name,
            shown: None,
            options: options.into(),
            outcome,
            late: false,
        };
        let required = || Refused(&["peer did not return a certificate"]);
        let mut cases = self.common();
        cases.extend([
            nothing("nothing asked", "", Served),
            nothing(
                "verify 1 without",
                "CAfile = {dir}/ca.pem\nverify = 1",
                Served,
            ),
            nothing(
                "verify 2 without",
                "CAfile = {dir}/ca.pem\nverify = 2",
                required(),
            ),
            nothing(
                "chain without",
                "CAfile = {dir}/ca.pem\nverifyChain = yes",
                required(),
            ),
            nothing("required", "requireCert = yes", required()),
            Case {
                name: "any certificate",
                shown: Some(self.self_signed.clone()),
                options: "requireCert = yes".into(),
                outcome: Served,
                late: false,
            },
        ]);
        cases
    }
}

/// The subject dials servers.
pub fn of_servers(kind: Kind) {
    let kit = Kit::new();
    check(kind, &kit, &kit.common(), true);
}

/// Clients dial the subject.
pub fn of_clients(kind: Kind) {
    let kit = Kit::new();
    check(kind, &kit, &kit.of_clients(), false);
}

/// All cases at once: a service for each in both configurations.
pub fn check(kind: Kind, kit: &Kit, cases: &[Case], subject_is_client: bool) {
    let scene = Scene::new(kind);
    let peers = Files::create();
    kit.write(&scene.files);
    let own_certificate = scene.files.add("own.pem", kit.good.both());
    let backend = Backend::start(scene.host(), Mode::Commands);
    let (mut conf, mut peers_conf) = (GLOBALS.to_owned(), GLOBALS.to_owned());
    let mut fronts = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (front, middle) = (ports::next(), ports::next());
        let shown = case.shown.as_ref().map_or(String::new(), |pair| {
            format!(
                "cert = {}\n",
                peers.add(&format!("{number}.pem"), pair.both())
            )
        });
        let options = case.options.replace("{dir}", &scene.files.folder());
        let (client, server) = (
            "client = yes\n",
            format!("connect = {}\n", backend.address()),
        );
        if subject_is_client {
            let host = scene.host();
            writeln!(
                conf,
                "[{number}]\n{client}accept = {front}\nconnect = {host}:{middle}\n{options}"
            )
            .expect("memory does not fail");
            writeln!(peers_conf, "[{number}]\naccept = {middle}\n{server}{shown}")
                .expect("memory does not fail");
            fronts.push(scene.subject(front));
        } else {
            let subject = scene.subject(middle);
            writeln!(
                conf,
                "[{number}]\naccept = {middle}\n{server}cert = {own_certificate}\n{options}"
            )
            .expect("memory does not fail");
            writeln!(
                peers_conf,
                "[{number}]\n{client}accept = {front}\nconnect = {subject}\n{shown}"
            )
            .expect("memory does not fail");
            fronts.push((scene.host(), front).into());
        }
    }
    let subject = scene.start(&conf);
    let _peer = Debian::start(&peers.add("stunnel.conf", peers_conf));
    for (case, front) in cases.iter().zip(fronts) {
        let (from, served) = (subject.lines(), backend.records().len());
        let answer = talk::try_down(front, 5);
        let whole = matches!(&answer, Ok(sum) if *sum == Sum::of_pattern(5, 5));
        match case.outcome {
            Served => assert!(whole, "{}: {answer:?}", case.name),
            Refused(words) => {
                assert!(!whole, "{}: served", case.name);
                for word in words {
                    println!("{}: waiting for {word:?}", case.name);
                    subject.wait_for_after(from, word);
                }
                // A server that was shaken hands with may have told its backend.
                if !(case.late && subject_is_client) {
                    assert_eq!(backend.records().len(), served, "{}", case.name);
                }
            }
        }
    }
}
