//! What the compiler and the libraries expect of a platform: an allocator, a panic handler, an
//! entropy function, and two symbols of an unwinder that is never used.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use stockade_kernel::memory::Heap;
use stockade_kernel::power::{self, exit};
use stockade_kernel::{console, entropy};

/// The heap; empty until the machine gives it memory.
#[global_allocator]
pub static HEAP: Heap = Heap::new();

/// What `alloc` says when memory runs out, from its start.
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// Prints the reason and ends the machine.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if PANICKED.swap(true, Ordering::Relaxed) {
        console::print(format_args!(
            "(a second panic while that one was reported)\n"
        ));
        power::end(exit::PANIC);
    }
    if let Some(bytes) = HEAP.failed_request()
        && begins_with(info, OUT_OF_MEMORY)
    {
        console::print(format_args!(
            "\nout of memory: {bytes} bytes wanted, {} of {} bytes in use; start QEMU with more ('-m')\n",
            HEAP.used(),
            HEAP.size()
        ));
        power::end(exit::OUT_OF_MEMORY);
    }
    // In two steps: if the message cannot be formatted, the place is on the console already.
    match info.location() {
        Some(place) => console::print(format_args!("\npanic at {place}:\n")),
        None => console::print(format_args!("\npanic:\n")),
    }
    console::print(format_args!("{}\n", info.message()));
    power::end(exit::PANIC)
}

/// Whether a panic's message begins with `prefix`. Allocates nothing.
fn begins_with(info: &PanicInfo<'_>, prefix: &str) -> bool {
    /// What of the prefix was not seen yet; `None` once something else was.
    struct Rest<'a>(Option<&'a str>);

    impl Write for Rest<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = match self.0 {
                Some(rest) if text.starts_with(rest) => Some(""),
                Some(rest) => rest.strip_prefix(text),
                None => None,
            };
            Ok(())
        }
    }

    let mut rest = Rest(Some(prefix));
    let _ = write!(rest, "{}", info.message());
    rest.0 == Some("")
}

/// `getrandom`'s custom backend: the machine's generator.
// SAFETY: `getrandom` names and types this symbol, and nobody else defines it.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(
    destination: *mut u8,
    length: usize,
) -> Result<(), getrandom::Error> {
    // SAFETY: the caller promises `length` writable bytes, perhaps without a value.
    unsafe { destination.write_bytes(0, length) };
    // SAFETY: these bytes were just given values.
    let bytes = unsafe { core::slice::from_raw_parts_mut(destination, length) };
    entropy::fill(bytes).map_err(|entropy::NotKeyed| getrandom::Error::UNEXPECTED)
}

/// The precompiled `core` was built to unwind and names these; nothing calls them.
// SAFETY: without a standard library nobody else defines the symbol.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// See [`rust_eh_personality`].
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    power::end(exit::PANIC)
}
