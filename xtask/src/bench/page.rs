//! The report: one HTML file with its style and its plots in it.

use super::figures::{Better, Figure, Results, Samples, spread};
use super::parts::{Part, total};

/// Width of a plot, in its own units.
const WIDTH: f64 = 720.0;
/// Where bars begin: names stand to the left.
const LEFT: f64 = 90.0;
/// Room for values to the right of the longest bar.
const RIGHT: f64 = 170.0;
/// Height of a bar and of the gap below it.
const BAR: f64 = 20.0;
const GAP: f64 = 6.0;
/// Colours that parts of an image take in turn.
const PART_COLOURS: [&str; 8] = [
    "#2563a8", "#5b8fc9", "#3b8f6d", "#7fbf9e", "#b0803a", "#d8b26a", "#8a5a9e", "#b9b9b9",
];

const STYLE: &str = "\
:root { color-scheme: light dark; --ours: #2563a8; --theirs: #9aa4af; --faint: #7a828b; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 760px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 2em 0 .3em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .5em; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child { text-align: left; }
small, .note { color: var(--faint); }
figure { margin: 1.2em 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 13px; fill: currentColor; }
svg .ours { fill: var(--ours); } svg .theirs { fill: var(--theirs); }
svg .sample { stroke: currentColor; stroke-width: 1.5; }
";

/// What the report says besides figures.
pub(super) struct Circumstances {
    /// Name and value, such as QEMU's version.
    pub(super) facts: Vec<(String, String)>,
    /// Sentences on how it was measured.
    pub(super) method: Vec<String>,
}

/// The whole page. `parts` are each subject's, in the results' order.
pub(super) fn page(
    results: &Results,
    parts: &[(String, Vec<Part>)],
    circumstances: &Circumstances,
) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Stockade: figures</title>\n<style>\n{STYLE}</style>\n<h1>Stockade: figures</h1>\n"
    );
    html += &table(results);
    html += "<p class=\"note\">± is half the range of the samples. Of times and of what is counted \
             against them the best sample is shown, of all else the median.</p>\n";
    html += "<h2>Figure by figure</h2>\n";
    for figure in results.figures() {
        html += &plot(results, figure);
    }
    html += "<h2>Size by part</h2>\n";
    for (subject, parts) in parts {
        html += &parts_plot(subject, parts);
    }
    html += "<h2>How it was measured</h2>\n<ul>\n";
    for sentence in &circumstances.method {
        html += &format!("<li>{}\n", escaped(sentence));
    }
    html += "</ul>\n<table>\n";
    for (name, value) in &circumstances.facts {
        html += &format!("<tr><td>{}<td>{}\n", escaped(name), escaped(value));
    }
    html += "</table>\n</html>\n";
    html
}

fn table(results: &Results) -> String {
    let mut html = "<table>\n<tr><th>figure".to_owned();
    for subject in results.subjects() {
        html += &format!("<th>{}", escaped(subject));
    }
    html.push('\n');
    for figure in results.figures() {
        html += &format!("<tr><td>{}", escaped(figure.title));
        if !figure.unit.is_empty() {
            html += &format!(" <small>{}</small>", escaped(figure.unit));
        }
        for subject in results.subjects() {
            html += "<td>";
            match results.samples(subject, figure) {
                None => html += "–",
                Some(samples) => {
                    html += &figure.shown(figure.value(samples));
                    html += &format!(" <small>{}</small>", spread(samples));
                }
            }
        }
        html.push('\n');
    }
    html + "</table>\n"
}

/// One bar for each subject, its samples as strokes across it.
fn plot(results: &Results, figure: &Figure) -> String {
    let rows: Vec<(&str, &Samples)> = results
        .subjects()
        .iter()
        .filter_map(|subject| Some((subject.as_str(), results.samples(subject, figure)?)))
        .collect();
    let largest = rows
        .iter()
        .map(|(_, samples)| samples.largest())
        .fold(0.0, f64::max);
    let scale = |value: f64| match largest > 0.0 {
        true => value / largest * (WIDTH - LEFT - RIGHT),
        false => 0.0,
    };
    let ours = rows.first().map(|(_, samples)| figure.value(samples));
    let mut svg = String::new();
    for (index, (subject, samples)) in rows.iter().enumerate() {
        let y = index as f64 * (BAR + GAP);
        let value = figure.value(samples);
        let class = if index == 0 { "ours" } else { "theirs" };
        svg += &format!(
            "<text x=\"0\" y=\"{:.1}\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
            y + BAR - 5.0,
            escaped(subject),
            scale(value).max(1.0),
        );
        for sample in samples.all() {
            let x = LEFT + scale(*sample);
            svg += &format!(
                "<line class=\"sample\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
                y + 3.0,
                y + BAR - 3.0,
            );
        }
        let mut label = format!("{} {}", figure.shown(value), figure.unit);
        if let (true, Some(times)) = (index > 0, ours.and_then(|ours| ratio(value, ours))) {
            label = format!("{} ({times})", label.trim_end());
        }
        svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
            LEFT + scale(samples.largest()) + 8.0,
            y + BAR - 5.0,
            escaped(label.trim_end()),
        );
    }
    let direction = match figure.better {
        Better::Less => "less is better",
        Better::More => "more is better",
    };
    framed(
        figure.title,
        direction,
        rows.len() as f64 * (BAR + GAP),
        &svg,
    )
}

