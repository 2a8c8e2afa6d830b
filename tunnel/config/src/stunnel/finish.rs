//! A section that is whole becomes a service: options are checked against each other, and the
//! files that they name are read.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ciphers;
use super::draft::{Draft, Named};
use super::files::FileError;
use super::material::Material;
use super::negotiation::{self, Protocol};
use super::program::Program;
use super::psk;
use super::suites::{Group, Suite};
use super::tls_options::{groups, versions};
use super::types::{
    Accept, Failover, File, Notice, Origin, Psk, Service, TicketKeys, Version, VirtualName,
};

/// What is told about a section.
#[derive(Default)]
pub(super) struct Findings {
    pub errors: Vec<(Origin, String)>,
    pub notices: Vec<Notice>,
}

/// A section that was read.
pub(super) struct Section {
    pub name: String,
    pub origin: Origin,
    pub draft: Draft,
    /// Whether an option's line is wrong already, so that the whole may be wrong because of it.
    pub flawed: bool,
}

/// Cipher suites and what goes with them.
struct Suites {
    suites: Vec<Suite>,
    psk_only: bool,
}

impl Section {
    /// The service; what is wrong goes into `findings`, and then the service is of no use.
    ///
    /// `earlier` are the services before it, which virtual services name.
    pub fn finish(
        self,
        earlier: &[Service],
        material: &mut Material<'_>,
        findings: &mut Findings,
    ) -> Service {
        let mut check = Check {
            section: &self,
            material,
            findings,
        };
        let draft = &self.draft;
        let (cert, key) = check.identity();
        check.verification();
        let virtual_of = check.virtual_names(earlier);
        let protocol = check.negotiation(earlier);
        check.endpoints();
        let authorities = check.authorities();
        let revocation_lists = check.revocation_lists();
        let psk = check.psk();
        let suites = check.suites();
        let versions = check.versions();
        if psk.is_some() {
            check.psk_needs(versions.1, &suites.suites);
        }
        let groups = check.groups();
        let ticket_keys = check.ticket_keys();
        check.advice();
        let program = check.program();
        let connect = match check.client_names_backend() {
            true => Vec::new(),
            false => draft.connect.clone(),
        };
        // Names that are resolved for each connection can't be counted round.
        let failover = match draft.delay {
            true => Failover::Priority,
            false => draft.failover,
        };
        Service {
            client: draft.client,
            accept: match draft.is_defaults {
                true => [Accept::Inherited].to_vec(),
                false => draft.accept.clone(),
            },
            user: check.owner("setuid", &draft.user),
            group: check.owner("setgid", &draft.group),
            connect,
            program,
            retry: draft.retry,
            redirect: draft.redirect.clone(),
            delay: draft.delay,
            failover,
            cert,
            key,
            authorities,
            revocation_lists,
            check_revocation: draft.crl_file.is_some() || draft.crl_path.is_some(),
            verify: draft.verify,
            check_host: draft.check_host.clone(),
            check_email: draft.check_email.clone(),
            check_ip: draft.check_ip.clone(),
            ocsp: draft.ocsp.clone(),
            sni: negotiation::server_name(draft),
            virtual_of,
            suites: suites
                .suites
                .into_iter()
                .filter(|suite| {
                    let version = match suite.is_tls13() {
                        true => Version::Tls13,
                        false => Version::Tls12,
                    };
                    (versions.0..=versions.1).contains(&version)
                })
                .collect(),
            versions,
            psk_only: suites.psk_only,
            groups,
            server_preference: draft.ssl_options.server_preference,
            tickets: !draft.ssl_options.no_ticket,
            session_resume: draft.session_resume,
            session_cache_size: draft.session_cache_size,
            session_cache_timeout: draft.session_cache_timeout,
            ticket_keys,
            timeouts: draft.timeouts,
            debug: draft.debug,
            reset: draft.reset,
            renegotiation: draft.renegotiation,
            sockets: draft.sockets,
            psk,
            log_id: draft.log_id,
            local: draft.local,
            protocol,
            alpn: draft.spoken.alpn.clone(),
            accept_proxy: draft.spoken.accept_proxy.clone(),
            name: self.name,
            origin: self.origin,
        }
    }
}

pub(super) struct Check<'a, 'f> {
    pub(super) section: &'a Section,
    material: &'a mut Material<'f>,
    findings: &'a mut Findings,
}

impl Check<'_, '_> {
    /// What is wrong with the section as a whole.
    pub(super) fn wrong(&mut self, text: &str) {
        if self.section.flawed {
            return;
        }
        let text = format!("{}: {text}", self.whose());
        self.findings
            .errors
            .push((self.section.origin.clone(), text));
    }

    /// How errors about the section begin.
    fn whose(&self) -> String {
        match self.section.draft.is_defaults {
            true => "Inetd mode".into(),
            false => format!("Service [{}]", super::lines::shown(&self.section.name)),
        }
    }

