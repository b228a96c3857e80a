//! The only place where the operating system's randomness is read: 32 bytes for each participant, the TURN server's
//! secret, and names that nobody can guess. (The DTLS library draws its own.)

use std::io;

use crate::core::ids::{BASE32, RoomId};

/// How many characters an unguessable room id has: 110 bits.
const ROOM_ID_CHARS: usize = 22;

/// Draws the bytes from which everything random about one participant is expanded.
pub fn participant() -> io::Result<[u8; 32]> {
    key()
}

/// Draws a secret key of 256 bits.
pub fn key() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

/// Draws a room id that cannot be guessed.
pub fn room_id() -> io::Result<RoomId> {
    name()?.parse().map_err(|_| io::Error::other("a generated room id broke the rules of room ids"))
}

/// Draws a name of 110 random bits, for things that anybody who knows the name may use.
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
