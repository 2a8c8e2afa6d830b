//! Figures: what they are called, what was measured, and the table of them.

use std::collections::BTreeMap;

/// One figure that every subject has.
pub(super) struct Figure {
    /// Its name in the measuring program's lines.
    pub(super) key: &'static str,
    /// What it says.
    pub(super) title: &'static str,
    /// The unit in which it is shown.
    pub(super) unit: &'static str,
    /// How many of the measured unit make one of the shown.
    scale: f64,
    /// Digits behind the point.
    digits: usize,
    /// Which way is better.
    pub(super) better: Better,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    /// A cost.
    Less,
    /// A performance.
    More,
}

/// The size of what is booted, in bytes; the measuring program does not look at it.
pub(super) const SIZE: &str = "size-bytes";

const fn cost(
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: f64,
    digits: usize,
) -> Figure {
    Figure {
        key,
        title,
        unit,
        scale,
        digits,
        better: Better::Less,
    }
}

const fn performance(
    key: &'static str,
    title: &'static str,
    unit: &'static str,
    digits: usize,
) -> Figure {
    Figure {
        key,
        title,
        unit,
        scale: 1.0,
        digits,
        better: Better::More,
    }
}

/// Every figure, in the order of the table.
pub(super) const FIGURES: [Figure; 23] = [
    cost(
        "first-byte-ms",
        "QEMU start to first TLS byte",
        "ms",
        1.0,
        0,
    ),
    cost(
        "first-handshake-ms",
        "QEMU start to first handshake and byte served",
        "ms",
        1.0,
        0,
    ),
    cost(
        "first-handshake-processor-ms",
        "processor time of QEMU until then",
        "ms",
        1.0,
        0,
    ),
    cost(SIZE, "image; kernel and initial file system", "MB", 1e6, 2),
    cost(
        "memory-mib",
        "smallest memory (-m) that serves",
        "MiB",
        1.0,
        0,
    ),
    cost(
        "boot-instructions",
        "guest instructions until the first byte is served",
        "M",
        1e6,
        1,
    ),
    cost(
        "handshake-instructions",
        "guest instructions per full handshake",
        "M",
        1e6,
        3,
    ),
    cost(
        "download-instructions",
        "guest instructions per byte to the client",
        "",
        1.0,
        2,
    ),
    cost(
        "upload-instructions",
        "guest instructions per byte to the backend",
        "",
        1.0,
        2,
    ),
    cost(
        "round-trip-instructions",
        "guest instructions per 64-byte round trip",
        "k",
        1e3,
        1,
    ),
    cost(
        "request-instructions",
        "guest instructions per HTTP request, 1 KiB answer",
        "k",
        1e3,
        1,
    ),
    cost(
        "large-request-instructions",
        "guest instructions per HTTP request, 64 KiB answer",
        "k",
        1e3,
        1,
    ),
    cost(
        "requests-at-once-instructions",
        "guest instructions per HTTP request, 100 at once",
        "k",
        1e3,
        1,
    ),
    cost(
        "download-body-instructions",
        "guest instructions per byte of an answer's body",
        "",
        1.0,
        2,
    ),
    cost(
        "upload-body-instructions",
        "guest instructions per byte of a request's body",
        "",
        1.0,
        2,
    ),
    cost(
        "relayed-request-instructions",
        "the same as mere bytes: 1 KiB answer",
        "k",
        1e3,
        1,
    ),
    cost(
        "relayed-large-request-instructions",
        "the same as mere bytes: 64 KiB answer",
        "k",
        1e3,
        1,
    ),
    cost(
        "relayed-requests-at-once-instructions",
        "the same as mere bytes: 100 at once",
        "k",
        1e3,
        1,
    ),
    cost(
        "idle-ticks",
        "processor ticks (10 ms) of the idle guest in 4 s",
        "",
        1.0,
        0,
    ),
    cost(
        "idle-instructions",
        "guest instructions when idle, in 4 s",
        "k",
        1e3,
        0,
    ),
    performance(
        "handshakes-per-second",
        "as a process: handshakes per processor second",
        "",
        0,
    ),
    performance(
        "download-gigabits-per-second",
        "as a process: to the client, per processor second",
        "Gbit",
        1,
    ),
    performance(
        "upload-gigabits-per-second",
        "as a process: to the backend, per processor second",
        "Gbit",
        1,
    ),
];

impl Figure {
    /// A measured value as it is shown, without its unit.
    pub(super) fn shown(&self, value: f64) -> String {
        format!("{:.*}", self.digits, value / self.scale)
    }

    /// The one of several samples that stands for them. What a busy machine adds to a time is
    /// no property of what was timed, so of times it is the best.
    pub(super) fn value(&self, samples: &Samples) -> f64 {
        match (self.is_time(), self.better) {
            (true, Better::Less) => samples.smallest(),
            (true, Better::More) => samples.largest(),
            (false, _) => samples.median(),
        }
    }

    /// Whether it is a time, or counted against one.
    fn is_time(&self) -> bool {
        self.unit == "ms" || self.better == Better::More
    }
}

