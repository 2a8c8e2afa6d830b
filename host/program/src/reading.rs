//! One reading of everything that a run is told: its options, configuration, certificates. Done at
//! the start, and again at each reload.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stockade_config::{Config, Settings};
use stockade_host::conf::{self, Passphrases};
use stockade_host::launch::Setup;
use stockade_host::{Boot, Error, Qemu, pki};

use crate::USAGE;
use crate::cli::{Net, Run};
use crate::conf::Conf;
use crate::plan::{self, Plan, Ports};

/// What was decided before the first reading and stays.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) options: Run,
    pub(crate) net: Net,
    /// The port of our backend on 127.0.0.1, when we run one.
    pub(crate) backend: Option<u16>,
    /// Where the development certificate is kept.
    pub(crate) development: Option<PathBuf>,
    /// Whether empty files stand for a development certificate that is not to be made.
    pub(crate) stand_in: bool,
    /// How the user calls this program, for advice.
    pub(crate) program: &'static str,
}

/// What was read.
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    pub(crate) config: Config,
    pub(crate) ports: Ports,
    /// What is to be told of it; the image tells the rest itself.
    pub(crate) notices: Vec<String>,
}

/// Why something can't be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What is wrong, as it stands on the terminal.
    pub(crate) lines: Vec<String>,
    /// The process's status, if that ends it.
    pub(crate) status: u8,
}

impl Refused {
    /// Something other than the configuration's own words is wrong.
    pub(crate) fn new(error: impl std::fmt::Display) -> Refused {
        Refused {
            lines: vec![format!("error: {error}")],
            status: 1,
        }
    }

    /// These lines are the configuration's errors.
    pub(crate) fn configuration(text: &str) -> Refused {
        Refused {
            lines: text.lines().map(str::to_owned).collect(),
            status: 1,
        }
    }
}

impl Recipe {
    /// Reads all of it and checks it as the image will.
    ///
    /// # Errors
    ///
    /// Everything that is wrong.
    pub(crate) fn read(&self, passphrases: Passphrases) -> Result<Reading, Refused> {
        let path = self.options.conf.as_deref();
        let conf = path.map(|path| Conf::read(path, passphrases)).transpose()?;
        let development = self.development.as_deref();
        let development = development
            .map(|folder| pki::development(folder, SystemTime::now()))
            .transpose()
            .map_err(Refused::new)?;
        let net = self.net.clone();
        let mut plan =
            Plan::new(&self.options, net, development, self.backend, conf).map_err(Refused::new)?;
        if self.stand_in {
            plan.stand_in();
        }
        let config = self.check(&plan)?;
        let (ports, of_conf) = plan.ports(&self.options, &config)?;
        let mut notices = std::mem::take(&mut plan.notices);
        notices.extend(of_conf.iter().map(conf::notice_line));
        Ok(Reading {
            plan,
            config,
            ports,
            notices,
        })
    }

    /// Reads the image's words as the image will.
    fn check(&self, plan: &Plan) -> Result<Config, Refused> {
        match settings(&self.options, plan).map_err(Refused::new)? {
            Ok(settings) => Ok(settings.config),
            Err(text) => {
                let mut refused = Refused::configuration(&text);
                let help = format!("`{} run --help` lists the image's words", self.program);
                refused
                    .lines
                    .push(format!("error: nothing was started. {help}"));
                refused.status = USAGE;
                Err(refused)
            }
        }
    }
}

impl Reading {
    /// What the launcher is to make of it.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            kernel_line: self.plan.line.clone(),
            files: self.plan.files.clone(),
            conf: self.plan.conf.as_ref().map(|conf| conf.recording.clone()),
            forwards: self.ports.forwards.clone(),
            sockets: self.ports.sockets.clone(),
            programs: self.ports.programs.clone(),
            ..Setup::default()
        }
    }
}

/// The machine that would run it, without network.
pub(crate) fn machine(options: &Run, image: &Path, plan: &Plan) -> Qemu {
    let mut machine = Qemu::new(image)
        .machine(options.machinery.machine)
        .kernel_line(plan.line.as_str());
    if let Some(firmware) = options.machinery.firmware {
        machine = machine.firmware(firmware);
    }
    if let Some(memory) = options.machinery.memory {
        machine = machine.memory_mib(memory);
    }
    for (name, bytes) in &plan.files {
        machine = machine.file(name.as_str(), bytes.to_vec());
    }
    match &plan.conf {
        Some(conf) => machine.conf(conf.recording.clone()),
        None => machine,
    }
}

/// What the image is handed: its command line and its boot archive.
pub(crate) fn boot(options: &Run, plan: &Plan) -> Result<Boot, Error> {
    machine(options, Path::new(""), plan).boot()
}

/// The image's settings, or what is wrong with them, a line for each error.
pub(crate) fn settings(options: &Run, plan: &Plan) -> Result<Result<Settings, String>, Error> {
    let boot = boot(options, plan)?;
    let archive = boot.archive.as_ref().map(|archive| archive.as_slice());
    Ok(Settings::read(boot.append.as_bytes(), archive).map_err(|error| error.to_string()))
}

/// Where our development certificate is needed, its folder.
pub(crate) fn development(
    options: &Run,
    folder: impl FnOnce() -> crate::Result<PathBuf>,
) -> crate::Result<Option<PathBuf>> {
    plan::wants_development_certificate(options)
        .then(folder)
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str], stand_in: bool) -> Result<Reading, Refused> {
        let options = Run {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Run::default()
        };
        let recipe = Recipe {
            options,
            net: Net::Rootless,
            backend: Some(8080),
            development: None,
            stand_in,
            program: "stockade",
        };
        recipe.read(Passphrases::Nobody)
    }

    #[test]
    fn a_run_of_no_words_is_complete_but_for_its_certificate() {
        let reading = read(&[], true).unwrap_or_else(|refused| panic!("{refused:?}"));
        let setup = reading.setup();
        assert_eq!(setup.files.len(), 2);
        assert_eq!(setup.forwards.len(), 1);
        assert!(setup.kernel_line.contains("--cert=file:"));
        assert_eq!(reading.config.accept.port, 443);
        assert_eq!(
            read(&[], false).err().map(|refused| refused.status),
            Some(USAGE)
        );
    }

    #[test]
    fn wrong_words_are_told_with_where_to_look_them_up() {
        let Err(refused) = read(&["--ipv4=1", "--what"], true) else {
            panic!("nonsense was taken");
        };
        assert_eq!(refused.status, USAGE);
        let text = refused.lines.join("\n");
        assert!(
            text.contains("--ipv4 (word 1") && text.contains("--what"),
            "{text}"
        );
        assert!(
            text.ends_with("`stockade run --help` lists the image's words"),
            "{text}"
        );
    }
}
