//! What two people with keys, and one in between, can do to a file.

use std::io::{self, Read, Write};

use base64ct::{Base64, Base64Unpadded, Encoding};

use super::stream::CHUNK_BYTES;
use super::*;

/// A key that age-keygen made, and what `age` 1.1 (Go) and the library of `rage` (Rust) encrypted to it. The first file
/// is for another key too. The second has a stanza of random words, which `rage` adds so that readers stay tolerant.
const KEY: &str = "AGE-SECRET-KEY-1MEK343QN6DFAZW7432MXS3235NQWWJJAJ3ZUXX7JDWSSPYJTQZHQQLZM8Q";
const BY_AGE: &str = "\
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBGRElsaXJGQVMxRjFXWTMzaGxxL2hxZEFQeUZzb08wVGZCeGMxWlAxa2lz\
Ckc2ZFo1dmVDMzkyZlVCdGpzSGJ6TDc5c1dGWFRHYTZqbDNJUlRiMkRwZnMKLT4gWDI1NTE5IFhoNnNpTzE5UDFNQ3I3QUxqWkFV\
WmxhV0lmYXBZYXM2WjUyK05SQWpHR3cKdUNmSEVFbzI4QXdQS2M0N3IyUXY2MFJWNHNhNG1qMVR3MnVZUVF5YzZxWQotLS0gaHJI\
c01yUm43cHQ3QTVCWXJJcVlQTE9XcHdyTTBKMFBFYmJzMlJyVGExRQqUrbkDdsFCI0K1fLGHX1PSvMwScvbRM1SLlSbjWlP3PjKa\
2rBjq1GqpOHQYCNycsrGMg==\
";
const BY_RAGE: &str = "\
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBjbjZxRVJPOUdLTEZBbEhKQms2WmdzbUhnTktSNlpHRFExQVJ6NFlIcmtj\
Ckw4eDNnUDdDMDV2TXBpZitpRHVucXpkc3BCOTM5MS9waGVHNHNRWnE4L1kKLT4gWi1ncmVhc2UgY0ooZD9FYlMgO0shVDJ0IChC\
bDUkUWwKSGtVTlZEbmduYVYxck1EcE9ma1ErdwotLS0gK2t4d1BHYWZtN3dFMnJNL3pmSmNDOUNra2QydTZQOVJRNFhrNENDTEEy\
Ywo3p2zYmT1GDggHADXqp0wMhggXPpz9mIhjfYXXJPVqfJfDwk3J0deBrmFGFsUyxP6wqg==\
";

fn key() -> PrivateKey {
    PrivateKey::generate().expect("randomness").0
}

fn sealed(to: &PublicKey, text: &[u8]) -> Vec<u8> {
    let mut sealer = seal(Vec::new(), to).expect("a header");
    // In pieces that do not fit into chunks.
    for piece in text.chunks(1000) {
        sealer.write_all(piece).expect("written");
    }
    sealer.finish().expect("the last chunk")
}

/// What can be read of a file, and how its end was.
fn opened(file: &[u8], key: PrivateKey) -> (Vec<u8>, Result<(), io::ErrorKind>) {
    let mut opener = open(file, &[key]).expect("the header is right");
    let mut text = Vec::new();
    let mut buffer = [0; 777];
    loop {
        match opener.read(&mut buffer) {
            Ok(0) => return (text, Ok(())),
            Ok(read) => text.extend_from_slice(&buffer[..read]),
            Err(error) => return (text, Err(error.kind())),
        }
    }
}

fn secret(key: &str) -> PrivateKey {
    read_key_file(key).expect("a key").remove(0)
}

fn text_of(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| ((n * 31) >> 3) as u8).collect()
}

/// A key whose file is written again and again, since a key is not to be copied.
fn pair() -> (String, PublicKey) {
    let (key, text) = PrivateKey::generate().expect("randomness");
    (text, key.public())
}

/// Where the first chunk begins.
fn header_bytes(file: &[u8]) -> usize {
    let mac = file.windows(4).position(|four| four == b"--- ").expect("a header");
    mac + file[mac..].iter().position(|byte| *byte == b'\n').expect("a line") + 1 + 16
}

#[test]
fn what_is_sealed_to_somebody_is_opened_by_their_key() {
    let (own, public) = pair();
    for bytes in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 7] {
        let text = text_of(bytes);
        let file = sealed(&public, &text);
        assert_eq!(opened(&file, secret(&own)), (text, Ok(())), "{bytes}");
    }
}

#[test]
fn the_same_text_is_never_the_same_file() {
    let (_, public) = pair();
    assert_ne!(sealed(&public, b"once"), sealed(&public, b"once"));
}

#[test]
fn files_of_age_itself_and_of_rage_are_opened() {
    for file in [BY_AGE, BY_RAGE] {
        let file = Base64::decode_vec(file).expect("base 64");
        assert_eq!(opened(&file, secret(KEY)), (b"a trace of a call\n".to_vec(), Ok(())));
    }
}

#[test]
fn another_key_opens_nothing_and_among_several_the_right_one_is_found() {
    let (own, public) = pair();
    let file = sealed(&public, b"hello");
    assert!(matches!(open(file.as_slice(), &[key(), key()]), Err(OpenError::WrongKey)));
    assert!(open(file.as_slice(), &[key(), secret(&own)]).is_ok());
}

