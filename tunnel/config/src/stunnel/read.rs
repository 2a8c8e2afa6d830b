//! The second step: lines become global options and sections.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::draft::{Draft, Given};
use super::files::Files;
use super::finish::{Findings, Section};
use super::lines::{self, Line, shown};
use super::material::Material;
use super::table::{self, Action, Row, Taken};
use super::types::{
    Accept, Configuration, Connect, Disposition, Global, Notice, Origin, Reported, Service,
};
use super::{Errors, Examination};
use crate::types::Host;

/// Longest configuration file in bytes.
pub(super) const MAX_FILE: usize = 1024 * 1024;
/// Most options in all files together.
const MAX_OPTIONS: usize = 16 * 1024;
/// Most sections.
const MAX_SERVICES: usize = 512;
/// Most memory of all services' texts and keys together, in bytes: what stands before the first
/// section is there once for each.
const MAX_SIZE: usize = 8 * 1024 * 1024;
/// How deep files may include others.
const MAX_DEPTH: usize = 8;
/// Most files that are included.
const MAX_INCLUDED: usize = 256;

/// Reads a configuration.
pub(super) struct Reader<'f> {
    material: Material<'f>,
    global: Global,
    /// What is said before the first section.
    defaults: Draft,
    section: Option<Section>,
    services: Vec<Service>,
    sections: usize,
    /// The services' texts and keys together, in bytes.
    size: usize,
    options: usize,
    included: usize,
    /// Whether a line before the first section is wrong.
    flawed: bool,
    /// Whether a bound was passed, so that reading ends.
    ended: bool,
    errors: Vec<(Origin, String)>,
    notices: Vec<Notice>,
    report: Vec<Reported>,
}

