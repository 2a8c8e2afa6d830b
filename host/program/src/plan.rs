//! What a run will be: which network, and which words join the user's own.

use std::fs;
use std::path::{Path, PathBuf};

use stockade_config::command_line::mentions;
use stockade_config::hosting::NOTICES_PORT;
use stockade_config::stunnel::Notice;
use stockade_config::{Config, Host, Ipv4, ServiceSource, Zeroizing};
use stockade_host::conf::Published;
use stockade_host::network::{self, Forward, GATEWAY_IPV4, HostProgram, HostSocket};
use stockade_host::pki::Development;

use crate::Result;
use crate::cli::{Net, Run};
use crate::conf::Conf;
use crate::packing::{self, Packed};
use crate::reading::Refused;

/// The published port, when none is named.
const DEFAULT_PORT: u16 = 8443;

/// The same for HTTP in the clear, beside hosts by name.
const DEFAULT_HTTP_PORT: u16 = 8080;

/// The bridge, when none is named.
const DEFAULT_BRIDGE: &str = "br0";

/// Names of the certificate's files in the boot archive.
const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// A certificate with its key.
pub(crate) enum Certificate {
    /// Ours, for `localhost`.
    Development(Development),
    /// Files that the user named.
    Files { certificate: PathBuf, key: PathBuf },
    /// The user's words say where it is.
    Words,
}

/// A run, before anything of it has started.
pub(crate) struct Plan {
    pub(crate) net: Net,
    pub(crate) certificate: Certificate,
    /// The port of our backend on 127.0.0.1, when we run one.
    pub(crate) backend: Option<u16>,
    /// The image's command line.
    pub(crate) line: Zeroizing<String>,
    /// Files of the boot archive.
    pub(crate) files: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// The stunnel configuration, when there is one.
    pub(crate) conf: Option<Conf>,
    /// What is to be told of the files.
    pub(crate) notices: Vec<String>,
}

/// What a run publishes on this host, for the rootless network.
pub(crate) struct Ports {
    pub(crate) forwards: Vec<Forward>,
    /// UNIX sockets of this host that the image connects to.
    pub(crate) sockets: Vec<HostSocket>,
    /// Programs of this host that the services start.
    pub(crate) programs: Vec<HostProgram>,
    /// The image's port for the one client that this process was started with.
    pub(crate) inherited: Option<u16>,
    /// Those that a stunnel configuration asks for, with their places in it.
    pub(crate) published: Vec<Published>,
}

/// The network: the one asked for, else a bridge for an address of the user's own.
pub(crate) fn net(options: &Run) -> Net {
    let line = options.words.join(" ");
    match &options.net {
        Some(net) => net.clone(),
        None if mentions(&line, "--ipv4") || mentions(&line, "--ipv6") => {
            Net::Bridge(DEFAULT_BRIDGE.to_owned())
        }
        None => Net::Rootless,
    }
}

/// Whether a backend of ours stands behind the image: only where the image can reach
/// 127.0.0.1 of this host, and the user names no other.
pub(crate) fn wants_backend(options: &Run, net: &Net) -> bool {
    let line = options.words.join(" ");
    let named = mentions(&line, "--connect") || mentions(&line, "--conf");
    *net == Net::Rootless && options.conf.is_none() && !named && !hosts_by_name(options)
}

/// Whether hosts are served by name: then certificates and backends are theirs.
pub(crate) fn hosts_by_name(options: &Run) -> bool {
    let line = options.words.join(" ");
    options.hosts.is_some() || mentions(&line, "--hosts") || mentions(&line, "--remote")
}

/// Whether the development certificate serves.
pub(crate) fn wants_development_certificate(options: &Run) -> bool {
    let named = names_certificate(options) || hosts_by_name(options);
    options.conf.is_none() && options.cert.is_none() && !named
}

fn names_certificate(options: &Run) -> bool {
    let line = options.words.join(" ");
    ["--cert", "--key", "--conf"]
        .iter()
        .any(|option| mentions(&line, option))
}

