//! Deltas: an object as what it has of another one (gitformat-pack(5), "Deltified representation").

use alloc::vec::Vec;

use super::Error;

/// What a copy of length 0 copies.
const WHOLE: usize = 0x1_0000;

/// Bits of a copy instruction's first byte.
const COPY: u8 = 0x80;

/// Reads numbers of seven bits a byte, the lowest first.
fn size(delta: &mut &[u8]) -> Result<usize, Error> {
    let mut value: usize = 0;
    for shift in (0..usize::BITS - 7).step_by(7) {
        let byte = take(delta)?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::Pack("a delta's size has no end"))
}

fn take(delta: &mut &[u8]) -> Result<u8, Error> {
    let (first, rest) = delta.split_first().ok_or(SHORT)?;
    *delta = rest;
    Ok(*first)
}

const SHORT: Error = Error::Pack("a delta ends in mid-instruction");

/// How large the object is that this delta makes.
pub(super) fn result_size(mut delta: &[u8]) -> Result<usize, Error> {
    size(&mut delta)?;
    size(&mut delta)
}

/// Makes the object that `delta` describes, of at most `most` bytes.
pub(super) fn apply(base: &[u8], mut delta: &[u8], most: usize) -> Result<Vec<u8>, Error> {
    if size(&mut delta)? != base.len() {
        return Err(Error::Pack("a delta is for an object of another size"));
    }
    let length = size(&mut delta)?;
    if length > most {
        return Err(Error::TooMuch("an object's bytes"));
    }
    let mut result = Vec::with_capacity(length);
    while !delta.is_empty() {
        let instruction = take(&mut delta)?;
        let piece = match instruction {
            0 => return Err(Error::Pack("a delta has a reserved instruction")),
            1..COPY => {
                let count = usize::from(instruction);
                let (piece, rest) = delta.split_at_checked(count).ok_or(SHORT)?;
                delta = rest;
                piece
            }
            COPY.. => copied(base, instruction, &mut delta)?,
        };
        if piece.len() > length - result.len() {
            return Err(Error::Pack("a delta makes more than it says"));
        }
        result.extend_from_slice(piece);
    }
    match result.len() == length {
        true => Ok(result),
        false => Err(Error::Pack("a delta makes less than it says")),
    }
}

/// What a copy instruction copies: four bits say which bytes of the offset follow, three which of the
/// length.
fn copied<'a>(base: &'a [u8], instruction: u8, delta: &mut &[u8]) -> Result<&'a [u8], Error> {
    let mut number = |first: u8, count: u8| {
        let mut value = 0;
        for place in 0..count {
            if instruction & (1 << (first + place)) != 0 {
                value |= usize::from(take(delta)?) << (8 * place);
            }
        }
        Ok(value)
    };
    let offset = number(0, 4)?;
    let length = match number(4, 3)? {
        0 => WHOLE,
        length => length,
    };
    let end = offset.checked_add(length);
    end.and_then(|end| base.get(offset..end))
        .ok_or(Error::Pack("a delta copies from beyond its base"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const BASE: &[u8] = b"0123456789";

    fn made(delta: &[u8]) -> Result<Vec<u8>, Error> {
        apply(BASE, delta, 1000)
    }

    #[test]
    fn copies_and_insertions_make_an_object() {
        // Copy 4 bytes from 6, insert 3, copy 2 from 0.
        let delta = [10, 9, 0x91, 6, 4, 3, b'a', b'b', b'c', 0x90, 2];
        assert_eq!(made(&delta).unwrap(), b"6789abc01");
        assert_eq!(result_size(&delta), Ok(9));
    }

    #[test]
    fn a_length_of_nothing_is_64_kib() {
        let base = vec![7; WHOLE + 1];
        // Sizes 65,537 and 65,536, then a copy from 1 without any length.
        let delta = [0x81, 0x80, 4, 0x80, 0x80, 4, 0x81, 1];
        assert_eq!(apply(&base, &delta, WHOLE).unwrap(), vec![7; WHOLE]);
        let error = apply(&base, &delta, WHOLE - 1);
        assert_eq!(error, Err(Error::TooMuch("an object's bytes")));
    }

    #[test]
    fn damaged_deltas_are_refused() {
        for delta in [
            &[][..],
            &[10],
            &[11, 1, 1, b'a'],
            &[10, 1],
            &[10, 1, 2, b'a'],
            &[10, 1, 0],
            &[10, 1, 2, b'a', b'b'],
            &[10, 2, 1, b'a'],
            &[10, 3, 0x91, 8, 3],
            &[10, 3, 0x91, 8],
            &[10, 3, 0x9f, 0xff, 0xff, 0xff, 0xff, 3],
            &[0xff; 20],
        ] {
            assert!(made(delta).is_err(), "{delta:?}");
        }
    }
}