/// A value as so many times ours; `None` where that says nothing.
fn ratio(value: f64, ours: f64) -> Option<String> {
    let times = value / ours;
    (ours > 0.0 && times.is_finite()).then(|| match times {
        times if times >= 10.0 => format!("{times:.0}×"),
        times => format!("{times:.2}×"),
    })
}

/// One bar of all parts, and what they are.
fn parts_plot(subject: &str, parts: &[Part]) -> String {
    const LINE: f64 = 19.0;
    let all = total(parts).max(1) as f64;
    let (mut svg, mut x) = (String::new(), 0.0);
    for (index, part) in parts.iter().enumerate() {
        let colour = PART_COLOURS[index % PART_COLOURS.len()];
        let width = part.bytes as f64 / all * WIDTH;
        let y = BAR + 2.0 * GAP + index as f64 * LINE;
        let kib = part.bytes as f64 / 1024.0;
        let name = escaped(&part.name);
        svg += &format!(
            "<rect fill=\"{colour}\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"{BAR}\">\
             <title>{name}</title></rect>\
             <rect fill=\"{colour}\" x=\"0\" y=\"{y:.1}\" width=\"13\" height=\"13\"/>\
             <text x=\"20\" y=\"{:.1}\">{name}: {kib:.0} KiB</text>\n",
            y + 11.5,
        );
        x += width;
    }
    let title = format!("{subject}: {:.2} MB", all / 1e6);
    let height = BAR + 2.0 * GAP + parts.len() as f64 * LINE;
    framed(&title, "what is booted", height, &svg)
}

fn framed(title: &str, note: &str, height: f64, svg: &str) -> String {
    let title = escaped(title);
    format!(
        "<figure><figcaption>{title} <small>{note}</small></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n{svg}</svg></figure>\n"
    )
}

/// Text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_page() -> String {
        let mut results = Results::of(["stockade", "a<b"]);
        results.take("figure stockade handshake-instructions 1400000 1380000");
        results.take("figure a<b handshake-instructions 2800000 2780000");
        results.take("figure stockade idle-ticks 0");
        results.take("figure a<b idle-ticks 4");
        let parts = vec![Part {
            name: "tls & net".into(),
            bytes: 2048,
        }];
        let circumstances = Circumstances {
            facts: vec![("QEMU".into(), "7.2".into())],
            method: vec!["Counts are <exact>.".into()],
        };
        page(&results, &[("stockade".into(), parts)], &circumstances)
    }

    #[test]
    fn the_page_stands_alone() {
        let page = sample_page();
        for outside in ["http", "src=", "href=", "@import", "url(", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert_eq!(page.matches("<svg").count(), 3);
    }

    #[test]
    fn text_is_escaped() {
        let page = sample_page();
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        assert!(page.contains("tls &amp; net: 2 KiB"));
        assert!(page.contains("Counts are &lt;exact&gt;."));
    }

    #[test]
    fn others_are_told_as_times_ours() {
        let page = sample_page();
        assert!(page.contains("2.790 M (2.01×)"), "{page}");
        // Nothing is a multiple of nothing.
        assert_eq!(ratio(4.0, 0.0), None);
        assert_eq!(ratio(0.0, 0.0), None);
        assert_eq!(ratio(23.0, 2.0).as_deref(), Some("12×"));
    }

    #[test]
    fn bars_stay_inside_the_plot() {
        for (_, rest) in sample_page()
            .match_indices("width=\"")
            .map(|(at, key)| ((), sample_page()[at + key.len()..].to_owned()))
        {
            let number = rest.split('"').next().unwrap();
            if let Ok(width) = number.parse::<f64>() {
                assert!((0.0..=WIDTH).contains(&width), "{width}");
            }
        }
    }
}
