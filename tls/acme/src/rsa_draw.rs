//! Drawing RSA keys in small steps: a thread that serves others can't be away for seconds.
//!
//! A key is two primes (FIPS 186-5 §A.1.3). Each candidate is drawn anew and tested by the tests of
//! Miller and Rabin with base 2, of Lucas (the two make Baillie's, Pomerance's, Selfridge's and
//! Wagstaff's), and of Miller and Rabin with further bases. No number that is no prime is known to pass
//! the first two.

use alloc::boxed::Box;
use alloc::vec;

use num_bigint_dig::BigUint;
use num_bigint_dig::prime::{probably_prime_lucas, probably_prime_miller_rabin};
use rsa::RsaPrivateKey;
use zeroize::Zeroizing;

use crate::key::Kind;
use crate::{Key, NoKey};

/// The public exponent, as everybody has it.
const EXPONENT: u32 = 65_537;

/// Candidates are not divisible by primes below this, which spares four tests of five.
const SMALL: u32 = 1_000;

/// Candidates that are drawn in one step at most until one is worth a test: most steps test one.
const DRAWS: u32 = 32;

/// Rounds of the last test. Table B.1 of FIPS 186-5 asks for five at most with primes of 1,024 bits
/// and more.
const ROUNDS: usize = 5;

/// Steps until a key is given up: some hundred are usual, a thousand with 4,096 bits.
const STEPS: u32 = 1_000_000;

/// Bits in which the two primes differ (FIPS 186-5 §A.1.3: not in the highest 100 alone).
const ALIKE: usize = 100;

/// A key of RSA that is being drawn. Call [`step`](Self::step) until there is one.
pub struct RsaDraw {
    bits: usize,
    steps: u32,
    /// What is being tested, and how.
    candidate: Option<(Zeroizing<BigUint>, Test)>,
    first: Option<Zeroizing<BigUint>>,
}

#[derive(Clone, Copy)]
enum Test {
    Base2,
    Lucas,
    Bases,
}

impl RsaDraw {
    /// Begins: `bits` is 2,048, 3,072 or 4,096.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn new(bits: u16) -> Result<RsaDraw, NoKey> {
        match bits {
            2_048 | 3_072 | 4_096 => Ok(RsaDraw {
                bits: bits.into(),
                steps: 0,
                candidate: None,
                first: None,
            }),
            _ => Err(NoKey),
        }
    }

    /// Goes on for the time of one test, some thousandths of a second: `fill` gives unpredictable
    /// bytes. `None` while there is no key yet.
    ///
    /// # Errors
    ///
    /// None comes of the bytes, which is not to be expected of unpredictable ones.
    pub fn step(&mut self, mut fill: impl FnMut(&mut [u8])) -> Result<Option<Key>, NoKey> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(NoKey);
        }
        let Some((candidate, test)) = self.candidate.take() else {
            let candidate = (0..DRAWS).find_map(|_| self.draw(&mut fill));
            self.candidate = candidate.map(|candidate| (candidate, Test::Base2));
            return Ok(None);
        };
        let (passes, next) = match test {
            Test::Base2 => (
                probably_prime_miller_rabin(&candidate, 1, true),
                Some(Test::Lucas),
            ),
            Test::Lucas => (probably_prime_lucas(&candidate), Some(Test::Bases)),
            Test::Bases => (probably_prime_miller_rabin(&candidate, ROUNDS, true), None),
        };
        match (passes, next) {
            (false, _) => Ok(None),
            (true, Some(next)) => {
                self.candidate = Some((candidate, next));
                Ok(None)
            }
            (true, None) => self.take(candidate),
        }
    }

    /// A number of half the key's length, its two highest bits set, so that the product has the whole
    /// length; `None` for one that is surely no prime, or does not go with the exponent.
    fn draw(&self, fill: &mut impl FnMut(&mut [u8])) -> Option<Zeroizing<BigUint>> {
        let mut bytes = Zeroizing::new(vec![0; self.bits / 16]);
        fill(&mut bytes);
        *bytes.first_mut()? |= 0xc0;
        *bytes.last_mut()? |= 1;
        let is_divided = (3..SMALL)
            .step_by(2)
            .any(|divisor| remainder(&bytes, divisor) == 0);
        match is_divided || remainder(&bytes, EXPONENT) == 1 {
            true => None,
            false => Some(Zeroizing::new(BigUint::from_bytes_be(&bytes))),
        }
    }

    fn take(&mut self, prime: Zeroizing<BigUint>) -> Result<Option<Key>, NoKey> {
        let Some(first) = self.first.take() else {
            self.first = Some(prime);
            return Ok(None);
        };
        let apart = match *first > *prime {
            true => Zeroizing::new(&*first - &*prime),
            false => Zeroizing::new(&*prime - &*first),
        };
        if apart.bits() <= self.bits / 2 - ALIKE {
            self.first = Some(first);
            return Ok(None);
        }
        let (first, second) = ((*first).clone(), (*prime).clone());
        let key = RsaPrivateKey::from_p_q(first, second, EXPONENT.into());
        let key = key.map_err(|_| NoKey)?;
        Ok(Some(Key(Kind::Rsa(Box::new(key)))))
    }
}

