//! Entropy: a ChaCha20 generator, keyed from the processor and from virtio-rng.

mod generator;
mod hardware;
mod virtio_rng;

use core::fmt;

use crate::once::OneAtATime;
use generator::{Generator, SEED};
pub use virtio_rng::read as read_virtio_rng;

/// The machine offers no source of entropy that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no source of entropy, so no key would be safe: start QEMU with '-cpu max' or '-cpu host' (for RDRAND), or add '-device virtio-rng-pci' ('virtio-rng-device' on microvm)"
        )
    }
}

impl core::error::Error for NoEntropy {}

/// Which sources keyed the generator; displays as words for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The processor's instruction.
    pub processor: Option<Instruction>,
    /// A virtio-rng device.
    pub virtio: bool,
}

pub use hardware::Instruction;

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.processor, self.virtio) {
            (Some(instruction), true) => write!(f, "{instruction} and virtio-rng"),
            (Some(instruction), false) => write!(f, "{instruction}"),
            (None, true) => f.write_str("virtio-rng"),
            (None, false) => f.write_str("nothing"),
        }
    }
}

/// The one generator: `getrandom`'s interface is a function without arguments, so it cannot be
/// handed around.
static POOL: OneAtATime<Option<Pool>> = OneAtATime::new(None);

struct Pool {
    generator: Generator,
    /// Whether RDRAND is there, to be mixed into every request.
    refresh: bool,
}

/// Keys the generator. `virtio` is what a virtio-rng device gave, if there is one.
///
/// Either source is enough; both are mixed, so that the result is as good as the better one.
pub fn start(virtio: Option<&[u8; SEED]>) -> Result<Sources, NoEntropy> {
    let mut generator = Generator::new();
    let processor = hardware::seed();
    if let Some((_, seed)) = &processor {
        generator.mix(seed);
    }
    if let Some(seed) = virtio {
        generator.mix(seed);
    }
    let sources = Sources {
        processor: processor.map(|(instruction, _)| instruction),
        virtio: virtio.is_some(),
    };
    if sources.processor.is_none() && !sources.virtio {
        return Err(NoEntropy);
    }
    let refresh = hardware::has_rdrand();
    POOL.try_with(|pool| *pool = Some(Pool { generator, refresh }));
    Ok(sources)
}

/// The generator was asked before it was keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKeyed;

/// Fills `bytes` from the generator.
///
/// Where the processor has RDRAND, fresh output of it is mixed in first: copies of a machine
/// made from one snapshot then draw different numbers.
pub fn fill(bytes: &mut [u8]) -> Result<(), NotKeyed> {
    POOL.try_with(|pool| {
        let pool = pool.as_mut()?;
        if pool.refresh
            && let Some(fresh) = hardware::rdrand()
        {
            pool.generator.mix(&fresh);
        }
        pool.generator.fill(bytes);
        Some(())
    })
    .flatten()
    .ok_or(NotKeyed)
}
