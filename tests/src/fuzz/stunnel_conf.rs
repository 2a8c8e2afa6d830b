//! stunnel's configuration file and the files that it names.

use std::collections::BTreeMap;

use stockade_config::Zeroizing;
use stockade_config::archive::{Archive, Builder};
use stockade_config::stunnel::{
    Accept, Configuration, Examination, FileError, Files, HostPorts, Negotiation, PackedFiles,
    Protocol, Recorder, Service, examine,
};

/// Where the configuration is.
const PATH: &str = "/etc/stunnel/stunnel.conf";
/// Begins a line that names the file of the bytes that follow.
const FILE: &[u8] = b"\n@@";
/// Files of one input at most.
const FILES_MOST: usize = 16;

/// The configuration, and after each line `@@PATH` the bytes of another file.
///
/// Checked: what is refused is refused with words; what is not makes services that can be served;
/// the image, which gets the files through the boot archive, reads what the host read.
pub fn stunnel_conf(bytes: &[u8]) {
    let memory = Memory::read(bytes);
    let mut recorder = Recorder::new(memory);
    let on_host = examine(PATH, &mut recorder);
    check(&on_host);

    let recording = recorder.into_files();
    let mut builder = Builder::new();
    let name = recording
        .pack(&mut builder, PATH)
        .expect("few files")
        .expect("the configuration is one of them");
    let bytes = builder.finish();
    let archive = Archive::open(&bytes).expect("just made");
    let mut files = PackedFiles::new(Some(&archive));
    assert_eq!(files.path_of(name), Some(PATH));
    let in_image = examine(PATH, &mut files);
    assert_eq!(on_host.errors, in_image.errors);
    assert_eq!(on_host.notices, in_image.notices);
    assert_eq!(on_host.report, in_image.report);
    assert_eq!(
        format!("{:?}", on_host.configuration),
        format!("{:?}", in_image.configuration)
    );
}

fn check(examination: &Examination) {
    match &examination.configuration {
        Some(configuration) => {
            assert!(examination.errors.is_empty());
            usable(configuration);
        }
        None => {
            assert!(!examination.errors.is_empty());
            for error in &examination.errors {
                assert!(!error.text.is_empty() && !error.text.contains('\n'));
            }
        }
    }
    for notice in &examination.notices {
        assert!((4..=7).contains(&notice.level) && !notice.text.is_empty());
    }
}

fn usable(configuration: &Configuration) {
    assert!(!configuration.services.is_empty());
    assert!(configuration.global.debug <= 7);
    host_ports(configuration);
    for service in &configuration.services {
        let spoken = service.protocol.as_ref().map(|spoken| spoken.protocol);
        let by_clients =
            !service.client && matches!(spoken, Some(Protocol::Connect | Protocol::Socks));
        assert_eq!(service.connect.is_empty(), by_clients);
        assert_ne!(service.accept.is_empty(), service.virtual_of.is_empty());
        assert!(service.versions.0 <= service.versions.1);
        assert!(!service.suites.is_empty() || service.psk_only);
        assert!(service.client || service.cert.is_some() || service.psk.is_some());
        assert_eq!(service.cert.is_some(), service.key.is_some());
        let verifies = service.verify.chain || service.verify.peer;
        assert!(verifies || service.redirect.is_empty() && service.check_host.is_empty());
        if let Some(spoken) = &service.protocol {
            said(service, spoken);
        }
        let mut names = service.alpn.iter();
        assert!(names.all(|name| (1..=255).contains(&name.len())));
        let mut networks = service.accept_proxy.iter();
        assert!(networks.all(|network| network.contains(network.address)));
        if let Some(psk) = &service.psk {
            let mut keys = psk.secrets.iter();
            assert!(keys.all(|(_, key)| (16..=512).contains(&key.len())));
            assert_eq!(psk.identity.is_some(), service.client);
        }
        if let Some(keys) = &service.ticket_keys {
            assert!([16, 32].contains(&keys.key.len()) && [16, 32].contains(&keys.mac.len()));
        }
    }
}

/// What only the host has gets ports that nothing else has.
fn host_ports(configuration: &Configuration) {
    let ports = HostPorts::of(configuration);
    let mut owners = BTreeMap::new();
    for (index, service) in configuration.services.iter().enumerate() {
        for (nth, accept) in service.accept.iter().enumerate() {
            let (port, owner) = match accept {
                Accept::Tcp { port, .. } if *port != 0 => {
                    assert_eq!(ports.accepted(index, nth), None);
                    (Some(*port), "ports".to_owned())
                }
                Accept::Tcp { .. } => (ports.accepted(index, nth), format!("{index} {nth}")),
                Accept::Unix(path) => (ports.accepted(index, nth), path.clone()),
                Accept::Inherited => (ports.accepted(index, nth), "inherited".to_owned()),
            };
            if let Some(port) = port {
                let before = owners.insert(port, owner.clone());
                assert!(before.is_none_or(|before| before == owner));
            }
        }
    }
    let sockets: BTreeMap<u16, &str> = ports.sockets().collect();
    assert_eq!(sockets.len(), ports.sockets().count());
    for (port, path) in sockets {
        assert!(port != 0 && ports.dialled(path) == Some(port));
    }
}

/// What is said around TLS can't break out of its line.
fn said(service: &Service, spoken: &Negotiation) {
    let texts = [&spoken.host, &spoken.username].into_iter().flatten();
    for text in texts.chain(&spoken.headers) {
        assert!(!text.is_empty() && !text.contains(char::is_control));
    }
    assert!(spoken.headers.iter().all(|header| header.contains(':')));
    assert_eq!(spoken.username.is_some(), spoken.password.is_some());
    let asks = matches!(spoken.protocol, Protocol::Connect | Protocol::Socks);
    if service.client && asks {
        let host = spoken.host.as_ref().expect("whom to ask for");
        let (_, port) = host.rsplit_once(':').expect("a port");
        assert_ne!(port.parse(), Ok(0_u16));
    }
}

/// Files in memory.
struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    fn read(mut bytes: &[u8]) -> Memory {
        let mut files = BTreeMap::new();
        let mut path = String::from(PATH);
        while files.len() < FILES_MOST {
            let end = bytes.windows(FILE.len()).position(|window| window == FILE);
            let (file, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            files.entry(path).or_insert_with(|| file.to_vec());
            let Some(rest) = rest.strip_prefix(FILE) else {
                break;
            };
            let line = rest.iter().position(|byte| *byte == b'\n');
            let (name, rest) = rest.split_at(line.unwrap_or(rest.len()));
            path = String::from_utf8_lossy(name).into_owned();
            bytes = rest.get(1..).unwrap_or_default();
        }
        Memory(files)
    }
}

impl Files for Memory {
    fn read(&mut self, path: &str) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let bytes = self.0.get(path).cloned().map(Zeroizing::new);
        bytes.ok_or_else(|| FileError::new("No such file or directory"))
    }

    fn list(&mut self, directory: &str) -> Result<Vec<String>, FileError> {
        let inside = |path: &String| {
            let directory = directory.trim_end_matches('/');
            let name = path.strip_prefix(directory)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| String::from(name))
        };
        let names: Vec<String> = self.0.keys().filter_map(inside).collect();
        match names.is_empty() {
            true => Err(FileError::new("No such file or directory")),
            false => Ok(names),
        }
    }
}
