//! The image's size by part, from its symbol table.

use std::collections::BTreeMap;

use object::read::elf::ElfFile64;
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use crate::Result;

/// Which part of the product a crate belongs to.
const CRATES: [(&str, &[&str]); 7] = [
    ("boot", &["stockade", "stockade_boot"]),
    (
        "kernel, virtio",
        &[
            "stockade_kernel",
            "virtio_drivers",
            "linked_list_allocator",
            "talc",
        ],
    ),
    ("net, smoltcp", &["stockade_net", "smoltcp", "managed"]),
    ("tls", &["stockade_tls"]),
    ("tunnel, config", &["stockade_tunnel", "stockade_config"]),
    (
        "rustls, webpki",
        &["rustls", "rustls_pki_types", "webpki", "untrusted"],
    ),
    ("core, alloc", &["core", "alloc", "compiler_builtins"]),
];

/// Crates that are neither cryptography nor ours.
const OTHER: [&str; 10] = [
    "log",
    "heapless",
    "hash32",
    "bitflags",
    "hashbrown",
    "once_cell",
    "spin",
    "arrayvec",
    "foldhash",
    "memchr",
];

const RING: &str = "ring (Rust, C, assembly)";
const RUSTCRYPTO: &str = "RustCrypto";
const REST: &str = "other crates";

/// Formats the sizes of an ELF file that still has its symbols; `file_size` is the stripped one's.
pub(super) fn table(elf: &[u8], file_size: u64) -> Result<String> {
    let elf = ElfFile64::<object::Endianness>::parse(elf)?;
    let mut parts: BTreeMap<&str, Size> = BTreeMap::new();
    let (mut total, mut named) = (Size::default(), Size::default());

    for section in elf.sections() {
        total.add(section.kind(), section.size());
    }
    // Aliases share an address; each byte is counted once.
    let mut symbols: Vec<_> = elf
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
        .filter(|symbol| symbol.size() > 0)
        .collect();
    symbols.sort_by_key(|symbol| (symbol.address(), u64::MAX - symbol.size()));
    let mut end = 0;
    for symbol in symbols {
        let Some(section) = symbol.section_index() else {
            continue;
        };
        let kind = elf.section_by_index(section)?.kind();
        let start = symbol.address().max(end);
        let bytes = (symbol.address() + symbol.size()).saturating_sub(start);
        end = end.max(symbol.address() + symbol.size());
        parts
            .entry(part(symbol.name()?))
            .or_default()
            .add(kind, bytes);
        named.add(kind, bytes);
    }
    let unnamed = Size {
        code: total.code.saturating_sub(named.code),
        data: total.data.saturating_sub(named.data),
        zero: total.zero.saturating_sub(named.zero),
    };

    let mut rows: Vec<(&str, Size)> = parts.into_iter().collect();
    rows.sort_by_key(|(_, size)| u64::MAX - size.code - size.data);
    rows.push(("stacks, unnamed constants", unnamed));
    rows.push(("all", total));
    let mut text = format!(
        "{:<26} {:>10} {:>10} {:>10}\n",
        "part", "code", "data", "zeroed"
    );
    for (name, size) in rows {
        text += &format!(
            "{name:<26} {:>10} {:>10} {:>10}\n",
            size.code, size.data, size.zero
        );
    }
    text += &format!("{:<26} {file_size:>10} bytes\n", "image file");
    Ok(text)
}

/// Bytes by kind.
#[derive(Clone, Copy, Default)]
struct Size {
    code: u64,
    data: u64,
    zero: u64,
}

impl Size {
    fn add(&mut self, kind: SectionKind, bytes: u64) {
        match kind {
            SectionKind::Text => self.code += bytes,
            SectionKind::Data | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                self.data += bytes
            }
            SectionKind::UninitializedData => self.zero += bytes,
            _ => {}
        }
    }
}

/// The part that a symbol belongs to.
fn part(symbol: &str) -> &'static str {
    let Some(name) = crate_of(symbol) else {
        // What the language runtime and the machine need has fixed names; other C names are ring's.
        return if is_own_c_name(symbol) { "boot" } else { RING };
    };
    if name == "ring" {
        return RING;
    }
    CRATES
        .iter()
        .find(|(_, crates)| crates.contains(&name.as_str()))
        .map(|(part, _)| *part)
        .unwrap_or(if OTHER.contains(&name.as_str()) {
            REST
        } else {
            RUSTCRYPTO
        })
}

fn is_own_c_name(symbol: &str) -> bool {
    [
        "memcpy",
        "memmove",
        "memset",
        "memcmp",
        "bcmp",
        "strlen",
        "rust_",
        "_start",
        "pvh",
        "boot",
        "isr",
        "exception",
        "stack",
        "page_table",
        "gdt",
        "idt",
        "__",
    ]
    .iter()
    .any(|prefix| symbol.starts_with(prefix))
}

/// The crate that a mangled Rust name belongs to; `None` for a name of C or assembly.
fn crate_of(symbol: &str) -> Option<String> {
    let demangled = rustc_demangle::try_demangle(symbol).ok()?.to_string();
    // `<a::B as c::D>::e` belongs to `a`; references and the like stand before the first path.
    let path = demangled.trim_start_matches(|c: char| "<&*[( ".contains(c));
    let path = ["mut ", "const ", "dyn ", "impl "]
        .iter()
        .fold(path, |path, word| path.trim_start_matches(word));
    let name: String = path
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_fall_to_their_crates() {
        for (symbol, expect) in [
            ("_ZN8stockade4main17h0123456789abcdefE", "boot"),
            (
                "_ZN7smoltcp5iface9interface4poll17h0123456789abcdefE",
                "net, smoltcp",
            ),
            (
                "_ZN59_$LT$rustls..server..Config$u20$as$u20$core..fmt..Debug$GT$3fmt17h0123456789abcdefE",
                "rustls, webpki",
            ),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core, alloc"),
            ("_ZN4ring6digest6digest17h0123456789abcdefE", RING),
            ("_ZN4p25610arithmetic17h0123456789abcdefE", RUSTCRYPTO),
            ("_ZN3log9max_level17h0123456789abcdefE", REST),
            ("ring_core_0_17_14__x25519_ge_scalarmult_base", RING),
            ("memcpy", "boot"),
        ] {
            assert_eq!(part(symbol), expect, "{symbol}");
        }
    }
}
