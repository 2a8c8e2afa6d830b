//! Hosts of the boot archive.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use config::{
    Config, Zeroizing,
    hosting::{HostFile, Hosting},
};
use store::host::Host;

use super::{Notices, Site, Sites, host_name, http_1, http_if_asked};

/// Everything that is served by name, as far as the boot archive says it.
///
/// # Errors
/// A line for each file that is none, and for a default host that nothing says anything of.
pub fn of_files(hosting: &Hosting, config: &Config) -> Result<Sites, Vec<String>> {
    let mut errors = Vec::new();
    let mut hosts = Vec::new();
    for file in &hosting.files {
        match site(file, config) {
            Ok(site) => hosts.push(site),
            Err(why) => errors.push(format!("--hosts: {:?}: {why}", file.name)),
        }
    }
    let default_host = hosting.default_host.as_deref().map(|text| {
        let name = host_name(text);
        let known = |name: &str| hosts.iter().any(|site: &Site| site.has(name));
        match name {
            None => Err(format!("--default-host: {text:?} is no host's name")),
            Some(name) if hosting.store.is_none() && !known(&name) => {
                Err(format!("--default-host: no file of --hosts is for {name}"))
            }
            Some(name) => Ok(name),
        }
    });
    let default_host = match default_host.transpose() {
        Ok(name) => name,
        Err(error) => {
            errors.push(error);
            None
        }
    };
    let notices = match hosting.store.as_ref().map(Notices::of_store).transpose() {
        Ok(notices) => notices.flatten(),
        Err(error) => {
            errors.push(error.into());
            None
        }
    };
    if hosts.is_empty() && hosting.store.is_none() && errors.is_empty() {
        errors.push("--hosts: there is no host's file in the boot archive".into());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Sites {
        hosts,
        default_host,
        https: Some(config.accept),
        http: hosting.http,
        notices,
        tokens: Vec::new(),
        proofs: Vec::new(),
    })
}

fn site(file: &HostFile, config: &Config) -> Result<Site, String> {
    let name = host_name(&file.name).ok_or("its name is no host's name")?;
    let text = core::str::from_utf8(&file.text).map_err(|_| "it is no text")?;
    if text.trim_start().starts_with('{') {
        let host = Host::parse(&file.text).map_err(|error| format!("{error}"))?;
        return Site::of_store(&name, &host, &config.requests)
            .ok_or_else(|| "it has no certificate".into());
    }
    let requests = http_if_asked(&config.requests);
    Ok(Site {
        names: Vec::from([name]),
        // Of either text what the other one is for is passed over.
        chain: text.into(),
        key: Arc::new(Zeroizing::new(text.into())),
        backend: config.connect.clone(),
        alpn: requests.as_ref().map(|_| http_1()).unwrap_or_default(),
        requests,
    })
}
