//! Routes: tables of paths and methods, and what they lead to. Whoever has a table reads requests by it here, and a test
//! holds the table against its OpenAPI document.

use super::message::{Request, Response};

/// Reads what a request asks. It is given the parts of the path that stand for `{…}`, in order.
pub type Asks<T> = fn(&[&str], &Request) -> Result<T, Response>;

/// One route: the path, in which `{…}` stands for any one part, the method, and what is asked.
pub type Routed<T> = (&'static str, &'static str, Asks<T>);

/// Reads what is asked from path, method and body. Where GET is served, HEAD is, too.
///
/// # Errors
/// The request is refused: with 405 if the path has other methods, and with what `nothing` returns if it leads nowhere.
pub fn find<T>(
    routes: &[Routed<T>],
    request: &Request,
    nothing: impl FnOnce() -> Response,
) -> Result<T, Response> {
    // The answer to HEAD is made like that to GET, and its body is left out when it is written.
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let mut allowed = Vec::new();
    for (pattern, served, asks) in routes {
        let Some(names) = names(pattern, &request.path) else { continue };
        if *served == method {
            return asks(&names, request);
        }
        allowed.push(if *served == "GET" { "GET, HEAD" } else { served });
    }
    if allowed.is_empty() { Err(nothing()) } else { Err(Response::method_not_allowed(allowed.join(", "))) }
}

/// Returns the part of a path for each `{…}` of a pattern; `None` if the path does not match.
fn names<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
    if pattern.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut names = Vec::new();
    for (wanted, found) in pattern.split('/').zip(path.split('/')) {
        if wanted.starts_with('{') {
            names.push(found);
        } else if wanted != found {
            return None;
        }
    }
    Some(names)
}
