//! JSON Web Tokens (RFC 7519) with a signature by HMAC and SHA-256 (RFC 7515, RFC 7518 §3.2), the only algorithm that is
//! spoken: a token that asks for another, or for none, is refused before anything else of it is read.
//!
//! The cipher library that is here anyway computes and compares the signatures. The rest is three pieces of base 64, which
//! is less than a package for tokens would bring along: four more packages, three of them a second time.

use aws_lc_rs::hmac;
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

use super::keys::Key;

/// The longest token that is read, in bytes: one with as much metadata and as many attributes as may be. Those of real back
/// ends have some hundred.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// The header of the tokens that are made here.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Why a token opens nothing. The text says what is wrong, for whoever wrote the back end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied(pub String);

impl Denied {
    pub(super) fn because(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Returns the claims of a token that one of the keys has signed.
///
/// # Errors
/// The token has another form, another algorithm, or another signature than any of the keys makes.
pub(super) fn verify(token: &str, keys: &[Key]) -> Result<Value, Denied> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denied::because(format!("the token has more than {TOKEN_BYTES_MAX} bytes")));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(not_a_token)?;
    let (header, claims) = signed.split_once('.').ok_or_else(not_a_token)?;
    let header = json(header)?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if algorithm != "HS256" {
        return Err(Denied::because("the token is signed by another algorithm than HS256"));
    }
    // A header may name extensions that must be understood (RFC 7515 §4.1.11). None is.
    if header.get("crit").is_some() {
        return Err(Denied::because("the token asks for an extension that is not known here (crit)"));
    }
    let claims = json(claims)?;
    let signature = Base64UrlUnpadded::decode_vec(signature).map_err(|_| not_a_token())?;
    let issuer = claims.get("iss").map(|issuer| issuer.as_str().unwrap_or_default());
    // A token that does not name its key may be signed by any of them.
    let named = keys.iter().filter(|key| issuer.is_none_or(|issuer| key.id == issuer));
    let mut any = false;
    for key in named {
        any = true;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_bytes());
        // The comparison takes as long wherever the signatures differ.
        if hmac::verify(&key, signed.as_bytes(), &signature).is_ok() {
            return Ok(claims);
        }
    }
    Err(Denied::because(if any {
        "the token's signature is wrong: it was signed with another secret"
    } else {
        "the token names a key (iss) that this server does not have"
    }))
}

/// Returns the claims of a token, whoever has signed it and however.
///
/// # Errors
/// It has another form.
pub(super) fn claims_of(token: &str) -> Result<Value, Denied> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denied::because(format!("the token has more than {TOKEN_BYTES_MAX} bytes")));
    }
    let claims = token.split('.').nth(1).ok_or_else(not_a_token)?;
    json(claims)
}

/// Makes a token of claims, which are a JSON object, with the signature of that key.
pub fn sign(claims: &Value, key: &Key) -> String {
    let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    let signed = format!("{}.{}", part(HEADER), part(&claims.to_string()));
    let secret = hmac::Key::new(hmac::HMAC_SHA256, key.secret.as_bytes());
    let signature = Base64UrlUnpadded::encode_string(hmac::sign(&secret, signed.as_bytes()).as_ref());
    format!("{signed}.{signature}")
}

fn json(part: &str) -> Result<Value, Denied> {
    let bytes = Base64UrlUnpadded::decode_vec(part).map_err(|_| not_a_token())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| not_a_token())?;
    if value.is_object() { Ok(value) } else { Err(not_a_token()) }
}

fn not_a_token() -> Denied {
    Denied::because("this is no JSON Web Token: it needs a header, claims and a signature in base 64")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(id: &str, secret: &str) -> Key {
        Key { id: id.into(), secret: secret.into() }
    }

    #[test]
    fn the_example_of_the_standard_is_verified() {
        // RFC 7515, appendix A.1: its key is 64 bytes that are no text, so only the form of a token of others is tried
        // here, as jwt.io makes it.
        let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
            eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.\
            SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c";
        let claims = verify(token, &[key("a", "your-256-bit-secret")]).expect("a good signature");
        assert_eq!(claims["name"], "John Doe");
    }

    #[test]
    fn only_the_key_that_a_token_names_can_have_signed_it() {
        let (anna, ben) = (
            key("anna", "a secret of Anna's back end, long"),
            key("ben", "a secret of Ben's back end, long"),
        );
        let claims = json!({"iss": "anna", "sub": "x"});
        let token = sign(&claims, &anna);
        assert_eq!(verify(&token, &[ben.clone(), anna.clone()]), Ok(claims));
        assert!(
            verify(&token, std::slice::from_ref(&ben))
                .expect_err("a key that is not there")
                .0
                .contains("(iss)")
        );
        let forged = sign(&json!({"iss": "anna"}), &ben);
        assert!(verify(&forged, &[ben, anna]).expect_err("forged").0.contains("signature"));
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_a_panic() {
        let keys = [key("a", "a secret that is long enough to be one")];
        let part = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let none = format!("{}.{}.", part(r#"{"alg":"none"}"#), part("{}"));
        assert!(verify(&none, &keys).expect_err("unsigned").0.contains("HS256"));
        let crit = format!("{}.{}.AA", part(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#), part("{}"));
        assert!(verify(&crit, &keys).expect_err("an extension").0.contains("crit"));
        let list = format!("{}.{}.AA", part("[]"), part("{}"));
        for token in ["", ".", "..", "a.b.c", "é.é.é", &list, &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(verify(token, &keys).is_err(), "{token:.20}");
        }
        let good = sign(&json!({"sub": "x"}), &keys[0]);
        for index in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("still ASCII");
            assert!(verify(&changed, &keys).is_err(), "byte {index} does not count");
        }
    }
}
