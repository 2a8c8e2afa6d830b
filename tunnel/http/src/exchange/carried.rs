//! One request on its way to its backend, and what comes back.

use alloc::vec::Vec;

use super::{MAX_WAITING, View};
use crate::body::{Body, BodyError, Framing, Piece, write_chunk, write_end};
use crate::head::Scan;
use crate::{Refusal, Request, response};

/// Bytes around a chunk of so many.
const CHUNK_FRAME: usize = 8;

/// Most interim answers to one request: an endless row of them would hold a client for ever.
pub(super) const MAX_INTERIM: u8 = 64;

/// A request on its way, and its response.
pub(super) struct Carried {
    pub(super) request: Request,
    /// Its head as the backend gets it, for as long as it may have to be sent again.
    pub(super) head: Vec<u8>,
    /// Bytes of the body so far.
    pub(super) sent: u64,
    pub(super) asked: Body,
    pub(super) answer: Answer,
    /// The backend's connection was kept from an earlier request.
    pub(super) reused: bool,
    /// It has said something.
    pub(super) answered: bool,
    /// Interim answers so far.
    pub(super) interim: u8,
}

pub(super) enum Answer {
    /// Its head comes; it was looked through so far.
    Head(Scan),
    Body {
        from: Body,
        to: Framing,
        keep: bool,
        client_keep: bool,
    },
    Done {
        keep: bool,
        client_keep: bool,
    },
}

/// Bytes of content that there is room for.
fn room(out: &[u8], framing: Framing) -> usize {
    let frame = match framing {
        Framing::Chunked => CHUNK_FRAME,
        _ => 0,
    };
    MAX_WAITING.saturating_sub(out.len() + frame)
}

pub(super) enum Down {
    Took(usize),
    /// Another protocol begins behind so many bytes.
    Upgrade(usize),
}

pub(super) enum Failure {
    /// The kept connection was dead: the request can go by another one.
    Repeat,
    /// The client gets a page: the backend has given no answer, or one that is none.
    Page(Option<Refusal>),
    /// The client has got a part of the answer.
    Cut,
}

impl Carried {
    /// Carries the request's body; returns how many bytes were taken.
    ///
    /// # Errors
    ///
    /// The status that it is refused with.
    pub(super) fn up(
        &mut self,
        bytes: &[u8],
        most: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<usize, u16> {
        let mut at = 0;
        while out.len() + CHUNK_FRAME < MAX_WAITING {
            let waiting = bytes.get(at..).unwrap_or_default();
            let piece = self.asked.next(waiting).map_err(|_| 400_u16)?;
            let count = match piece {
                Piece::More | Piece::End => break,
                Piece::Framing(count) => count,
                Piece::Content(count) => {
                    let count = count.min(room(out, self.request.framing));
                    self.sent = self
                        .sent
                        .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                    if most.is_some_and(|most| self.sent > most) {
                        return Err(413);
                    }
                    let content = waiting.get(..count).unwrap_or_default();
                    match self.request.framing {
                        Framing::Chunked => write_chunk(out, content),
                        _ => out.extend_from_slice(content),
                    }
                    count
                }
                Piece::Trailers(count) => {
                    write_end(out, waiting.get(..count).unwrap_or_default());
                    count
                }
            };
            self.asked.took(waiting, piece, count);
            at += count;
        }
        Ok(at)
    }

    /// Carries the answer.
    pub(super) fn down(
        &mut self,
        backend: View<'_>,
        ends: bool,
        extra: Option<(&str, &str)>,
        out: &mut Vec<u8>,
    ) -> Result<Down, Failure> {
        let mut at = 0;
        while out.len() + CHUNK_FRAME < MAX_WAITING {
            let waiting = backend.bytes.get(at..).unwrap_or_default();
            match &mut self.answer {
                Answer::Head(scan) => {
                    let length = scan.length(waiting);
                    let length = length.map_err(|why| Failure::Page(Some(why)))?;
                    let Some(head) = length.and_then(|length| waiting.get(..length)) else {
                        if !backend.ended {
                            break;
                        }
                        let may_repeat = self.reused && !self.answered;
                        return Err(match may_repeat && self.request.may_repeat {
                            true => Failure::Repeat,
                            false => Failure::Page(None),
                        });
                    };
                    let closes = ends || !self.asked.is_over();
                    let found = response::whole(head, &self.request, closes, extra, out);
                    let found = found.map_err(|why| Failure::Page(Some(why)))?;
                    at += found.length;
                    *scan = Scan::default();
                    if found.is_upgrade {
                        return Ok(Down::Upgrade(at));
                    }
                    if found.is_interim {
                        self.interim += 1;
                        if self.interim > MAX_INTERIM {
                            return Err(Failure::Page(Some(Refusal::TooLong)));
                        }
                    } else {
                        self.answer = Answer::Body {
                            from: Body::new(found.framing),
                            to: found.to_client,
                            keep: found.keep_alive,
                            client_keep: found.client_keep_alive,
                        };
                    }
                }
                Answer::Body {
                    from,
                    to,
                    keep,
                    client_keep,
                } => {
                    let piece = from.next(waiting).map_err(|_: BodyError| Failure::Cut)?;
                    let count = match piece {
                        Piece::More if backend.ended && backend.lost => return Err(Failure::Cut),
                        Piece::More if backend.ended => {
                            from.ended().map_err(|_| Failure::Cut)?;
                            0
                        }
                        Piece::More => break,
                        Piece::End => 0,
                        Piece::Framing(count) => count,
                        Piece::Content(count) => {
                            let count = count.min(room(out, *to));
                            let content = waiting.get(..count).unwrap_or_default();
                            match to {
                                Framing::Chunked => write_chunk(out, content),
                                _ => out.extend_from_slice(content),
                            }
                            count
                        }
                        Piece::Trailers(count) => {
                            if *to == Framing::Chunked {
                                write_end(out, waiting.get(..count).unwrap_or_default());
                                // Written once, here.
                                *to = Framing::None;
                            }
                            count
                        }
                    };
                    from.took(waiting, piece, count);
                    at += count;
                    if from.is_over() {
                        if *to == Framing::Chunked {
                            write_end(out, b"");
                        }
                        self.answer = Answer::Done {
                            keep: *keep,
                            client_keep: *client_keep,
                        };
                    }
                }
                Answer::Done { .. } => break,
            }
        }
        Ok(Down::Took(at))
    }
}