    /// What is wrong with an option, seen from the whole section.
    fn wrong_at(&mut self, named: &Named, text: &str) {
        let text = format!("{}: {text}", self.whose());
        self.findings.errors.push((named.origin.clone(), text));
    }

    /// What is wrong with an option's line.
    pub(super) fn wrong_line(&mut self, named: &Named, text: &str) {
        let line = super::lines::shown(&named.text);
        let text = format!("\"{line}\": {text}");
        self.findings.errors.push((named.origin.clone(), text));
    }

    pub(super) fn tell(&mut self, level: u8, origin: &Origin, text: String) {
        self.findings.notices.push(Notice {
            origin: origin.clone(),
            level,
            text,
        });
    }

    fn endpoints(&mut self) {
        let draft = &self.section.draft;
        let by_client = self.client_names_backend();
        let socks = by_client && draft.spoken.protocol == Some(Protocol::Socks);
        let endpoints = [
            !draft.accept.is_empty(),
            draft.exec.is_some(),
            socks,
            !draft.connect.is_empty() || by_client && !socks,
            !draft.client && !draft.sni.is_empty(),
        ];
        let count = endpoints.into_iter().filter(|there| *there).count();
        match draft.is_defaults {
            true if count != 1 => self.wrong("Inetd mode must define one endpoint"),
            false if count != 2 => self.wrong("Each service must define two endpoints"),
            _ => {}
        }
        if draft.redirect.is_empty() {
            return;
        }
        if draft.client {
            self.wrong("\"redirect\" is unsupported in client sections");
        } else if self.forbids_redirect() {
            self.wrong("\"redirect\" is incompatible with the specified protocol negotiation");
        } else if !draft.verify.chain && !draft.verify.peer {
            self.wrong(
                "Either \"verifyChain\" or \"verifyPeer\" has to be enabled for \"redirect\" to work",
            );
        }
    }

    /// The program of the host that it leads to, or that leads to it.
    fn program(&mut self) -> Option<Program> {
        let draft = &self.section.draft;
        let exec = draft.exec.as_ref()?;
        let program = Program::new(&exec.value, draft.exec_args.as_deref(), draft.pty);
        program.map_err(|error| self.wrong_line(exec, &error)).ok()
    }

    /// Who is to own the section's UNIX sockets.
    fn owner(&mut self, option: &str, named: &Option<Named>) -> Option<String> {
        let named = named.as_ref()?;
        let is_unix = |accept: &Accept| matches!(accept, Accept::Unix(_));
        if !self.section.draft.accept.iter().any(is_unix) {
            let text =
                format!("{option} is about UNIX sockets, and no accept of this section is one");
            self.tell(5, &named.origin, text);
        }
        Some(named.value.clone())
    }

    fn verification(&mut self) {
        let draft = &self.section.draft;
        let verifies = self.verifies();
        if verifies && draft.ca_file.is_none() && draft.ca_path.is_none() {
            self.wrong("Either \"CAengine\", \"CAfile\" or \"CApath\" has to be configured");
        }
        let subjects = [
            !draft.check_host.is_empty(),
            !draft.check_email.is_empty(),
            !draft.check_ip.is_empty(),
        ];
        if !verifies && subjects.contains(&true) {
            self.wrong("Either \"verifyChain\" or \"verifyPeer\" has to be enabled");
        }
    }

    /// Server side: `sni = SERVICE:PATTERN`, of which each counts.
    fn virtual_names(&mut self, earlier: &[Service]) -> Vec<VirtualName> {
        let section = self.section;
        if section.draft.client {
            return Vec::new();
        }
        let mut names = Vec::new();
        for sni in &section.draft.sni {
            let Some((primary, pattern)) = sni.value.split_once(':') else {
                self.wrong_at(sni, "Invalid SNI parameter format");
                continue;
            };
            match earlier.iter().find(|service| service.name == primary) {
                None => self.wrong_at(sni, "SNI section name not found"),
                Some(service) if service.client => {
                    self.wrong_at(sni, "SNI primary service is a TLS client");
                }
                Some(_) => names.push(VirtualName {
                    primary: primary.into(),
                    pattern: pattern.into(),
                }),
            }
        }
        names
    }

    fn file(&mut self, named: &Named) -> Option<File> {
        match self.material.file(&named.value) {
            Ok(file) => Some(file),
            Err(error) => {
                let path = super::lines::shown(&named.value);
                let text = format!("Failed to initialize TLS context: {path}: {error}");
                self.wrong_at(named, &text);
                None
            }
        }
    }