/// What was measured of one figure of one subject; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// `None` without samples, or with one that is no number.
    pub(super) fn new(mut values: Vec<f64>) -> Option<Samples> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some(Samples(values))
    }

    /// In rising order.
    pub(super) fn all(&self) -> &[f64] {
        &self.0
    }

    pub(super) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() % 2 {
            1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    pub(super) fn smallest(&self) -> f64 {
        self.0[0]
    }

    pub(super) fn largest(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// Half the range in per cent of the median; `None` for a single sample or a median of zero.
    pub(super) fn spread(&self) -> Option<f64> {
        let median = self.median();
        let several = self.0.len() > 1 && median != 0.0;
        several.then(|| 50.0 * (self.largest() - self.smallest()) / median)
    }
}

/// Everything that was measured.
#[derive(Default)]
pub(super) struct Results {
    subjects: Vec<String>,
    samples: BTreeMap<(String, String), Samples>,
}

impl Results {
    /// No results yet of these subjects.
    pub(super) fn of(subjects: impl IntoIterator<Item = impl Into<String>>) -> Results {
        Results {
            subjects: subjects.into_iter().map(Into::into).collect(),
            samples: BTreeMap::new(),
        }
    }

    /// In the order of the columns.
    pub(super) fn subjects(&self) -> &[String] {
        &self.subjects
    }

    pub(super) fn add(&mut self, subject: &str, key: &str, samples: Samples) {
        self.samples.insert((subject.into(), key.into()), samples);
    }

    /// Takes a line of the measuring program, `figure SUBJECT KEY SAMPLE...`; false when it is
    /// none.
    pub(super) fn take(&mut self, line: &str) -> bool {
        let mut words = line.split_ascii_whitespace();
        let (Some("figure"), Some(subject), Some(key)) = (words.next(), words.next(), words.next())
        else {
            return false;
        };
        let values: Result<Vec<f64>, _> = words.map(str::parse).collect();
        let Some(samples) = values.ok().and_then(Samples::new) else {
            return false;
        };
        self.add(subject, key, samples);
        true
    }

    pub(super) fn samples(&self, subject: &str, figure: &Figure) -> Option<&Samples> {
        self.samples.get(&(subject.into(), figure.key.into()))
    }

    /// The figures that any subject has.
    pub(super) fn figures(&self) -> impl Iterator<Item = &'static Figure> + '_ {
        FIGURES.iter().filter(|figure| {
            let mut subjects = self.subjects.iter();
            subjects.any(|subject| self.samples(subject, figure).is_some())
        })
    }

    /// A table for the terminal.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![vec!["figure".to_owned()]];
        rows[0].extend(self.subjects.iter().cloned());
        for figure in self.figures() {
            let mut row = vec![match figure.unit {
                "" => figure.title.to_owned(),
                unit => format!("{} [{unit}]", figure.title),
            }];
            for subject in &self.subjects {
                row.push(self.samples(subject, figure).map_or("-".into(), |samples| {
                    figure.shown(figure.value(samples)) + &spread(samples)
                }));
            }
            rows.push(row);
        }
        aligned(&rows)
    }
}

/// How far samples lie apart, as it is shown beside their value.
pub(super) fn spread(samples: &Samples) -> String {
    samples
        .spread()
        .map_or(String::new(), |spread| format!(" ±{spread:.1}%"))
}

/// Rows in columns: the first to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => text += &format!("{cell:<width$}"),
                _ => text += &format!("  {cell:>width$}"),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).unwrap()
    }

    #[test]
    fn the_median_is_in_the_middle_and_the_spread_around_it() {
        assert_eq!(samples(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(samples(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(samples(&[90.0, 100.0, 110.0]).spread(), Some(10.0));
        assert_eq!(samples(&[5.0]).spread(), None);
        assert_eq!(samples(&[0.0, 0.0]).spread(), None);
        assert_eq!(Samples::new(Vec::new()), None);
        assert_eq!(Samples::new(vec![f64::NAN]), None);
    }

    #[test]
    fn times_are_told_by_the_best_and_counts_by_the_median() {
        let figure = |key| FIGURES.iter().find(|figure| figure.key == key).unwrap();
        let several = samples(&[1.0, 2.0, 9.0]);
        assert_eq!(figure("first-byte-ms").value(&several), 1.0);
        assert_eq!(figure("handshakes-per-second").value(&several), 9.0);
        assert_eq!(figure("handshake-instructions").value(&several), 2.0);
    }

    #[test]
    fn lines_of_the_measuring_program_are_read() {
        let mut results = Results::of(["ours"]);
        assert!(results.take("figure ours memory-mib 9"));
        assert!(results.take("figure ours download-instructions 2.5 2.75 3"));
        for line in [
            "",
            "figure",
            "figure ours memory-mib",
            "figure ours memory-mib nine",
            "figure ours memory-mib NaN",
            "ready: accepting on 10.0.0.2:443",
        ] {
            assert!(!results.take(line), "{line:?}");
        }
        let figure = &FIGURES[7];
        let read = results.samples("ours", figure).unwrap();
        assert_eq!(read.all(), [2.5, 2.75, 3.0]);
        assert_eq!(figure.shown(read.median()), "2.75");
        assert_eq!(results.samples("theirs", figure), None);
    }

    #[test]
    fn keys_and_titles_are_each_used_once() {
        for (index, figure) in FIGURES.iter().enumerate() {
            for other in &FIGURES[..index] {
                assert_ne!(figure.key, other.key);
                assert_ne!(figure.title, other.title);
            }
        }
    }

    #[test]
    fn the_table_shows_what_there_is() {
        let mut results = Results::of(["ours", "theirs"]);
        results.take("figure ours handshake-instructions 1380000 1390000 1400000");
        results.take("figure theirs memory-mib 90");
        let table = results.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3, "{table}");
        assert!(lines[1].starts_with("smallest memory (-m) that serves [MiB]"));
        assert!(lines[1].ends_with("  -      90"), "{table}");
        assert!(lines[2].contains("  1.390 ±0.7%  "), "{table}");
        assert!(lines[2].ends_with('-'));
    }
}
