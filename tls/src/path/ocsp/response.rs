//! A response, taken apart (RFC 6960 §4.2.1).

use x509_cert::der::{self, Tag};

use super::super::certificate::{Certificate, Signed, bits, time};
use super::super::extensions;
use super::super::fields::{Field, Fields, context};
use super::super::name::Name;
use super::request::{NONCE, hash};
use super::{CertificateStatus, MAX_OCSP_RESPONSE, OcspError, Status};

/// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];

/// Most answers in one response; we ask for one, and stapled ones have one.
const MAX_ANSWERS: usize = 64;

/// A BasicOCSPResponse.
pub(super) struct Basic<'a> {
    pub(super) signed: Signed<'a>,
    pub(super) responder: Responder<'a>,
    pub(super) nonce: Option<&'a [u8]>,
    /// Whether there is a critical extension that is not known.
    pub(super) unknown_critical: bool,
    responses: &'a [u8],
    certificates: &'a [u8],
}

/// Who says that it has signed.
pub(super) enum Responder<'a> {
    /// Its canonical subject.
    Name(Name<'a>),
    /// SHA-1 of its public key.
    Key(&'a [u8]),
}

/// The answer about one certificate.
pub(super) struct Single<'a> {
    /// The content of CertID.
    pub(super) id: &'a [u8],
    pub(super) status: CertificateStatus,
    pub(super) unknown_critical: bool,
}

fn malformed(part: &'static str) -> impl Fn(der::Error) -> OcspError {
    move |_| OcspError::Malformed { part }
}

