//! HTTP/1.1, as far as a page, an API and a WebSocket upgrade need it: pure functions that read requests from bytes,
//! with bounded heads and bodies, and turn responses into bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Size of the largest request head, bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many header fields a request may have.
const FIELDS_MAX: usize = 64;
/// Size of the largest request body, bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The fields that are sent with every response: scripts, styles and sockets only from here, no frames around our
/// pages, no sniffing, no referrer.
const SECURITY_HEADERS: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: mediastream:; font-src 'self'; \
    manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Permissions-Policy: camera=(self), microphone=(self), display-capture=(self), autoplay=(self)\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n";

/// What only reverse proxies write, of whatever make: those that name the client, and those that tell how it came.
const PROXY_FIELDS: [&str; 12] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "fastly-client-ip",
];

/// One request, read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path: everything before `?`, still encoded.
    pub path: String,
    /// The query: everything after `?`; `None` without one.
    pub query: Option<String>,
    /// The header fields, names in lower case.
    fields: Vec<(String, String)>,
    /// The body. It is empty for most requests.
    pub body: Vec<u8>,
    /// Whether the client wants to keep the connection open.
    pub keep_alive: bool,
}

impl Request {
    /// Returns all header fields in order, names in lower case.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the value of the first header field of that name, which must be in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Returns the bearer token that the request carries (RFC 6750 §2.1); `None` if it carries none.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.field("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// Returns the values of a parameter of the query, decoded.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.query.as_deref().unwrap_or_default().split('&').filter_map(move |pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(key, true)? == name).then(|| percent_decoded(value, true)).flatten()
        })
    }

    /// Returns the media type of the body, without parameters, in lower case.
    pub fn content_type(&self) -> String {
        let value = self.field("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Returns the items of a comma-separated field, in order.
    pub fn field_items(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
    }

    /// Returns whether a comma-separated field holds a word, whatever its case.
    pub fn field_has(&self, name: &str, word: &str) -> bool {
        self.field_items(name).any(|item| item.eq_ignore_ascii_case(word))
    }

    /// Returns path and query, as the client sent them.
    pub fn target(&self) -> Cow<'_, str> {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path).into(),
            None => self.path.as_str().into(),
        }
    }

    /// Returns whether a reverse proxy has forwarded the request, so that the connection's address is not the client's.
    pub fn is_proxied(&self) -> bool {
        PROXY_FIELDS.iter().any(|name| self.field(name).is_some())
    }
}

/// Returns a part of a path, decoded; `None` if it is not UTF-8.
pub fn segment(part: &str) -> Option<String> {
    percent_decoded(part, false)
}

/// Decodes text of a path or a query: `%` and two digits are a byte, and in a query `+` is a space. Returns `None` if the
/// result is not UTF-8.
fn percent_decoded(text: &str, is_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' if is_query => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(rest.next())? << 4 | digit(rest.next())?) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What the input contains so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The request is not complete yet.
    Incomplete,
    /// The head of a request is complete, and its client wants to be told before it sends the body (RFC 9110 §10.1.1).
    Expecting,
    /// A request, and how many bytes it took.
    Request(Box<Request>, usize),
    /// The input cannot be served: send this response and close the connection.
    Refused(Response),
}

/// Reads one request from the front of the input.
pub fn parse(input: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut fields);
    let head_bytes = match head.parse(input) {
        Ok(httparse::Status::Complete(bytes)) if bytes <= HEAD_BYTES_MAX => bytes,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => return Parsed::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return refuse(
                431,
                "the request's head is too large",
                "send at most 16 KiB and 64 header fields",
            );
        }
        Err(httparse::Error::Version) => {
            return refuse(505, "this version of HTTP is not spoken here", "use HTTP/1.1");
        }
        Err(error) => {
            return refuse(
                400,
                &format!("this is not an HTTP request: {error}"),
                "send a request of HTTP/1.1",
            );
        }
    };
    match request(&head, input, head_bytes) {
        Ok(parsed) | Err(parsed) => parsed,
    }
}