impl<'f> Reader<'f> {
    pub fn new(files: &'f mut dyn Files) -> Reader<'f> {
        Reader {
            material: Material::new(files),
            global: Global::default(),
            defaults: Draft {
                is_defaults: true,
                ..Draft::default()
            },
            section: None,
            services: Vec::new(),
            sections: 0,
            size: 0,
            options: 0,
            included: 0,
            flawed: false,
            ended: false,
            errors: Vec::new(),
            notices: Vec::new(),
            report: Vec::new(),
        }
    }

    /// Reads the file and everything that it names.
    pub fn run(mut self, path: &str) -> Examination {
        let file: Arc<str> = Arc::from(path);
        let last = match self.material.text(path, MAX_FILE) {
            Ok(bytes) => {
                self.lines(&file, &bytes, 0);
                bytes.split(|byte| *byte == b'\n').count()
            }
            Err(error) => {
                let origin = Origin { file, line: 0 };
                let text = format!("Cannot open configuration file: {error}");
                self.errors.push((origin, text));
                return self.examination();
            }
        };
        self.close_section();
        if self.sections == 0 && self.errors.is_empty() {
            let line = u32::try_from(last).unwrap_or(u32::MAX);
            self.inherited(Origin { file, line });
        }
        self.paths();
        self.examination()
    }

    /// stunnel leaves the directory that it is started in, unless it stays in the foreground.
    fn paths(&mut self) {
        if self.global.foreground {
            return;
        }
        let paths = [
            ("output", "Log file", &self.global.output),
            ("pid", "Pid file", &self.global.pid),
        ];
        for (option, what, path) in paths {
            let relative = path.as_ref().is_some_and(|path| !path.starts_with('/'));
            let given = self.report.iter().rfind(|given| given.option == option);
            if let (true, Some(given)) = (relative, given) {
                let text = format!("Global options: {what} must include full path name");
                self.errors.push((given.origin.clone(), text));
            }
        }
    }

    fn examination(self) -> Examination {
        let mut errors = Errors::default();
        for (origin, text) in self.errors {
            errors.push(origin, text);
        }
        let mut global = self.global;
        global.debug = self.defaults.debug;
        global.facility = self.defaults.facility.unwrap_or_default();
        global.service = self.defaults.service.unwrap_or(global.service);
        let configuration = errors.is_empty().then(|| Configuration {
            global,
            services: self.services,
            notices: self.notices.clone(),
            report: self.report.clone(),
        });
        Examination {
            report: self.report,
            errors,
            notices: self.notices,
            configuration,
        }
    }

    /// stunnel serves its standard input then, which an image has not.
    /// Without a section, the one client is inetd's (stunnel(8), "INETD MODE").
    fn inherited(&mut self, origin: Origin) {
        if !self.defaults.accept.is_empty() {
            let text = "Inetd mode: 'accept' option is only allowed in a [section]";
            return self.errors.push((origin, text.into()));
        }
        let name = self.defaults.service.clone();
        self.section = Some(Section {
            name: name.unwrap_or_else(|| self.global.service.clone()),
            origin,
            draft: self.defaults.clone(),
            flawed: self.flawed,
        });
        self.close_section();
    }

    fn lines(&mut self, file: &Arc<str>, bytes: &[u8], depth: usize) {
        // A key that was given as a configuration is not repeated in errors.
        let hidden = bytes
            .windows(PEM.len())
            .any(|window| window == PEM.as_bytes());
        for (line, meaning) in lines::lines(bytes) {
            if self.ended {
                return;
            }
            let origin = Origin {
                file: Arc::clone(file),
                line,
            };
            self.options += 1;
            if self.options > MAX_OPTIONS {
                self.end(origin, format!("more than {MAX_OPTIONS} lines"));
                return;
            }
            match meaning {
                Line::Section(name) => self.open_section(name, origin),
                Line::Option { name, value, text } => {
                    let text = if hidden { "…" } else { text };
                    self.option(name, value, text, &origin, depth);
                }
                Line::Stray(text) => {
                    let text = if hidden { "…" } else { text };
                    self.wrong(&origin, text, "No '=' found");
                }
                Line::NotText => self.broken(&origin, "not UTF-8 text".into()),
                Line::TooLong => {
                    let text = format!("longer than {} bytes", lines::MAX_LINE);
                    self.broken(&origin, text);
                }
            }
        }
    }

    /// What is wrong with a line.
    fn wrong(&mut self, origin: &Origin, text: &str, error: &str) {
        self.broken(origin, format!("\"{}\": {error}", shown(text)));
    }

    fn broken(&mut self, origin: &Origin, text: String) {
        self.errors.push((origin.clone(), text));
        match &mut self.section {
            Some(section) => section.flawed = true,
            None => self.flawed = true,
        }
    }

    fn end(&mut self, origin: Origin, text: String) {
        self.errors.push((origin, text));
        self.ended = true;
    }

    fn open_section(&mut self, name: &str, origin: Origin) {
        self.close_section();
        if self.ended {
            return;
        }
        self.sections += 1;
        if self.sections > MAX_SERVICES {
            self.end(origin, format!("more than {MAX_SERVICES} services"));
            return;
        }
        self.section = Some(Section {
            name: name.into(),
            origin,
            draft: Draft {
                is_defaults: false,
                ..self.defaults.clone()
            },
            flawed: self.flawed,
        });
    }

    fn close_section(&mut self) {
        let Some(section) = self.section.take() else {
            return;
        };
        let mut findings = Findings::default();
        let service = section.finish(&self.services, &mut self.material, &mut findings);
        self.size += size(&service);
        if self.size > MAX_SIZE {
            let text = format!("the services together are larger than {MAX_SIZE} bytes");
            self.end(service.origin, text);
            return;
        }
        self.services.push(service);
        self.errors.extend(findings.errors);
        for notice in findings.notices {
            // Defaults are told once, not for each section.
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }

    fn option(&mut self, name: &str, value: &str, text: &str, origin: &Origin, depth: usize) {
        let row = table::find(name).filter(|row| self.section.is_none() || !row.is_global());
        let Some(row) = row else {
            self.wrong(origin, text, "Specified option name is not valid here");
            return;
        };
        let secret;
        let (text, shown_value) = if row.is_secret() {
            secret = format!("{}=…", row.name);
            (secret.as_str(), "…")
        } else {
            (text, value)
        };
        let given = Given {
            option: row.name,
            value,
            text,
            origin,
        };
        match self.set(row, &given, depth) {
            Ok(effect) => self.settle(row, &given, shown_value, effect),
            Err(error) => {
                self.wrong(origin, text, &error);
                let disposition = Disposition::Refused(error);
                self.report(row, shown_value, origin, disposition);
            }
        }
    }

    fn set(&mut self, row: &Row, given: &Given<'_>, depth: usize) -> Result<Taken, String> {
        let draft = match &mut self.section {
            Some(section) => &mut section.draft,
            None => &mut self.defaults,
        };
        match row.action {
            Action::Global(set) => set(&mut self.global, given),
            Action::Service(set) => set(draft, given),
            Action::GlobalWithoutEffect(reason) | Action::WithoutEffect(reason) => {
                Ok(Taken::WithoutEffect(reason.into()))
            }
            Action::GlobalRefused(reason) | Action::Refused(reason) => {
                Ok(Taken::Refused(reason.into()))
            }
            Action::Include => self.include(given.value, depth),
        }
    }

    fn settle(&mut self, row: &Row, given: &Given<'_>, value: &str, effect: Taken) {
        let origin = given.origin;
        let disposition = match effect {
            Taken::Honoured => Disposition::Honoured,
            Taken::Told(level, text) => {
                self.tell(level, origin, format!("\"{}\": {text}", shown(given.text)));
                Disposition::Honoured
            }
            Taken::WithoutEffect(reason) => {
                let text = format!("\"{}\" has no effect: {reason}", shown(given.text));
                self.tell(5, origin, text);
                Disposition::WithoutEffect(reason)
            }
            Taken::Refused(reason) => {
                self.wrong(origin, given.text, &reason);
                Disposition::Refused(reason)
            }
        };
        self.report(row, value, origin, disposition);
    }

    fn tell(&mut self, level: u8, origin: &Origin, text: String) {
        self.notices.push(Notice {
            origin: origin.clone(),
            level,
            text,
        });
    }

    fn report(&mut self, row: &Row, value: &str, origin: &Origin, disposition: Disposition) {
        self.report.push(Reported {
            origin: origin.clone(),
            service: self.section.as_ref().map(|section| section.name.clone()),
            option: row.name,
            value: shown(value).to_string(),
            disposition,
        });
    }

    /// Reads every file of a directory in its place, in the order of their names; sections that
    /// begin there go on after it.
    fn include(&mut self, directory: &str, depth: usize) -> Result<Taken, String> {
        if depth >= MAX_DEPTH {
            self.ended = true;
            return Err(format!(
                "files include each other more than {MAX_DEPTH} deep"
            ));
        }
        let names = self
            .material
            .names(directory)
            .map_err(|error| format!("Failed to include directory: {error}"))?;
        for name in names {
            if self.ended {
                break;
            }
            self.included += 1;
            if self.included > MAX_INCLUDED {
                self.ended = true;
                return Err(format!("more than {MAX_INCLUDED} files are included"));
            }
            let path = format!("{}/{name}", directory.trim_end_matches('/'));
            let bytes = self
                .material
                .text(&path, MAX_FILE)
                .map_err(|error| format!("Failed to include a file: {path}: {error}"))?;
            self.lines(&Arc::from(path.as_str()), &bytes, depth + 1);
        }
        Ok(Taken::Honoured)
    }
}

/// The memory of a service's texts and keys in bytes, about.
fn size(service: &Service) -> usize {
    let name = |host: &Host| match host {
        Host::Address(_) => 0,
        Host::Name(name) => name.len(),
    };
    let accept = |accept: &Accept| match accept {
        Accept::Tcp { host, text, .. } => host.as_ref().map_or(0, name) + text.len(),
        Accept::Unix(path) => path.len(),
        Accept::Inherited => 0,
    };
    let connect = |connect: &Connect| match connect {
        Connect::Tcp { host, text, .. } => name(host) + text.len(),
        Connect::Unix(path) => path.len(),
    };
    let entries = [
        sum(&service.accept, accept),
        sum(&service.connect, connect),
        sum(&service.redirect, connect),
        sum(&service.check_host, String::len),
        sum(&service.check_email, String::len),
        sum(&service.check_ip, |_| 0),
        sum(&service.virtual_of, |name| {
            name.primary.len() + name.pattern.len()
        }),
        sum(&service.authorities, |file| file.path.len()),
        sum(&service.revocation_lists, |file| file.path.len()),
    ];
    let keys = service.psk.as_ref().map_or(0, |psk| {
        sum(&psk.secrets, |(identity, key)| identity.len() + key.len())
    });
    let sni = service.sni.as_ref().map_or(0, String::len);
    let owner = [&service.user, &service.group];
    let owner = owner.map(|name| name.as_ref().map_or(0, String::len));
    entries.into_iter().sum::<usize>()
        + owner.into_iter().sum::<usize>()
        + keys
        + sni
        + spoken(service)
        + service.name.len()
}

/// The same of what is said around TLS.
fn spoken(service: &Service) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let protocol = service.protocol.as_ref().map_or(0, |spoken| {
        let password = spoken.password.as_ref().map_or(0, |word| word.len());
        text(&spoken.host) + text(&spoken.username) + password + sum(&spoken.headers, String::len)
    });
    protocol + sum(&service.alpn, Vec::len) + sum(&service.accept_proxy, |_| 0)
}

/// The entries of a list, with what they hold elsewhere.
fn sum<T>(list: &[T], held: impl Fn(&T) -> usize) -> usize {
    list.iter().map(|entry| size_of::<T>() + held(entry)).sum()
}

/// How PEM sections begin (RFC 7468 §2).
const PEM: &str = "-----BEGIN";