impl Plan {
    /// Completes the user's words. Ours come last, so that the positions in error messages
    /// are those of the user's words.
    pub(crate) fn new(
        options: &Run,
        net: Net,
        development: Option<Development>,
        backend: Option<u16>,
        conf: Option<Conf>,
    ) -> Result<Plan> {
        let given = options.words.join(" ");
        let mut packed = packing::pack(&given).map_err(|errors| errors.join("\nerror: "))?;
        let mut words = vec![std::mem::take(&mut packed.line)];
        words.retain(|line| !line.is_empty());
        if let Some(folder) = &options.hosts {
            let named = packed.add("--hosts", folder, packing::HOSTS);
            named.map_err(|error| format!("--hosts: {error}"))?;
            words.push(format!("--hosts=file:{}", packing::HOSTS));
        }
        let Packed {
            mut files, notices, ..
        } = packed;
        let certificate = match (&options.cert, &options.key, development) {
            (Some(_), Some(_), _) if names_certificate(options) => {
                return Err(
                    "the certificate is named twice: by --cert and --key before `--` and by \
                            the words after it; leave one out"
                        .into(),
                );
            }
            (Some(certificate), Some(key), _) => Certificate::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            (_, _, Some(development)) => Certificate::Development(development),
            _ => Certificate::Words,
        };
        let pair = match &certificate {
            Certificate::Development(development) => {
                Some((&development.certificate, &development.key))
            }
            Certificate::Files { certificate, key } => Some((certificate, key)),
            Certificate::Words => None,
        };
        if let Some((certificate, key)) = pair {
            files.push((
                CERTIFICATE_FILE.to_owned(),
                read_pem(certificate, "CERTIFICATE")?,
            ));
            files.push((KEY_FILE.to_owned(), read_pem(key, "PRIVATE KEY")?));
            words.push(format!("--cert=file:{CERTIFICATE_FILE}"));
            words.push(format!("--key=file:{KEY_FILE}"));
        }
        if net == Net::Rootless {
            words.extend(network_words(&given));
        }
        if let Some(port) = backend {
            words.push(format!("--connect={GATEWAY_IPV4}:{port}"));
        }
        if options.debug && !mentions(&given, "--log") {
            words.push("--log=debug".to_owned());
        }
        if let Some(conf) = &conf {
            words.push(conf.word.clone());
        }
        Ok(Plan {
            net,
            certificate,
            backend,
            line: Zeroizing::new(words.join(" ")),
            files,
            conf,
            notices,
        })
    }

    /// Names a certificate and its key without having them.
    pub(crate) fn stand_in(&mut self) {
        for (option, name) in [("--cert", CERTIFICATE_FILE), ("--key", KEY_FILE)] {
            self.line.push_str(&format!(" {option}=file:{name}"));
            self.files.push((name.to_owned(), Zeroizing::default()));
        }
    }

    /// What this run publishes on this host, and what is to be told of it.
    ///
    /// # Errors
    ///
    /// The stunnel configuration asks for what can't be had.
    pub(crate) fn ports(
        &self,
        options: &Run,
        config: &Config,
    ) -> std::result::Result<(Ports, Vec<Notice>), Refused> {
        if let Some(conf) = &self.conf {
            let (publication, notices) = conf.publish(&self.net, config)?;
            let published = publication.ports;
            let sockets = publication.sockets;
            let programs = publication.programs;
            let inherited = publication.inherited;
            let forwards = published.iter().map(|port| port.forward.clone()).collect();
            return Ok((
                Ports {
                    forwards,
                    sockets,
                    programs,
                    inherited,
                    published,
                },
                notices,
            ));
        }
        let forwards = if self.net != Net::Rootless {
            Vec::new()
        } else if options.publish.is_empty() {
            forwards(config)
        } else {
            options.publish.clone()
        };
        let published = Vec::new();
        Ok((
            Ports {
                forwards,
                sockets: Vec::new(),
                programs: Vec::new(),
                inherited: None,
                published,
            },
            Vec::new(),
        ))
    }
}

/// What is published when the user names nothing: ports that need no privilege.
fn forwards(config: &Config) -> Vec<Forward> {
    let mut forwards = vec![Forward::local(DEFAULT_PORT, config.accept.port)];
    if let ServiceSource::Hosting(hosting) = &config.services {
        let http = hosting.http.iter();
        forwards.extend(http.map(|http| Forward::local(DEFAULT_HTTP_PORT, http.port)));
        let stores = hosting.store.iter().filter(|store| store.pass.is_some());
        forwards.extend(stores.map(|store| Forward::local(NOTICES_PORT, store.notices.port)));
    }
    forwards
}

/// The words for the rootless network that the user's own leave out: all addresses or none are
/// ours.
fn network_words(given: &str) -> Vec<String> {
    let theirs = |option: &str| mentions(given, option);
    let addressed = ["--ipv4", "--ipv4-gateway", "--ipv6", "--ipv6-gateway"]
        .into_iter()
        .any(theirs);
    let wanted = |word: &&str| match word.split_once('=').map_or(*word, |(option, _)| option) {
        "--dns" => !addressed && !theirs("--dns"),
        "--published" => !theirs("--published"),
        _ => !addressed,
    };
    let all = network::options();
    all.split_ascii_whitespace()
        .filter(wanted)
        .map(str::to_owned)
        .collect()
}

/// Where the image will send plaintext, in words.
pub(crate) fn backend_words(config: &Config) -> String {
    match (&config.connect.host, config.ipv4) {
        (
            None,
            Ipv4::Static {
                gateway: Some(gateway),
                ..
            },
        ) => {
            format!("{gateway}:{} (the gateway)", config.connect.port)
        }
        (None, _) => format!("port {} of the gateway", config.connect.port),
        (Some(Host::Address(_) | Host::Name(_)), _) => config.connect.to_string(),
    }
}