/// Reads the rest of a request whose head is complete.
fn request(head: &httparse::Request<'_, '_>, input: &[u8], head_bytes: usize) -> Result<Parsed, Parsed> {
    let mut fields = Vec::with_capacity(head.headers.len());
    for field in head.headers.iter() {
        let value = std::str::from_utf8(field.value).map_err(|_| {
            refuse(400, &format!("header field {} is not UTF-8", field.name), "send it in UTF-8")
        })?;
        fields.push((field.name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let target = head.path.unwrap_or_default();
    let (authority, target) = match absolute_form(target) {
        Some((authority, path)) => (Some(authority), path),
        None => (None, target),
    };
    // The server as a whole, which only OPTIONS can ask about (RFC 9112 §3.2.4).
    let is_server = target == "*" && head.method == Some("OPTIONS");
    if !is_server && authority.map_or(!target.starts_with('/'), str::is_empty) {
        return Err(refuse(
            400,
            "the request's target is neither a path nor an address of http or https",
            "ask for a path, which begins with /",
        ));
    }
    // A fragment is for the browser only and does not belong into a request.
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut request = Request {
        method: head.method.unwrap_or_default().to_string(),
        path: if path.is_empty() { "/" } else { path }.to_string(),
        query: query.map(str::to_string),
        fields,
        body: Vec::new(),
        keep_alive: false,
    };
    let http_1_1 = head.version == Some(1);
    // HTTP/1.1 keeps a connection unless told otherwise; HTTP/1.0 closes it unless told otherwise.
    request.keep_alive = if http_1_1 {
        !request.field_has("connection", "close")
    } else {
        request.field_has("connection", "keep-alive")
    };
    let hosts = request.fields.iter().filter(|(name, _)| name == "host").count();
    if hosts > 1 || (http_1_1 && hosts == 0) {
        return Err(refuse(
            400,
            "the Host header field is missing, or there are several",
            "send exactly one",
        ));
    }
    if let Some(authority) = authority {
        // The host in the target counts (RFC 9112 §3.2.2).
        let host = request.fields.iter_mut().filter(|(name, _)| name == "host");
        host.for_each(|(_, value)| *value = authority.to_string());
    }
    if request.field("transfer-encoding").is_some() {
        return Err(refuse(411, "chunked bodies are not taken", "send the body with a Content-Length"));
    }
    let length = content_length(&request)?;
    let Some(body) = input.get(head_bytes..head_bytes + length) else {
        let expects = http_1_1 && request.field_has("expect", "100-continue");
        // A client of HTTP/1.0 does not know the interim answer.
        return Ok(if expects { Parsed::Expecting } else { Parsed::Incomplete });
    };
    request.body = body.to_vec();
    Ok(Parsed::Request(Box::new(request), head_bytes + length))
}

/// Splits a target in absolute form, as clients of proxies send it (RFC 9112 §3.2.2), into host with port and path with
/// query, which may be empty. Returns `None` if it is not an http or https URL.
fn absolute_form(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = target.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    Some((authority, path))
}

fn content_length(request: &Request) -> Result<usize, Parsed> {
    let mut lengths = request.fields.iter().filter(|(name, _)| name == "content-length");
    let Some((_, text)) = lengths.next() else { return Ok(0) };
    // Requests are smuggled past proxies by two lengths, or by a sign or a space in one.
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.next().is_some() || !digits {
        return Err(refuse(400, "Content-Length is not one number", "send one Content-Length, in digits"));
    }
    match text.parse::<usize>() {
        Ok(length) if length <= BODY_BYTES_MAX => Ok(length),
        _ => Err(refuse(413, "the request's body is too large", "send at most 64 KiB")),
    }
}

fn refuse(status: u16, error: &str, action: &str) -> Parsed {
    Parsed::Refused(Response::problem(status, error, action))
}

/// One response, to be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code of the response.
    pub status: u16,
    content_type: &'static str,
    fields: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// Makes a response with a body of a media type.
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self { status, content_type, fields: Vec::new(), body: body.into() }
    }

    /// Makes a response of one line for a person to read.
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
    }

    /// Makes a response of JSON, which is never cached.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        let mut body = value.to_string().into_bytes();
        body.push(b'\n');
        Self::new(status, "application/json", body).with("Cache-Control", "no-store")
    }

    /// Makes a response that says what is wrong and what to do, as JSON.
    pub fn problem(status: u16, error: &str, action: &str) -> Self {
        Self::json(status, &serde_json::json!({"error": error, "action": action}))
    }

    /// Makes a response with status 405 that names the allowed methods.
    pub fn method_not_allowed(allow: impl Into<Cow<'static, str>>) -> Self {
        let allow = allow.into();
        let action = format!("use {allow}");
        Self::problem(405, "this address does not answer this method", &action).with("Allow", allow)
    }

    /// Makes the 503 for a client that has too many connections, or for anyone when all together are too many.
    pub fn too_many_connections() -> Self {
        let action = "close some, or ask the operator to raise signalling.max_connections_per_address";
        Self::problem(503, "too many connections", action)
    }

    /// Makes the answer to a client whose address has broken the rules again and again.
    pub fn paused() -> Self {
        Self::problem(429, "this address has to pause", "wait a minute, and send what docs/protocol.md has")
            .with("Retry-After", "60")
    }

    /// Makes the answer to a client whose address has made too many requests.
    pub fn too_many_requests() -> Self {
        let action = "make fewer, or ask the operator to raise signalling.requests_per_second";
        Self::problem(429, "too many requests of this address", action).with("Retry-After", "1")
    }

    /// Makes a response without any body.
    pub fn empty(status: u16) -> Self {
        Self::new(status, "", Vec::new())
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Takes away the header fields whose names begin like that.
    #[must_use]
    pub fn without(mut self, prefix: &str) -> Self {
        self.fields.retain(|(name, _)| !name.starts_with(prefix));
        self
    }

    /// Returns the value of a header field that was added.
    #[cfg(test)]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_ref())
    }

    /// Returns the body as text.
    #[cfg(test)]
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the bytes to send. `body` is false in answers to HEAD, which say how long the body would be.
    pub fn encode(&self, keep_alive: bool, body: bool) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !matches!(self.status, 101 | 204 | 304) {
            if !self.content_type.is_empty() {
                let _ = write!(head, "Content-Type: {}\r\n", self.content_type);
            }
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        for (name, value) in &self.fields {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if self.status != 101 {
            head.push_str(SECURITY_HEADERS);
            head.push_str(if keep_alive { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" });
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(input: &str) -> u16 {
        match parse(input.as_bytes()) {
            Parsed::Refused(response) => response.status,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_may_come_byte_by_byte_and_another_may_follow() {
        let first = "PUT /admin/v1/log-level?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ndebug";
        let both = format!("{first}GET / HTTP/1.1\r\n");
        for length in 0..first.len() {
            assert_eq!(parse(&both.as_bytes()[..length]), Parsed::Incomplete, "{length}");
        }
        let Parsed::Request(request, bytes) = parse(both.as_bytes()) else { panic!("a whole request") };
        assert_eq!(bytes, first.len());
        assert_eq!((request.path.as_str(), request.body.as_slice()), ("/admin/v1/log-level", &b"debug"[..]));
        assert_eq!(request.target(), "/admin/v1/log-level?x=1");
        assert!(request.keep_alive);
    }

    #[test]
    fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
        let head = |length: usize| {
            format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
        };
        assert_eq!(parse(head(9).as_bytes()), Parsed::Expecting);
        assert_eq!(status(&head(65537)), 413);
    }

    #[test]
    fn what_cannot_be_served_gets_its_own_status() {
        assert_eq!(status("nonsense\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        for target in ["a", "ftp://a/", "http:///", "*"] {
            assert_eq!(status(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")), 400, "{target}");
        }
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 411);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"), 413);
        assert_eq!(
            status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            400
        );
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"), 400);
        assert_eq!(status(&format!("GET /{} HTTP/1.1\r\n", "x".repeat(HEAD_BYTES_MAX))), 431);
        let fields = "a: b\r\n".repeat(FIELDS_MAX + 1);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{fields}\r\n")), 431);
    }

    #[test]
    fn the_server_as_a_whole_can_be_asked_for_what_it_allows() {
        let text = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("a whole request") };
        assert_eq!((request.method.as_str(), request.path.as_str()), ("OPTIONS", "*"));
    }

    #[test]
    fn empty_lines_before_a_request_are_nothing() {
        for empty in ["\r\n", "\n", "\r\n\r\n"] {
            let text = format!("{empty}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            let Parsed::Request(request, bytes) = parse(text.as_bytes()) else { panic!("a whole request") };
            assert_eq!((request.path.as_str(), bytes), ("/", text.len()));
        }
    }

    #[test]
    fn a_target_may_be_a_whole_address_and_its_host_counts() {
        for (target, path, query) in [
            ("http://sfu.example:7000/health", "/health", None),
            ("HTTPS://sfu.example:7000", "/", None),
            ("http://sfu.example:7000?a=b", "/", Some("a=b")),
            ("http://sfu.example:7000/x?a=b#c", "/x", Some("a=b")),
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: other.example\r\n\r\n");
            let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("a whole request") };
            assert_eq!((request.path.as_str(), request.query.as_deref()), (path, query));
            assert_eq!(request.field("host"), Some("sfu.example:7000"));
        }
    }

    #[test]
    fn a_query_is_taken_apart_and_decoded() {
        let text =
            "POST /whip/a?name=Studio%20%C3%A4+1&track=x&track=y&bad=%zz&name HTTP/1.1\r\nHost: a\r\n\r\n";
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("a whole request") };
        let values = |name| request.parameters(name).collect::<Vec<_>>();
        assert_eq!(request.path, "/whip/a");
        assert_eq!(values("name"), ["Studio ä 1", ""]);
        assert_eq!(values("track"), ["x", "y"]);
        assert!(values("bad").is_empty() && values("other").is_empty());
    }

    #[test]
    fn an_answer_to_head_says_the_length_and_sends_nothing() {
        let bytes = Response::text(404, "gone").encode(false, false);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\n"), "{text}");
        assert!(text.contains("Connection: close"));
    }
}
