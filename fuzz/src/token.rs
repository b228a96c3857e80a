//! Tokens: their claims, and their form.

use strait::access::{Gate, Key, Pass};

/// The longest token that is read, bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// `token`: text that is no token of ours opens nothing, and why is said on one line; what claims mean is what they mean again
/// in a token that is made of it.
pub fn token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = Key { id: "fuzz".into(), secret: "a secret that nobody can guess, of any length".into() };
    let gate = Gate { keys: vec![key], ..Gate::default() };
    let denied = gate.read(text, 1_800_000_000).expect_err("nobody has signed it");
    assert!(!denied.0.is_empty() && denied.0.len() < 1000 && !denied.0.contains('\n'), "{denied:?}");
    let Ok(pass) = Pass::of_text(text) else { return };
    assert!(!pass.identity.is_empty() && pass.profile("Somebody").excess().is_none());
    let token = gate.sign(&pass).expect("there is a key");
    // Valid at one moment at least, or at none.
    if pass.not_before < pass.expires && token.len() <= TOKEN_BYTES_MAX {
        assert_eq!(gate.read(&token, pass.not_before), Ok(pass));
    }
}