    /// The certificate and its key, which may be in the same file. A key alone is passed over.
    fn identity(&mut self) -> (Option<File>, Option<File>) {
        let draft = &self.section.draft;
        let Some(cert) = &draft.cert else {
            if !draft.client && draft.psk_secrets.is_none() {
                self.wrong("TLS server needs a certificate");
            }
            return (None, None);
        };
        let file = self.file(cert);
        let key = match &draft.key {
            Some(key) => self.file(key),
            None => file.clone(),
        };
        (file, key)
    }

    /// Whether certificates are verified, so that what is needed for it must be there.
    pub(super) fn verifies(&self) -> bool {
        self.section.draft.verify.chain || self.section.draft.verify.peer
    }

    /// Read only when certificates are asked for, as stunnel does.
    fn authorities(&mut self) -> Vec<File> {
        let draft = &self.section.draft;
        if !draft.verify.request {
            return Vec::new();
        }
        let mut files: Vec<File> = Vec::new();
        if let Some(named) = &draft.ca_file {
            match self.material.file(&named.value) {
                Ok(file) => files.push(file),
                Err(error) => self.lacking(named, &error),
            }
        }
        if let Some(named) = &draft.ca_path {
            files.extend(self.directory(named, ""));
        }
        files
    }

    fn revocation_lists(&mut self) -> Vec<File> {
        let draft = &self.section.draft;
        let mut files: Vec<File> = Vec::new();
        if let Some(named) = &draft.crl_file {
            files.extend(self.file(named));
        }
        if let Some(named) = &draft.crl_path {
            files.extend(self.directory(named, "r"));
        }
        files
    }

    /// The files of a directory whose names are hashes, as openssl-rehash(1) makes them:
    /// `HHHHHHHH.N` for certificates, `HHHHHHHH.rN` for revocation lists. When there is none,
    /// the `.pem` files.
    fn directory(&mut self, named: &Named, prefix: &str) -> Vec<File> {
        let mut files = Vec::new();
        match self.material.directory(&named.value, prefix) {
            Ok(list) => {
                for (file, error) in list.problems {
                    let text = format!("Failed to initialize TLS context: {file}: {error}");
                    self.wrong_at(named, &text);
                }
                if list.files.is_empty() {
                    let text = format!("there is no file to be used in {}", named.value);
                    self.tell(4, &named.origin, text);
                }
                files = list.files;
            }
            Err(error) => self.lacking(named, &error),
        }
        files
    }

    /// What is needed to verify certificates can't be read: an error if they are verified.
    fn lacking(&mut self, named: &Named, error: &FileError) {
        let path = super::lines::shown(&named.value);
        if self.verifies() {
            let text = format!("Failed to initialize TLS context: {path}: {error}");
            self.wrong_at(named, &text);
        } else {
            let text = format!("{path}: {error}; nothing is verified, so it is not needed");
            self.tell(4, &named.origin, text);
        }
    }

    fn psk(&mut self) -> Option<Psk> {
        let section = self.section;
        let draft = &section.draft;
        let named = draft.psk_secrets.as_ref()?;
        if let (Some(identity), false) = (&draft.psk_identity, draft.client) {
            let text = String::from("PSK identity is ignored in the server mode");
            self.tell(5, &identity.origin, text);
        }
        let read = match self.material.file(&named.value) {
            Ok(file) => psk::read(&file.bytes),
            Err(error) => Err(format!("{}: {error}", super::lines::shown(&named.value))),
        };
        let secrets = match read {
            Ok(secrets) => secrets,
            Err(error) => {
                self.wrong_line(named, &format!("Failed to read PSK secrets: {error}"));
                return None;
            }
        };
        let mut identity = None;
        if draft.client {
            identity = match &draft.psk_identity {
                Some(named) => Some(named.value.clone()),
                None => secrets.first().map(|(first, _)| first.clone()),
            };
            if let Some(named) = &draft.psk_identity
                && !secrets.iter().any(|(known, _)| *known == named.value)
            {
                self.wrong_at(named, "No key found for the specified PSK identity");
            }
        }
        Some(Psk { secrets, identity })
    }

    /// Pre-shared keys go with TLS 1.3 alone here, and with suites that have their hash
    /// (RFC 8446 §4.2.11).
    fn psk_needs(&mut self, highest: Version, suites: &[Suite]) {
        let draft = &self.section.draft;
        let Some(keys) = &draft.psk_secrets else {
            return;
        };
        let keyed = |suite: &Suite| suite.is_tls13() && *suite != Suite::Aes256GcmSha384;
        if highest == Version::Tls12 {
            self.wrong_at(
                keys,
                "Failed to initialize TLS context: pre-shared keys are served with TLS 1.3 only, \
                 which sslVersion, sslVersionMax or options rule out",
            );
        } else if let Some(chosen) = &draft.ciphersuites
            && !suites.iter().any(keyed)
            && suites.iter().any(|suite| suite.is_tls13())
        {
            self.wrong_at(
                chosen,
                "Failed to initialize TLS context: pre-shared keys need a suite with SHA-256, such \
                 as TLS_AES_128_GCM_SHA256",
            );
        }
    }

