//! What a run tells of hosts that are served by name.

use std::net::SocketAddr;

use stockade_config::hosting::{AuthoritySource, HostingSource, PRODUCTION, STAGING, StoreSource};
use stockade_config::{Accept, Config, Ipv4};
use stockade_host::network::{Forward, GATEWAY_IPV4, Listen};
use stockade_host::shell;

use crate::cli::Net;
use crate::plan::{self, Plan};

/// Most hosts that are named one by one.
const MOST_NAMED: usize = 12;

/// How the lines after a heading's first one begin.
const INDENT: &str = "             ";

/// The lines for what is served.
pub(crate) fn services(hosting: &HostingSource, plan: &Plan, config: &Config) -> String {
    let mut lines = Vec::new();
    if let Some(folder) = &hosting.folder {
        let names = names(plan, folder);
        let named = match names.len() {
            0..=MOST_NAMED => names.join(", "),
            _ => format!(
                "{}, …",
                names.get(..MOST_NAMED).unwrap_or_default().join(", ")
            ),
        };
        let hosts = if names.len() == 1 { "host" } else { "hosts" };
        lines.push(format!(
            "{} {hosts} of this host's files: {named}",
            names.len()
        ));
        lines.push(format!(
            "those in PEM lead to {}; --connect= after `--` names another",
            plan::backend_words(config)
        ));
    }
    if let Some(store) = &hosting.store {
        lines.push(of_store(store));
    }
    lines.push(match &hosting.default_host {
        Some(host) => format!("clients that ask for none of them get {host}"),
        None => "clients that ask for none of them are refused".to_owned(),
    });
    let mut text = format!("hosts        {}\n", lines.join(&format!("\n{INDENT}")));
    if let Some(store) = &hosting.store {
        let authority = authority(store.authority.as_ref());
        text += &format!("certificates {authority}\n");
    }
    let http = match &hosting.http {
        Some(http) => format!(
            "port {} answers authorities, and leads all others to https",
            http.port
        ),
        None => "none".to_owned(),
    };
    text + &format!("http         {http}\n")
}

fn of_store(store: &StoreSource) -> String {
    let seconds = store.poll.as_secs();
    let told = match store.pass {
        Some(_) => format!(", and when port {} is told to", store.notices.port),
        None => String::new(),
    };
    format!("those of {}, read every {seconds} s{told}", store.remote)
}

fn authority(authority: Option<&AuthoritySource>) -> String {
    match authority {
        None => "as they are in the store; nobody renews them".to_owned(),
        Some(authority) => match authority.directory.as_str() {
            STAGING => format!(
                "by Let's Encrypt for trial: no browser trusts them\n{INDENT}\
                 (--production after `--` asks for those that browsers trust)"
            ),
            PRODUCTION => "by Let's Encrypt".to_owned(),
            other => format!("by {other}"),
        },
    }
}

/// The hosts of a folder, as their files are called.
fn names<'p>(plan: &'p Plan, folder: &str) -> Vec<&'p str> {
    let files = plan.files.iter().filter_map(|(name, _)| {
        let name = name.strip_prefix(folder)?.strip_prefix('/')?;
        let bare = name.strip_suffix(".pem").or(name.strip_suffix(".json"));
        Some(bare.unwrap_or(name))
    });
    files.collect()
}

/// The command to try.
pub(crate) fn guidance(
    hosting: &HostingSource,
    plan: &Plan,
    config: &Config,
    forwards: &[Forward],
) -> String {
    let names = hosting.folder.as_deref().map(|folder| names(plan, folder));
    let first = names.iter().flatten().find(|name| !name.starts_with('*'));
    let name = first.map_or("www.example.org", |name| name);
    let Some(https) = reached(plan, config, forwards, config.accept) else {
        return String::new();
    };
    let curl = format!("curl --connect-to ::{https} https://{name}/");
    let Some(store) = &hosting.store else {
        return format!("Try:\n\n  {curl}\n\n");
    };
    let Some(notices) = reached(plan, config, forwards, store.notices) else {
        return format!("Once the store has a host, try:\n\n  {curl}\n\n");
    };
    let target = match store.pass {
        Some(_) => format!(" --pass file:NAME --target {notices}"),
        None => String::new(),
    };
    // What this host is to the image, it is not to itself.
    let gateway = GATEWAY_IPV4.to_string();
    let remote = match plan.net {
        Net::Rootless => store.remote.replacen(&gateway, "localhost", 1),
        Net::Tap(_) | Net::Bridge(_) => store.remote.clone(),
    };
    format!(
        "Add a host to the store, and try:\n\n  stockade add --hostname {name} --ip ADDRESS[:PORT] \
         --remote {}{target}\n  {curl}\n\n",
        shell::quote(&remote)
    )
}

/// Where this host reaches a listener of the image.
fn reached(plan: &Plan, config: &Config, forwards: &[Forward], to: Accept) -> Option<String> {
    if plan.net == Net::Rootless {
        let leads = |forward: &&Forward| forward.guest_port == to.port;
        let listen = forwards.iter().filter(leads).map(|forward| &forward.listen);
        let mut addresses = listen.filter_map(|listen| match listen {
            Listen::Tcp(address) => Some(here(*address).to_string()),
            Listen::Unix(_) => None,
        });
        return addresses.next();
    }
    let port = to.port;
    Some(match (config.ipv4, config.ipv6) {
        (Ipv4::Static { address, .. }, _) => format!("{address}:{port}"),
        (_, Some(ipv6)) => format!("[{}]:{port}", ipv6.address),
        _ => format!("ADDRESS:{port}"),
    })
}

/// An address that this host itself can connect to.
fn here(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) if address.ip().is_unspecified() => {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        }
        SocketAddr::V6(_) if address.ip().is_unspecified() => {
            SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port()))
        }
        _ => address,
    }
}
