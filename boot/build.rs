//! Link arguments of the image: no libc, no start files, our own layout.

use std::env;
use std::path::Path;

fn main() {
    let root = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let script = Path::new(&root).join("stockade.ld");
    println!("cargo:rerun-if-changed={}", script.display());
    println!("cargo:rerun-if-changed=src/entry.s");
    println!("cargo:rerun-if-changed=src/exceptions.s");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none,--gc-sections,--no-dynamic-linker,-z,noexecstack,-z,max-page-size=4096",
        // Nothing writable and executable, not even for the linker's own reasons.
        "-Wl,--orphan-handling=error,--fatal-warnings",
        // Functions of several types that come out the same are there once: 20 KB. Nothing here compares
        // addresses of functions or constants. Of LLD, which is the toolchain's own linker.
        "-Wl,--icf=all",
    ] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