/// What is left of a number, the highest byte first, when it is divided.
fn remainder(number: &[u8], divisor: u32) -> u32 {
    let step =
        |rest: u32, byte: &u8| (u64::from(rest) << 8 | u64::from(*byte)) % u64::from(divisor);
    number.iter().fold(0, |rest, byte| step(rest, byte) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identifier, certificate_request};
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    use rsa::signature::Verifier;
    use rsa::traits::{PrivateKeyParts, PublicKeyParts};
    use sha2::{Digest, Sha256};
    use x509_cert::der::{Decode, Encode};
    use x509_cert::request::CertReq;

    /// Bytes that look like chance, and are the same each time.
    fn stream(seed: u8) -> impl FnMut(&mut [u8]) {
        let mut count = 0_u64;
        move |bytes| {
            for piece in bytes.chunks_mut(32) {
                let hash = Sha256::new_with_prefix([seed]).chain_update(count.to_be_bytes());
                count += 1;
                piece.copy_from_slice(&hash.finalize()[..piece.len()]);
            }
        }
    }

    fn drawn(bits: u16) -> (Key, u32) {
        let (mut draw, mut fill) = (RsaDraw::new(bits).unwrap(), stream(1));
        loop {
            if let Some(key) = draw.step(&mut fill).unwrap() {
                return (key, draw.steps);
            }
        }
    }

    #[test]
    fn a_key_has_its_length_and_survives_its_file() {
        let (key, steps) = drawn(2_048);
        assert!(steps > 10, "{steps}");
        let pem = key.to_pem().unwrap();
        let again = Key::from_pem(&pem).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        let Kind::Rsa(key) = &again.0 else {
            panic!("it is of RSA");
        };
        assert_eq!((key.n().bits(), key.e()), (2_048, &EXPONENT.into()));
        key.validate().unwrap();
        for prime in key.primes() {
            assert_eq!(prime.bits(), 1_024);
            assert!(num_bigint_dig::prime::probably_prime(prime, 20));
        }
    }

    #[test]
    fn a_request_is_signed_by_a_key_of_rsa() {
        let (key, _) = drawn(2_048);
        let name = Identifier::parse("a.example").unwrap();
        let bytes = certificate_request(&key, &[name]).unwrap();
        let request = CertReq::from_der(&bytes).unwrap();
        let Kind::Rsa(key) = &key.0 else {
            panic!("it is of RSA");
        };
        let public = VerifyingKey::<Sha256>::new(key.to_public_key());
        let signature = Signature::try_from(request.signature.raw_bytes()).unwrap();
        let signed = request.info.to_der().unwrap();
        public.verify(&signed, &signature).unwrap();
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn what_is_no_chance_comes_to_no_key() {
        for bits in [0, 1_024, 2_047, 8_192] {
            assert!(RsaDraw::new(bits).is_err());
        }
        let mut draw = RsaDraw::new(2_048).unwrap();
        draw.steps = STEPS - 10;
        let mut drawn = (0..20).map(|_| draw.step(|bytes| bytes.fill(7)));
        assert!(drawn.any(|drawn| drawn.is_err()));
    }

    #[test]
    fn remainders_are_right() {
        for (number, divisor) in [
            (0x1234_5678_u32, 7),
            (0xffff_ffff, 65_537),
            (65_538, 65_537),
        ] {
            assert_eq!(remainder(&number.to_be_bytes(), divisor), number % divisor);
        }
    }
}
