//! The only reading of the operating system's randomness: 32 bytes per participant, the TURN server's secret, and room
//! ids that nobody can guess. (The DTLS library draws its own, inside itself.)

use std::io;

use crate::core::ids::{BASE32, RoomId};

/// Characters of an unguessable room id: 110 bits.
const ROOM_ID_CHARS: usize = 22;

/// What everything random about one participant is expanded from.
pub fn participant() -> io::Result<[u8; 32]> {
    key()
}

/// A secret key.
pub fn key() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// A room id that cannot be guessed.
pub fn room_id() -> io::Result<RoomId> {
    name()?.parse().map_err(|_| io::Error::other("a generated room id broke the rules of room ids"))
}

/// A name of 110 random bits, for what may be used by whoever knows it.
pub fn name() -> io::Result<String> {
    let mut bytes = [0; ROOM_ID_CHARS];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| char::from(BASE32[usize::from(byte & 31)])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ids_are_long_and_never_alike() -> io::Result<()> {
        let (a, b) = (room_id()?, room_id()?);
        assert_eq!(a.as_str().len(), ROOM_ID_CHARS);
        assert_ne!(a, b);
        assert_ne!(participant()?, participant()?);
        Ok(())
    }
}
