//! What a run tells its user.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stockade_config::command_line::{mentions, open_secrets};
use stockade_config::{Config, ServiceSource};
use stockade_host::network::{Forward, Listen};
use stockade_host::{Tap, shell};

use crate::cli::Net;
use crate::plan::{self, Certificate, Plan, Ports};

mod hosting;

/// What is to be said of secrets that stand in the user's own words, which every user of this host sees
/// as long as this process lives.
pub(crate) fn exposed(words: &[String]) -> Option<String> {
    let line = words.join(" ");
    let options = open_secrets(&line);
    let (first, others) = options.split_first()?;
    let (verb, options) = match others {
        [] => ("stands", (*first).to_owned()),
        _ => ("stand", format!("{first} and {}", others.join(", "))),
    };
    Some(format!(
        "warning: {options} {verb} on this command line, where ps shows it to every user of this host; \
         {first}=file:NAME reads a file"
    ))
}

/// The network, in one line.
pub(crate) fn network(plan: &Plan, tap: Option<&Tap>, ports: &Ports) -> String {
    match (&plan.net, tap) {
        // The services' lines name the ports.
        (Net::Rootless, _) if plan.conf.is_some() => "rootless, published on this host".to_owned(),
        (Net::Rootless, _) => {
            let leads = |forward: &Forward| {
                let Forward { listen, guest_port } = forward;
                format!("{listen} leads to the image's port {guest_port}")
            };
            let ports: Vec<String> = ports.forwards.iter().map(leads).collect();
            format!("rootless; {}", ports.join(", "))
        }
        (Net::Tap(name), _) => format!("TAP {name}"),
        (Net::Bridge(bridge), tap) => {
            format!(
                "TAP {} on {bridge}, removed at the end",
                tap.map_or("", Tap::name)
            )
        }
    }
}

/// What is served: the lines for hosts by name, for the stunnel configuration, or for the backend and
/// the certificate.
pub(crate) fn services(plan: &Plan, config: &Config, ports: &Ports) -> String {
    if let ServiceSource::Hosting(hosting) = &config.services {
        return hosting::services(hosting, plan, config);
    }
    match &plan.conf {
        Some(conf) => format!(
            "services     {}\n",
            conf.words(&ports.published, &plan.net, config)
        ),
        None if names_conf(plan) => {
            "services     by the configuration on the image's command line\n".to_owned()
        }
        None => format!(
            "backend      {}\ncertificate  {}\n",
            backend_words(plan, config),
            certificate_words(&plan.certificate)
        ),
    }
}

/// The command to try, as a paragraph; empty for a stunnel configuration, whose users know.
pub(crate) fn guidance(plan: &Plan, config: &Config, ports: &Ports) -> String {
    if let ServiceSource::Hosting(hosting) = &config.services {
        return hosting::guidance(hosting, plan, config, &ports.forwards);
    }
    match &plan.conf {
        Some(_) => String::new(),
        None if names_conf(plan) => String::new(),
        None => format!("Try:\n\n  {}\n\n", command(plan, config, &ports.forwards)),
    }
}

/// Whether the user's own words hold a stunnel configuration.
fn names_conf(plan: &Plan) -> bool {
    mentions(&plan.line, "--conf")
}

fn backend_words(plan: &Plan, config: &Config) -> String {
    match plan.backend {
        Some(port) => format!(
            "an HTTP server of this run on 127.0.0.1:{port} (--connect= after `--` names another)"
        ),
        None => format!(
            "{}, where a server must listen (--connect= after `--` names another)",
            plan::backend_words(config)
        ),
    }
}

fn certificate_words(certificate: &Certificate) -> String {
    match certificate {
        Certificate::Development(files) => {
            let days = files
                .expires
                .duration_since(SystemTime::now())
                .unwrap_or_default()
                .as_secs()
                / 86_400;
            let verb = if files.fresh { "made now" } else { "kept" };
            format!(
                "{} for localhost, {verb}, {days} days left; authority {}",
                shown(&files.certificate),
                shown(&files.authority)
            )
        }
        Certificate::Files { certificate, .. } => shown(certificate),
        Certificate::Words => "from the image's command line".to_owned(),
    }
}

/// The command to try.
fn command(plan: &Plan, config: &Config, forwards: &[Forward]) -> String {
    use stockade_config::Ipv4;
    let authority = match &plan.certificate {
        Certificate::Development(files) => {
            format!("--cacert {} ", shell::quote(&shown(&files.authority)))
        }
        _ => String::new(),
    };
    let port = config.accept.port;
    if plan.net == Net::Rootless {
        let leads = |forward: &&Forward| forward.guest_port == port;
        return match forwards.iter().find(leads).map(|forward| &forward.listen) {
            Some(Listen::Tcp(address)) => {
                format!("curl {authority}https://{}/", url_host(*address))
            }
            Some(Listen::Unix(socket)) => format!(
                "curl {authority}--unix-socket {} https://localhost/",
                shell::quote(&shown(&socket.path))
            ),
            None => {
                format!("(nothing that is published leads to port {port}, where the image accepts)")
            }
        };
    }
    let address = match (config.ipv4, config.ipv6) {
        (Ipv4::Static { address, .. }, _) => address.to_string(),
        (_, Some(ipv6)) => format!("[{}]", ipv6.address),
        _ => "ADDRESS".to_owned(),
    };
    // The certificate names localhost; curl connects elsewhere and checks that name.
    let suffix = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    format!(
        "curl {authority}--connect-to localhost:{port}:{address}:{port} https://localhost{suffix}/"
    )
}

/// An address in a URL: our certificates name localhost.
fn url_host(address: SocketAddr) -> String {
    let ip = address.ip();
    if ip.is_loopback() || ip.is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

/// A path as short as it can be from where the user stands.
pub fn shown(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}

pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_ps_shows_are_told_of_and_not_repeated() {
        let told = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            exposed(&words)
        };
        assert_eq!(told(&["--pass=file:p", "--ssh-key", "file:k"]), None);
        let text = told(&["--pass", "foo"]).unwrap();
        assert!(text.starts_with("warning: --pass stands on"), "{text}");
        assert!(text.ends_with("; --pass=file:NAME reads a file"), "{text}");
        let text = told(&["--ssh-key=ed25519:foo", "--eab=a:foo", "--pass=foo"]).unwrap();
        let options = "warning: --ssh-key and --eab, --pass stand on";
        assert!(text.starts_with(options) && !text.contains("foo"), "{text}");
    }
}