#[test]
fn of_a_file_that_was_cut_all_whole_chunks_are_read_and_the_cut_is_noticed() {
    let (own, public) = pair();
    let text = text_of(2 * CHUNK_BYTES + 100);
    let file = sealed(&public, &text);
    let start = header_bytes(&file);
    let chunk = CHUNK_BYTES + TAG_BYTES;
    for (kept, whole) in [
        (start, 0),
        (start + 5, 0),
        (start + chunk - 1, 0),
        (start + chunk, 1),
        (start + chunk + 1, 1),
        (start + 2 * chunk, 2),
        (file.len() - 1, 2),
    ] {
        let (read, end) = opened(&file[..kept], secret(&own));
        assert_eq!(end, Err(io::ErrorKind::UnexpectedEof), "{kept}");
        assert!(read == text[..whole * CHUNK_BYTES], "{kept}: {} bytes", read.len());
    }
    // A server that is killed writes no last chunk, and has written all that were full.
    let mut killed = seal(Vec::new(), &public).expect("a header");
    killed.write_all(&text).expect("written");
    killed.flush().expect("flushed");
    assert_eq!(killed.written().len(), start + 2 * chunk);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let (own, public) = pair();
    let text = text_of(CHUNK_BYTES + 100);
    let file = sealed(&public, &text);
    let start = header_bytes(&file);
    for place in (0..start).chain([start, start + CHUNK_BYTES, start + CHUNK_BYTES + 20, file.len() - 1]) {
        let mut file = file.clone();
        file[place] ^= 1;
        if place < start - 16 {
            assert!(open(file.as_slice(), &[secret(&own)]).is_err(), "byte {place} of the header");
            continue;
        }
        let (read, end) = opened(&file, secret(&own));
        assert!(end.is_err() && text.starts_with(&read) && read.len() < text.len(), "byte {place}");
    }
    let mut file = file;
    file[start] ^= 1;
    assert_eq!(opened(&file, secret(&own)), (vec![], Err(io::ErrorKind::InvalidData)));
}

#[test]
fn chunks_that_were_moved_left_out_repeated_or_appended_are_noticed() {
    let (own, public) = pair();
    let text = text_of(3 * CHUNK_BYTES);
    let file = sealed(&public, &text);
    let (header, rest) = file.split_at(header_bytes(&file));
    let chunks: Vec<&[u8]> = rest.chunks(CHUNK_BYTES + TAG_BYTES).collect();
    let [first, second, third] = chunks[..] else { panic!("{} chunks", chunks.len()) };
    for (order, whole) in [
        (vec![second, first, third], 0),
        (vec![first, third], 1),
        (vec![first, first, second, third], 1),
        (vec![first, second, third, third], 2),
        (vec![first, third, second], 1),
    ] {
        let changed = [header, &order.concat()].concat();
        let (read, end) = opened(&changed, secret(&own));
        assert_eq!((read.len(), end), (whole * CHUNK_BYTES, Err(io::ErrorKind::InvalidData)));
    }
    let longer = [&file[..], b"more"].concat();
    assert!(opened(&longer, secret(&own)).1.is_err());
    // Chunks of another file to the same key.
    let other = sealed(&public, &text);
    let swapped = [header, &other[header.len()..]].concat();
    assert_eq!(opened(&swapped, secret(&own)), (vec![], Err(io::ErrorKind::InvalidData)));
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    let (own, public) = pair();
    let file = sealed(&public, b"hello");
    let header = String::from_utf8(file[..header_bytes(&file) - 16].to_vec()).expect("text");
    let refusal = |header: &str| match open(header.as_bytes(), &[secret(&own)]) {
        Ok(_) => panic!("opened {header}"),
        Err(error) => error,
    };
    for (from, to) in [
        ("-> X25519 ", "-> X25519 a "),
        ("-> X25519 ", "-> X25519  "),
        ("-> X25519 ", "X25519 "),
        ("--- ", "---"),
        ("--- ", "--- ="),
        ("\n-", "\n\n-"),
    ] {
        assert!(matches!(refusal(&header.replacen(from, to, 1)), OpenError::Damaged), "{from} → {to}");
    }
    // A share of low order would make a key that everybody knows.
    let share = header.split(['\n', ' ']).nth(3).expect("a share");
    let zero = Base64Unpadded::encode_string(&[0; 32]);
    assert!(matches!(refusal(&header.replace(share, &zero)), OpenError::Damaged));
    assert!(matches!(refusal(&header.replace("/v1", "/v2")), OpenError::OtherKind));
    assert!(matches!(refusal(&header.replace("X25519", "scrypt")), OpenError::OtherKind));
    for cut in 0..header.len() {
        assert!(open(&header.as_bytes()[..cut], &[secret(&own)]).is_err(), "{cut}");
    }
    let endless = format!("age-encryption.org/v1\n{}", "-> x\n\n".repeat(100_000));
    assert!(matches!(refusal(&endless), OpenError::Damaged));
}

#[test]
fn key_files_are_read_and_what_is_none_is_told_apart() {
    let (own, public) = pair();
    let two = format!("# created: yesterday\n\n{own}\n  {KEY}\r\n");
    let keys = read_key_file(&two).expect("two keys");
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].public(), public);
    assert!(own.starts_with("AGE-SECRET-KEY-1") && public.to_string().starts_with("age1"));
    for (text, why) in [
        ("# nothing\n", "no key in it"),
        ("hello\n", "a line of it is no key"),
        (&own[..40], "not copied whole"),
        (&public.to_string(), "the public half"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ", "of another kind"),
        ("age-encryption.org/v1\n-> scrypt", "itself encrypted"),
    ] {
        let Err(BadKeyFile(said)) = read_key_file(text) else { panic!("{text} is a key") };
        assert!(said.contains(why), "{text}: {said}");
    }
    assert!(!format!("{:?}", keys[0]).contains(&own[20..40]), "nobody logs a key");
}
