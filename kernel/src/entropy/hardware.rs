//! The processor's entropy instructions.

#![allow(unsafe_code)]

use core::arch::asm;
use core::fmt;

use super::generator::SEED;
use crate::cpu;

/// Tries for one value. Intel's guide asks for 10 with RDRAND; RDSEED may be drained for longer.
const ATTEMPTS: usize = 100;
/// Values drawn to see that the instruction works at all.
const HEALTH_CHECK: usize = 16;
/// RDRAND values that go into one 64-bit word of the first seed: RDRAND stretches its seed, so
/// more of it is drawn than is needed (Intel's DRNG guide, §5.2.6).
const RDRAND_STRETCH: usize = 64;

/// An instruction that gives entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// The conditioned noise source itself.
    Rdseed,
    /// The generator behind it.
    Rdrand,
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Instruction::Rdseed => "RDSEED",
            Instruction::Rdrand => "RDRAND",
        })
    }
}

impl Instruction {
    fn is_present(self) -> bool {
        match self {
            Instruction::Rdseed => cpu::identify(7, 0).ebx >> 18 & 1 == 1,
            Instruction::Rdrand => cpu::identify(1, 0).ecx >> 30 & 1 == 1,
        }
    }

    /// One value; `None` when the processor has none after many tries.
    fn draw(self) -> Option<u64> {
        for _ in 0..ATTEMPTS {
            let value: u64;
            let carry: u8;
            match self {
                // SAFETY: callers checked that the instruction exists; it touches no memory.
                Instruction::Rdseed => unsafe {
                    asm!("rdseed {}", "setc {}", out(reg) value, out(reg_byte) carry,
                        options(nomem, nostack));
                },
                // SAFETY: as above.
                Instruction::Rdrand => unsafe {
                    asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) carry,
                        options(nomem, nostack));
                },
            }
            if carry == 1 {
                return Some(value);
            }
            core::hint::spin_loop();
        }
        None
    }
}

/// The best instruction that is present and works, and a first seed from it.
pub(super) fn seed() -> Option<(Instruction, [u8; SEED])> {
    [Instruction::Rdseed, Instruction::Rdrand]
        .into_iter()
        .filter(|instruction| instruction.is_present())
        .find_map(|instruction| {
            let mut values = [0; HEALTH_CHECK];
            for value in &mut values {
                *value = instruction.draw()?;
            }
            if !is_healthy(&values) {
                log::warn!("{instruction} gives the same values again and again: not used");
                return None;
            }
            Some((instruction, gather(instruction)?))
        })
}

fn gather(instruction: Instruction) -> Option<[u8; SEED]> {
    let rounds = match instruction {
        Instruction::Rdseed => 1,
        Instruction::Rdrand => RDRAND_STRETCH,
    };
    let mut seed = [0; SEED];
    for word in seed.chunks_exact_mut(8) {
        let mut value = 0u64;
        for _ in 0..rounds {
            value = value.rotate_left(1) ^ instruction.draw()?;
        }
        word.copy_from_slice(&value.to_le_bytes());
    }
    Some(seed)
}

/// Whether the processor has RDRAND.
pub(super) fn has_rdrand() -> bool {
    Instruction::Rdrand.is_present()
}

/// 32 fresh bytes of RDRAND, when it answers. Only for processors that have it.
pub(super) fn rdrand() -> Option<[u8; SEED]> {
    let mut seed = [0; SEED];
    for word in seed.chunks_exact_mut(8) {
        word.copy_from_slice(&Instruction::Rdrand.draw()?.to_le_bytes());
    }
    Some(seed)
}

/// Whether values look drawn at all. Broken processors have given all ones for ever, with
/// success reported; no two of 16 true 64-bit values are ever equal.
fn is_healthy(values: &[u64]) -> bool {
    values.iter().enumerate().all(|(index, value)| {
        *value != 0 && *value != u64::MAX && !values.iter().skip(index + 1).any(|v| v == value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuck_values_are_not_healthy() {
        assert!(is_healthy(&[1, 2, 3, 4]));
        assert!(!is_healthy(&[1, 2, u64::MAX, 4]));
        assert!(!is_healthy(&[1, 0, 3, 4]));
        assert!(!is_healthy(&[5, 6, 7, 5]));
    }

    #[test]
    fn seeds_differ_where_the_processor_has_them() {
        if let (Some((_, first)), Some((_, second))) = (seed(), seed()) {
            assert_ne!(first, second);
        }
        if has_rdrand() {
            assert_ne!(rdrand(), rdrand());
        }
    }
}