/// Reads a PEM file and looks for one label, so that a mistaken file is named here.
fn read_pem(path: &Path, label: &str) -> Result<Zeroizing<Vec<u8>>> {
    let bytes =
        Zeroizing::new(fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?);
    let found = String::from_utf8_lossy(&bytes).lines().any(|line| {
        line.starts_with("-----BEGIN ") && line.trim_end().ends_with(&format!("{label}-----"))
    });
    if !found {
        return Err(format!(
            "{}: no PEM block `-----BEGIN ... {label}-----` in it",
            path.display()
        )
        .into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Run {
        Run {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Run::default()
        }
    }

    fn line(words: &[&str], choice: Option<Net>) -> String {
        let options = Run {
            net: choice,
            ..options(words)
        };
        let net = net(&options);
        let backend = wants_backend(&options, &net).then_some(8080);
        Plan::new(&options, net, None, backend, None)
            .unwrap()
            .line
            .to_string()
    }

    #[test]
    fn without_words_the_rootless_network_is_complete() {
        let network = network::options();
        assert_eq!(
            line(&[], None),
            format!("{network} --connect=10.0.2.2:8080")
        );
        assert!(network.contains("--ipv6=fd") && network.contains(" --published"));
    }

    #[test]
    fn an_address_of_the_user_s_means_a_bridge_and_no_word_of_ours() {
        let words = ["--ipv4=10.0.0.2/24", "--ipv4-gateway=10.0.0.1"];
        assert_eq!(net(&options(&words)), Net::Bridge("br0".to_owned()));
        assert_eq!(line(&words, None), words.join(" "));
        assert_eq!(
            net(&options(&["--ipv6", "2001:db8::2/64"])),
            Net::Bridge("br0".to_owned())
        );
    }

    #[test]
    fn the_user_s_words_stand_first_and_unchanged() {
        let text = line(
            &["--connect=10.0.2.2:1", "--dns", "10.0.2.2", "--log=trace"],
            None,
        );
        let network = network::options().replace(" --dns=10.0.2.3", "");
        assert_eq!(
            text,
            format!("--connect=10.0.2.2:1 --dns 10.0.2.2 --log=trace {network}")
        );
        let text = line(&["--ipv4=10.0.2.20/24"], Some(Net::Rootless));
        assert_eq!(
            text,
            "--ipv4=10.0.2.20/24 --published --connect=10.0.2.2:8080"
        );
    }

    #[test]
    fn a_certificate_in_the_words_keeps_ours_away() {
        assert!(wants_development_certificate(&options(&[])));
        assert!(!wants_development_certificate(&options(&[
            "--cert=base64:QQ",
            "--key=base64:QQ"
        ])));
    }

    #[test]
    fn a_stunnel_configuration_stands_for_backend_and_certificate() {
        let file = Run {
            conf: Some("off.conf".to_owned()),
            ..options(&[])
        };
        for options in [file, options(&["--conf=base64:QQ"])] {
            assert!(!wants_backend(&options, &Net::Rootless));
            assert!(!wants_development_certificate(&options));
        }
    }

    #[test]
    fn hosts_by_name_stand_for_backend_and_certificate() {
        let folder = Run {
            hosts: Some(PathBuf::from("hosts")),
            ..options(&[])
        };
        let lines: [&[&str]; 3] = [&["--remote=r"], &["-r", "r"], &["--hosts=file:h"]];
        for options in lines.map(options).into_iter().chain([folder]) {
            assert!(!wants_backend(&options, &Net::Rootless));
            assert!(!wants_development_certificate(&options));
        }
    }

    #[test]
    fn hosts_by_name_have_their_ports_published() {
        let published = |words: &str| -> Vec<String> {
            let config = stockade_config::command_line::parse(words);
            let config = config.unwrap_or_else(|errors| panic!("{errors}"));
            forwards(&config).iter().map(Forward::to_string).collect()
        };
        let store = "--remote=git@h:p --ssh-key=file:k";
        let (https, http) = ("127.0.0.1:8443:443", "127.0.0.1:8080:80");
        assert_eq!(published(store), [https, http]);
        assert_eq!(published(&format!("{store} --http=none")), [https]);
        assert_eq!(
            published(&format!(
                "{store} --accept=1 --http=2 --pass=x --reload-port=3"
            )),
            ["127.0.0.1:8443:1", "127.0.0.1:8080:2", "127.0.0.1:9418:3"]
        );
        assert_eq!(published("--hosts=file:h"), [https, http]);
        assert_eq!(published("--cert=file:c --key=file:k"), [https]);
    }

    #[test]
    fn a_certificate_named_twice_is_refused() {
        let options = Run {
            cert: Some(PathBuf::from("c")),
            key: Some(PathBuf::from("k")),
            ..options(&["--key=base64:QQ"])
        };
        let error = Plan::new(&options, Net::Rootless, None, None, None)
            .err()
            .unwrap();
        assert!(error.to_string().contains("named twice"), "{error}");
    }
}
