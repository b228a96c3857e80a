//! The records of a DTLS 1.2 datagram (RFC 6347, section 4.1), read as far as needed to tell what they contain.

/// An alert.
pub(super) const ALERT: u8 = 21;

/// One or more messages of the handshake.
pub(super) const HANDSHAKE: u8 = 22;

/// Type, version, epoch, number and length.
const HEADER_BYTES: usize = 13;

/// The position of the length in the header: its last two bytes.
const LENGTH_AT: usize = HEADER_BYTES - 2;

/// A record, or the rest of a datagram that is not a record.
pub(super) struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// All of it.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Returns its content type (RFC 5246, section 6.2.1).
    pub(super) fn content_type(&self) -> u8 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Returns its epoch, which is 0 as long as nothing is encrypted.
    pub(super) fn epoch(&self) -> u16 {
        self.0.get(3..5).map_or(0, |epoch| u16::from_be_bytes([epoch[0], epoch[1]]))
    }

    /// Returns what follows the header; `None` if this is not a whole record.
    pub(super) fn body(&self) -> Option<&'a [u8]> {
        let length = self.0.get(LENGTH_AT..HEADER_BYTES)?;
        let body = &self.0[HEADER_BYTES..];
        (body.len() == usize::from(u16::from_be_bytes([length[0], length[1]]))).then_some(body)
    }

    /// Writes it with another body, which must be shorter than 65,536 bytes.
    pub(super) fn write_with_body(&self, body: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0[..LENGTH_AT.min(self.0.len())]);
        out.extend_from_slice(&(body.len() as u16).to_be_bytes());
        out.extend_from_slice(body);
    }
}

/// The records of a datagram. A rest that is not a whole record comes last, as one.
pub(super) struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    /// Returns the records of this datagram.
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let Self(rest) = self;
        if rest.is_empty() {
            return None;
        }
        let length = rest.get(LENGTH_AT..HEADER_BYTES);
        let end = length.map_or(rest.len(), |length| {
            HEADER_BYTES + usize::from(u16::from_be_bytes([length[0], length[1]]))
        });
        let (record, left) = rest.split_at(end.min(rest.len()));
        *rest = left;
        Some(Record(record))
    }
}
