//! Every option by itself: what is seen with it is not what is seen without it.
//!
//! Each row holds a configuration and two observations. The second one is made after the option's
//! own lines are taken out of the configuration, which is what an option that the code forgets to
//! heed comes to. So a row fails when its option is switched off.

mod config;
mod probes;
mod rows;
mod stage;

use std::collections::BTreeSet;

use stockade_tests::stunnel::subject::Kind;

use stage::Stage;

/// What a stage shows.
type Probe = fn(&Stage) -> String;

/// One option with its two observations.
pub struct Row {
    /// The option, in the manual's spelling.
    option: &'static str,
    /// What tells this row from others of the same option.
    about: &'static str,
    /// The configuration; see [`stage::fill`] for what stands in braces.
    conf: &'static str,
    probe: Probe,
    /// What the probe shows with the option.
    with: &'static str,
    /// What it shows without.
    without: &'static str,
    /// Which subjects can show it.
    on: On,
}

/// Which subjects a row is for.
#[derive(Clone, Copy, PartialEq)]
pub enum On {
    /// All.
    All,
    /// The product alone: stunnel has no such option.
    Ours,
    /// The tunnel with a card of its own on a TAP device: on the rootless network its frames end in
    /// the launcher.
    Tap,
}

impl On {
    fn holds(self, kind: Kind) -> bool {
        match self {
            On::All => true,
            On::Ours => kind != Kind::Debian,
            On::Tap => !matches!(kind, Kind::Debian | Kind::Launched(_)),
        }
    }
}

/// What is seen when the configuration is refused.
pub const REFUSED: &str = "refused";

/// Runs the rows of one table, all that fail told at once.
fn check(kind: Kind, rows: &[Row]) {
    let failures: Vec<String> = rows
        .iter()
        .filter(|row| row.on.holds(kind))
        .flat_map(|row| {
            assert_ne!(row.with, row.without, "{} shows nothing", row.option);
            let mutated = stage::without(row.conf, row.option);
            assert_ne!(mutated, row.conf, "{} is not in its own row", row.option);
            [
                (row.conf, row.with, "with"),
                (&mutated, row.without, "without"),
            ]
            .map(|(conf, expected, which)| {
                println!("{} ({}) {which} it", row.option, row.about);
                let seen = Stage::observe(kind, conf, row.probe);
                (seen.observation != expected).then(|| {
                    format!(
                        "{} ({}) {which} it: {:?}, not {expected:?}\n{}",
                        row.option, row.about, seen.observation, seen.log
                    )
                })
            })
        })
        .flatten()
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// One test for each table, so that they run side by side.
macro_rules! tables {
    ($($name:ident),+) => {
        $(pub fn $name(kind: Kind) {
            check(kind, &rows::$name());
        })+

        /// The options that have a row.
        fn covered() -> BTreeSet<&'static str> {
            let mut covered = BTreeSet::new();
            $(covered.extend(rows::$name().iter().map(|row| row.option));)+
            covered
        }
    };
}

tables!(
    endpoints,
    certificates,
    verification,
    negotiation,
    sessions,
    timeouts,
    the_rest
);