impl<'a> Basic<'a> {
    /// Reads an OCSPResponse.
    pub(super) fn parse(response: &'a [u8]) -> Result<Basic<'a>, OcspError> {
        if response.len() > MAX_OCSP_RESPONSE {
            return Err(OcspError::Malformed { part: "length" });
        }
        let (status, bytes) = outermost(response).map_err(malformed("response"))?;
        if status != 0 {
            return Err(OcspError::Responder { status });
        }
        let basic = match bytes.map(content).transpose() {
            Ok(Some((BASIC, basic))) => basic,
            _ => {
                return Err(OcspError::Malformed {
                    part: "response type",
                });
            }
        };
        Basic::read(basic)
    }

    fn read(basic: &'a [u8]) -> Result<Basic<'a>, OcspError> {
        let outer = |basic| {
            let mut outer = Field::only(basic, Tag::Sequence)?.fields()?;
            let data = outer.of(Tag::Sequence)?;
            let algorithm = outer.of(Tag::Sequence)?.value;
            let signature = bits(outer.next()?)?;
            let certificates = match outer.optional(context(0, true))? {
                Some(wrapped) => Field::only(wrapped.value, Tag::Sequence)?.value,
                None => &[],
            };
            outer.finish()?;
            let signed = Signed {
                message: data.whole,
                algorithm,
                signature,
            };
            Ok((signed, data, certificates))
        };
        let (signed, data, certificates) = outer(basic).map_err(malformed("basic response"))?;
        let inner = || {
            let mut fields = data.fields()?;
            if let Some(version) = fields.optional(context(0, true))?
                && Fields::small_number(Field::only(version.value, Tag::Integer)?)? != 0
            {
                return Err(Tag::Integer.value_error().into());
            }
            let responder = Responder::parse(fields.next()?)?;
            time(fields.of(Tag::GeneralizedTime)?)?;
            let responses = fields.of(Tag::Sequence)?.value;
            let extensions = match fields.optional(context(1, true))? {
                Some(wrapped) => Field::only(wrapped.value, Tag::Sequence)?.value,
                None => &[],
            };
            fields.finish()?;
            Ok((responder, responses, extensions))
        };
        let (responder, responses, all) = inner().map_err(malformed("response data"))?;
        let mut basic = Basic {
            signed,
            responder,
            nonce: None,
            unknown_critical: false,
            responses,
            certificates,
        };
        extensions::each(all, |extension| {
            if extension.id == NONCE {
                // Before RFC 6960 some had the nonce as it is, not in an OCTET STRING of its own.
                let wrapped = Field::only(extension.value, Tag::OctetString);
                basic.nonce = Some(wrapped.map_or(extension.value, |nonce| nonce.value));
            } else {
                basic.unknown_critical |= extension.critical;
            }
            Ok(())
        })
        .map_err(|malformed| OcspError::Malformed { part: malformed.0 })?;
        Ok(basic)
    }

    /// All answers, in order.
    pub(super) fn singles(
        &self,
    ) -> Result<impl Iterator<Item = Result<Single<'a>, OcspError>> + use<'a>, OcspError> {
        let part = "answer";
        let mut fields = Fields::new(self.responses).map_err(malformed(part))?;
        let answers = core::iter::from_fn(move || {
            if fields.is_empty() {
                return None;
            }
            let single = fields.of(Tag::Sequence).map_err(malformed(part));
            Some(single.and_then(Single::parse))
        });
        Ok(answers.take(MAX_ANSWERS))
    }

    /// The DER of the certificates that came with it; what follows one that cannot be read is
    /// passed over.
    pub(super) fn certificates(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut fields = Fields::new(self.certificates).ok();
        core::iter::from_fn(move || {
            let fields = fields.as_mut().filter(|fields| !fields.is_empty())?;
            Some(fields.next().ok()?.whole)
        })
    }
}

/// The responder's status, and the content of responseBytes.
fn outermost(response: &[u8]) -> der::Result<(u8, Option<&[u8]>)> {
    let mut fields = Field::only(response, Tag::Sequence)?.fields()?;
    let status = match fields.of(Tag::Enumerated)?.value {
        [status] => *status,
        _ => return Err(Tag::Enumerated.value_error().into()),
    };
    let bytes = match fields.optional(context(0, true))? {
        Some(wrapped) => Some(Field::only(wrapped.value, Tag::Sequence)?.value),
        None => None,
    };
    fields.finish()?;
    Ok((status, bytes))
}

/// The type in responseBytes, and its value.
fn content(bytes: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut fields = Fields::new(bytes)?;
    let kind = fields.of(Tag::ObjectIdentifier)?.value;
    let value = fields.of(Tag::OctetString)?.value;
    fields.finish()?;
    Ok((kind, value))
}

impl<'a> Responder<'a> {
    fn parse(field: Field<'a>) -> der::Result<Responder<'a>> {
        match field.tag {
            tag if tag == context(1, true) => {
                let name = Field::only(field.value, Tag::Sequence)?.value;
                Ok(Responder::Name(Name::parse(name)?))
            }
            tag if tag == context(2, true) => {
                let key = Field::only(field.value, Tag::OctetString)?.value;
                Ok(Responder::Key(key))
            }
            tag => Err(tag.unexpected_error(None).into()),
        }
    }

    /// Whether it is the holder of this certificate.
    pub(super) fn is(&self, certificate: &Certificate<'_>) -> bool {
        match self {
            Responder::Name(name) => name.canonical() == certificate.subject.canonical(),
            Responder::Key(key) => *key == hash(certificate.key.bytes),
        }
    }
}

impl<'a> Single<'a> {
    fn parse(field: Field<'a>) -> Result<Single<'a>, OcspError> {
        let read = || {
            let mut fields = field.fields()?;
            let id = fields.of(Tag::Sequence)?.value;
            let state = state(fields.next()?)?;
            let this_update = time(fields.of(Tag::GeneralizedTime)?)?;
            let next_update = match fields.optional(context(0, true))? {
                Some(wrapped) => Some(time(Field::only(wrapped.value, Tag::GeneralizedTime)?)?),
                None => None,
            };
            let extensions = match fields.optional(context(1, true))? {
                Some(wrapped) => Field::only(wrapped.value, Tag::Sequence)?.value,
                None => &[],
            };
            fields.finish()?;
            let status = CertificateStatus {
                state,
                this_update,
                next_update,
            };
            Ok((id, status, extensions))
        };
        let (id, status, all) = read().map_err(malformed("answer"))?;
        let mut unknown_critical = false;
        extensions::each(all, |extension| {
            unknown_critical |= extension.critical;
            Ok(())
        })
        .map_err(|malformed| OcspError::Malformed { part: malformed.0 })?;
        Ok(Single {
            id,
            status,
            unknown_critical,
        })
    }
}

/// CertStatus.
fn state(field: Field<'_>) -> der::Result<Status> {
    match field.tag {
        tag if tag == context(0, false) && field.value.is_empty() => Ok(Status::Good),
        tag if tag == context(2, false) && field.value.is_empty() => Ok(Status::Unknown),
        tag if tag == context(1, true) => {
            let mut fields = field.fields()?;
            let at = time(fields.of(Tag::GeneralizedTime)?)?;
            let reason = match fields.optional(context(0, true))? {
                Some(wrapped) => match Field::only(wrapped.value, Tag::Enumerated)?.value {
                    [reason] => Some(*reason),
                    _ => return Err(Tag::Enumerated.value_error().into()),
                },
                None => None,
            };
            fields.finish()?;
            Ok(Status::Revoked { at, reason })
        }
        tag => Err(tag.unexpected_error(None).into()),
    }
}