    fn suites(&mut self) -> Suites {
        let section = self.section;
        let draft = &section.draft;
        let list = draft
            .ciphersuites
            .as_ref()
            .map(|named| (named, ciphers::select_tls13(&named.value)));
        let mut suites = match list {
            None => Suite::TLS13.to_vec(),
            Some((named, Ok((suites, missing)))) => {
                self.missing("cipher suites", &missing, named);
                suites
            }
            Some((named, Err(error))) => {
                let text = format!("Failed to initialize TLS context: {error}");
                self.wrong_at(named, &text);
                Vec::new()
            }
        };
        let list = draft
            .ciphers
            .as_ref()
            .map_or(ciphers::DEFAULT, |named| &named.value);
        let mut psk_only = false;
        match (ciphers::select(list), &draft.ciphers) {
            (Ok(selection), named) => {
                if let Some(named) = named {
                    self.missing("cipher suites", &selection.missing, named);
                }
                psk_only = selection.suites.is_empty();
                suites.extend(selection.suites);
            }
            (Err(error), Some(named)) => {
                let text = format!("Failed to initialize TLS context: {error}");
                self.wrong_at(named, &text);
            }
            (Err(error), None) => self.wrong(&error),
        }
        Suites { suites, psk_only }
    }

    /// Tells what a list names and there is not here.
    fn missing(&mut self, what: &str, names: &[impl AsRef<str>], named: &Named) {
        if names.is_empty() {
            return;
        }
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let text = format!(
            "there are no {what} here by the name of {}",
            names.join(", ")
        );
        self.tell(5, &named.origin, text);
    }

    /// The versions that are left; an empty `ciphersuites` leaves no TLS 1.3.
    fn versions(&mut self) -> (Version, Version) {
        let draft = &self.section.draft;
        let mut options = draft.ssl_options;
        options.no_tls13 |= draft
            .ciphersuites
            .as_ref()
            .is_some_and(|named| named.value.is_empty());
        match versions(draft.min, draft.max, options) {
            Ok(versions) => versions,
            Err(error) => {
                self.wrong(&error);
                (Version::Tls12, Version::Tls13)
            }
        }
    }

    /// Empty when the section says nothing: stunnel's default list is all that there is here.
    fn groups(&mut self) -> Vec<Group> {
        let section = self.section;
        let Some(named) = &section.draft.curves else {
            return Vec::new();
        };
        match groups(&named.value) {
            Ok((groups, missing)) => {
                self.missing("curves", &missing, named);
                groups
            }
            Err(error) => {
                let text = format!("Failed to initialize TLS context: {error}");
                self.wrong_at(named, &text);
                Vec::new()
            }
        }
    }

    fn ticket_keys(&mut self) -> Option<TicketKeys> {
        let section = self.section;
        let draft = &section.draft;
        let keys = [
            ("ticketKeySecret", &draft.ticket_key),
            ("ticketMacSecret", &draft.ticket_mac),
        ];
        if draft.client {
            for (option, key) in keys {
                if let Some((_, origin)) = key {
                    let text = format!("{option} is ignored in the client mode");
                    self.tell(5, origin, text);
                }
            }
            return None;
        }
        match (&draft.ticket_key, &draft.ticket_mac) {
            (Some((key, _)), Some((mac, _))) => Some(TicketKeys {
                key: key.clone(),
                mac: mac.clone(),
            }),
            (None, None) => None,
            _ => {
                self.wrong("\"ticketKeySecret\" and \"ticketMacSecret\" must be set together");
                None
            }
        }
    }

    /// stunnel's warnings about clients that trust too much, and ours about checks that are none.
    fn advice(&mut self) {
        let section = self.section;
        let draft = &section.draft;
        if draft.ocsp.asks() && !draft.verify.chain {
            let name = super::lines::shown(&section.name);
            let text = format!("Service [{name}] needs \"verifyChain\" for OCSP: nobody is asked");
            self.tell(4, &section.origin, text);
        }
        if !draft.client {
            return;
        }
        let name = super::lines::shown(&section.name);
        let subjects = draft.check_host.len() + draft.check_email.len() + draft.check_ip.len();
        if !draft.verify.chain && !draft.verify.peer {
            if draft.psk_secrets.is_none() {
                let text = format!("Service [{name}] needs authentication to prevent MITM attacks");
                self.tell(4, &section.origin, text);
            }
        } else if !draft.verify.peer && subjects == 0 {
            let text = format!("Service [{name}] uses \"verifyChain\" without subject checks");
            self.tell(4, &section.origin, text);
            let text = "Use \"checkHost\" or \"checkIP\" to restrict trusted certificates";
            self.tell(4, &section.origin, text.into());
        }
    }
}
