//! Access: who may come in, and what they may do there.
//!
//! A team's own back end knows its people. It signs a token for each with a key that only it and this server have; the
//! server checks the signature and the times, and reads from the claims what its bearer may do. Nothing is looked up, and
//! nothing is stored.
//!
//! All of this is pure: the time is handed in, and the same token gives the same answer at the same time.

mod authority;
mod claims;
mod gate;
mod jwt;
mod keys;
mod signature;

pub use authority::{Authority, Need};
pub use claims::Pass;
pub use gate::{AuthMode, Gate};
pub use jwt::{Denied, sign};
pub use keys::{KEY_CHARS_MAX, Key, SECRET_CHARS_MIN};
pub use signature::{SIGNATURE_FIELD, Signatures, Signed, signature};
