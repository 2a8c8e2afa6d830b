//! Requests that parsers have disagreed on, each wrong in one way.

use super::Generated;

macro_rules! shapes {
    ($($(#[$doc:meta])* $shape:ident,)*) => {
        /// What is wrong with a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Shape { $($(#[$doc])* $shape,)* }

        impl Shape {
            /// All of them.
            pub const ALL: [Shape; [$(Shape::$shape),*].len()] = [$(Shape::$shape),*];
        }
    };
}

shapes! {
    /// `Content-Length` covers what chunks would not.
    LengthThenChunked,
    /// The chunks cover what `Content-Length` would not.
    ChunkedThenLength,
    /// Twice the same length.
    SameLengths,
    /// Two lengths.
    OtherLengths,
    /// A list of lengths in one field.
    LengthList,
    /// `+5`.
    LengthSigned,
    /// `0x5`.
    LengthHexadecimal,
    /// A length beyond 64 bits.
    LengthHuge,
    /// Nothing where the length should be.
    LengthEmpty,
    /// `Transfer-Encoding` twice.
    EncodingTwice,
    /// `identity`.
    EncodingIdentity,
    /// `xchunked`.
    EncodingUnknown,
    /// `chunked, chunked`.
    EncodingRepeated,
    /// `gzip, chunked`.
    EncodingCompressed,
    /// A vertical tab behind `chunked`.
    EncodingTab,
    /// `chunked` in HTTP/1.0.
    EncodingOld,
    /// A blank between a name and its colon.
    BlankBeforeColon,
    /// A field's value goes on in the next line.
    Folded,
    /// A first field that begins with a blank.
    FoldedFirst,
    /// A line that ends with LF alone.
    BareLf,
    /// The empty line is LF alone.
    BareLfEnd,
    /// A CR within a value.
    BareCr,
    /// NUL within a value.
    Nul,
    /// A name with a blank in it.
    BlankInName,
    /// No name in front of a colon.
    NoName,
    /// A line without a colon.
    NoColon,
    /// `Host` twice.
    HostTwice,
    /// No `Host` in HTTP/1.1.
    HostMissing,
    /// A path behind the host.
    HostWithPath,
    /// A user in front of the host.
    HostWithUser,
    /// A port that is no number.
    HostPort,
    /// An absolute target with another host than `Host`.
    HostOther,
    /// Two blanks in the first line.
    TwoBlanks,
    /// A blank in the target.
    BlankInTarget,
    /// A fragment in the target.
    Fragment,
    /// Bytes beyond ASCII in the target.
    RawTarget,
    /// A target without a slash.
    Relative,
    /// `GET *`.
    StarForGet,
    /// No version.
    Version09,
    /// HTTP/1.2.
    Version12,
    /// HTTP/2.0.
    Version20,
    /// `http/1.1`.
    VersionLower,
    /// `CONNECT`.
    Connect,
    /// An expectation that nobody knows.
    Expectation,
    /// A chunk's size with something behind it.
    ChunkSize,
    /// A chunk's size with a sign.
    ChunkSigned,
    /// A chunk's size of 17 digits.
    ChunkHuge,
    /// LF alone behind a chunk's size.
    ChunkBareLf,
    /// A CR within a chunk's extension.
    ChunkExtension,
    /// A chunk that is longer than its size.
    ChunkLong,
    /// A trailer field without a colon.
    Trailer,
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The request of a shape.
pub(super) fn request(shape: Shape, tag: &str) -> Generated {
    let text = text(shape, tag);
    let method = match shape {
        Shape::Connect => "CONNECT",
        _ if text.starts_with("GET") => "GET",
        _ => "POST",
    };
    Generated {
        // As Latin-1.
        text: text.chars().map(|letter| letter as u8).collect(),
        shape: Some(shape),
        traits: Vec::new(),
        method,
        answer: "length",
        is_old: matches!(shape, Shape::EncodingOld),
        tag: tag.to_owned(),
    }
}

fn text(shape: Shape, tag: &str) -> String {
    let get = |fields: &str| format!("GET /{tag} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let line = |line: &str| format!("{}\r\nHost: localhost\r\n\r\n", line.replace("{}", tag));
    let host = |host: &str| format!("GET /{tag} HTTP/1.1\r\n{host}\r\n");
    let post = |fields: &str, body: &str| {
        format!("POST /{tag} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
    };
    let chunks = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    // Read as chunks it ends before what is smuggled, read by its length behind it.
    let hidden = format!("0\r\n\r\n{SMUGGLED}");
    let length = hidden.len();
    match shape {
        Shape::LengthThenChunked => post(
            &format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            &hidden,
        ),
        Shape::ChunkedThenLength => {
            let size = format!("{:x}", SMUGGLED.len());
            post(
                &format!(
                    "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
                    size.len() + 2
                ),
                &format!("{size}\r\n{SMUGGLED}\r\n0\r\n\r\n"),
            )
        }
        Shape::SameLengths => post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        Shape::OtherLengths => post(
            &format!(
                "Content-Length: 0\r\nContent-Length: {}\r\n",
                SMUGGLED.len()
            ),
            SMUGGLED,
        ),
        Shape::LengthList => post("Content-Length: 5, 5\r\n", "hello"),
        Shape::LengthSigned => post("Content-Length: +5\r\n", "hello"),
        Shape::LengthHexadecimal => post("Content-Length: 0x5\r\n", "hello"),
        Shape::LengthHuge => post("Content-Length: 18446744073709551617\r\n", "h"),
        Shape::LengthEmpty => post("Content-Length:\r\n", ""),
        Shape::EncodingTwice => post(
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            &hidden,
        ),
        Shape::EncodingIdentity => post("Transfer-Encoding: identity\r\n", ""),
        Shape::EncodingUnknown => post("Transfer-Encoding: xchunked\r\n", &hidden),
        Shape::EncodingRepeated => post("Transfer-Encoding: chunked, chunked\r\n", &hidden),
        Shape::EncodingCompressed => post("Transfer-Encoding: gzip, chunked\r\n", &hidden),
        Shape::EncodingTab => post("Transfer-Encoding: chunked\u{b}\r\n", &hidden),
        Shape::EncodingOld => chunks("0\r\n\r\n").replace("HTTP/1.1", "HTTP/1.0"),
        Shape::BlankBeforeColon => post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        Shape::Folded => get("X-A: b\r\n Transfer-Encoding: chunked\r\n"),
        Shape::FoldedFirst => host(" X-A: b\r\nHost: localhost\r\n"),
        Shape::BareLf => get("X-A: b\nX-B: c\r\n"),
        Shape::BareLfEnd => format!("GET /{tag} HTTP/1.1\r\nHost: localhost\r\n\n"),
        Shape::BareCr => get("X-A: b\rX-B: c\r\n"),
        Shape::Nul => get("X-A: b\0c\r\n"),
        Shape::BlankInName => get("X A: b\r\n"),
        Shape::NoName => get(": b\r\n"),
        Shape::NoColon => get("X-A\r\n"),
        Shape::HostTwice => host("Host: localhost\r\nHost: localhost\r\n"),
        Shape::HostMissing => host("X-A: b\r\n"),
        Shape::HostWithPath => host("Host: localhost/a\r\n"),
        Shape::HostWithUser => host("Host: a@localhost\r\n"),
        Shape::HostPort => host("Host: localhost:4x3\r\n"),
        Shape::HostOther => line("GET http://other.example/{} HTTP/1.1"),
        Shape::TwoBlanks => line("GET  /{} HTTP/1.1"),
        Shape::BlankInTarget => line("GET /{} a HTTP/1.1"),
        Shape::Fragment => line("GET /{}#a HTTP/1.1"),
        Shape::RawTarget => line("GET /{}\u{e9} HTTP/1.1"),
        Shape::Relative => line("GET {} HTTP/1.1"),
        Shape::StarForGet => host(&format!("Host: localhost\r\nX-Tag: {tag}\r\n")).replacen(
            &format!("/{tag}"),
            "*",
            1,
        ),
        Shape::Version09 => line("GET /{}"),
        Shape::Version12 => line("GET /{} HTTP/1.2"),
        Shape::Version20 => line("GET /{} HTTP/2.0"),
        Shape::VersionLower => line("GET /{} http/1.1"),
        Shape::Connect => "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n".into(),
        Shape::Expectation => post("Content-Length: 5\r\nExpect: 200-maybe\r\n", "hello"),
        Shape::ChunkSize => chunks("5 x\r\nhello\r\n0\r\n\r\n"),
        Shape::ChunkSigned => chunks("+5\r\nhello\r\n0\r\n\r\n"),
        Shape::ChunkHuge => chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"),
        Shape::ChunkBareLf => chunks("5\nhello\r\n0\r\n\r\n"),
        Shape::ChunkExtension => chunks("5;a\rb\r\nhello\r\n0\r\n\r\n"),
        Shape::ChunkLong => chunks("3\r\nhello\r\n0\r\n\r\n"),
        Shape::Trailer => chunks("0\r\nX-A\r\n\r\n"),
    }
}
