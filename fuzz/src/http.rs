//! HTTP: requests however they are cut, and the answers that they get.

use strait::net::fuzzing::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Parsed, Request, Response, answers, parse};

/// `http`: a request is the same however many bytes follow, and is none as long as one byte is missing; written again it
/// is the same request; every answer to it is HTTP.
pub fn http(data: &[u8]) {
    match parse(data) {
        Parsed::Request(request, taken) => {
            assert!(taken <= data.len() && taken <= HEAD_BYTES_MAX + BODY_BYTES_MAX);
            assert_eq!(parse(&data[..taken]), Parsed::Request(request.clone(), taken));
            for cut in cuts(taken) {
                let part = parse(&data[..cut]);
                assert!(
                    matches!(part, Parsed::Incomplete | Parsed::Expecting),
                    "{cut} of {taken} bytes: {part:?}"
                );
            }
            look_at(&request);
            write_again(&request);
            for response in answers(&request) {
                check_response(&request, &response);
            }
        }
        Parsed::Refused(response) => {
            let bytes = response.encode(false, true);
            assert!(bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.1 5"));
        }
        Parsed::Incomplete | Parsed::Expecting => {
            assert!(data.len() < HEAD_BYTES_MAX + BODY_BYTES_MAX, "nobody waits for more");
            for cut in cuts(data.len()) {
                let part = parse(&data[..cut]);
                assert!(matches!(part, Parsed::Incomplete | Parsed::Expecting), "{cut} bytes: {part:?}");
            }
        }
    }
}

fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let some =
        [0, 1, 4, length / 4, length / 2, length * 3 / 4, length.saturating_sub(2), length.saturating_sub(1)];
    some.into_iter().filter(move |cut| *cut < length)
}

fn look_at(request: &Request) {
    for name in ["room", "participant", "track", "token", ""] {
        let _ = request.parameters(name).count();
    }
    assert!(request.content_type().len() <= HEAD_BYTES_MAX);
    assert!(request.target().starts_with('/'));
}

fn write_again(request: &Request) {
    // What was HTTP/1.0 without a host cannot be written as HTTP/1.1.
    if request.field("host").is_none() {
        return;
    }
    let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.target()).into_bytes();
    for (name, value) in request.fields() {
        bytes.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(&request.body);
    let length = bytes.len();
    match parse(&bytes) {
        Parsed::Request(mut again, taken) => {
            // HTTP/1.0 ends connections unless it is asked not to, and HTTP/1.1 the other way round.
            again.keep_alive = request.keep_alive;
            assert_eq!((&*again, taken), (request, length));
        }
        // Spaces that were not there before make it longer.
        Parsed::Refused(_) if length > HEAD_BYTES_MAX => {}
        other => panic!("{other:?} of {:?}", String::from_utf8_lossy(&bytes)),
    }
}

fn check_response(request: &Request, response: &Response) {
    let has_body = request.method != "HEAD";
    let bytes = response.encode(request.keep_alive, has_body);
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let status = head.parse(&bytes).expect("what we write is HTTP");
    let httparse::Status::Complete(head_bytes) = status else { panic!("the head has no end") };
    assert_eq!(head.code, Some(response.status));
    let length = head.headers.iter().find(|field| field.name == "Content-Length");
    if let Some(length) = length.filter(|_| has_body) {
        let length: usize = std::str::from_utf8(length.value).expect("digits").parse().expect("digits");
        assert_eq!(length, bytes.len() - head_bytes);
    }
}
