//! DER, field by field: borrowed from the input, never copied.

use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Header, Reader, Result, SliceReader, Tag, TagNumber};

/// One value with its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) tag: Tag,
    /// The value's bytes.
    pub(super) value: &'a [u8],
    /// Tag, length and value.
    pub(super) whole: &'a [u8],
}

impl<'a> Field<'a> {
    /// The one value that `bytes` are, with nothing after it.
    pub(super) fn only(bytes: &'a [u8], tag: Tag) -> Result<Field<'a>> {
        let mut fields = Fields::new(bytes)?;
        let field = fields.of(tag)?;
        fields.finish()?;
        Ok(field)
    }

    /// The fields inside.
    pub(super) fn fields(self) -> Result<Fields<'a>> {
        Fields::new(self.value)
    }
}

/// The fields of a DER value, taken one after another.
#[derive(Clone)]
pub(super) struct Fields<'a>(SliceReader<'a>);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Fields<'a>> {
        SliceReader::new(bytes).map(Fields)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_finished()
    }

    /// The next field, whatever its tag.
    pub(super) fn next(&mut self) -> Result<Field<'a>> {
        let whole = self.0.tlv_bytes()?;
        let mut inside = SliceReader::new(whole)?;
        let header = Header::decode(&mut inside)?;
        let value = inside.read_slice(header.length())?;
        Ok(Field {
            tag: header.tag(),
            value,
            whole,
        })
    }

    /// The next field, which must have this tag.
    pub(super) fn of(&mut self, tag: Tag) -> Result<Field<'a>> {
        let field = self.next()?;
        field.tag.assert_eq(tag)?;
        Ok(field)
    }

    /// The next field if it has this tag.
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<Field<'a>>> {
        if self.is_empty() || Tag::peek(&self.0)? != tag {
            return Ok(None);
        }
        self.next().map(Some)
    }

    /// An optional BOOLEAN whose default is FALSE.
    pub(super) fn flag(&mut self) -> Result<bool> {
        match self.optional(Tag::Boolean)? {
            Some(field) => bool::from_der(field.whole),
            None => Ok(false),
        }
    }

    /// An INTEGER that is not negative, as a number; what is too large for one becomes the largest.
    pub(super) fn small_number(field: Field<'a>) -> Result<u32> {
        let number = UintRef::from_der(field.whole)?;
        let bytes = number.as_bytes();
        if bytes.len() > 4 {
            return Ok(u32::MAX);
        }
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// Nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        self.0.finish()
    }
}

/// The tag `[number]`.
pub(super) const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}
