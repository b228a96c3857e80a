//! A receiver of webhooks: an HTTP server that answers what it is told, and hands out the requests that came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::PATIENCE;

/// One request that came.
pub struct Hook {
    /// The header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Hook {
    pub fn field(&self, name: &str) -> &str {
        let field = self.fields.iter().find(|(field, _)| field == name);
        &field.unwrap_or_else(|| panic!("no {name}")).1
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn event(&self) -> String {
        self.json()["event"].as_str().expect("a name").to_owned()
    }
}

/// A receiver on a thread of its own.
pub struct Hooks {
    pub address: SocketAddr,
    came: Receiver<Hook>,
}

impl Hooks {
    /// Answers the first requests with these heads, and all others with 200.
    pub fn answering(answers: &[&str]) -> Self {
        let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
        Self::start(move |listener, came| {
            let mut answers = answers.into_iter();
            for stream in listener.incoming().flatten() {
                let answer = answers.next().unwrap_or_else(|| "200 OK\r\n".to_owned());
                if !take(stream, &answer, &came) {
                    return;
                }
            }
        })
    }

    /// The same over TLS, with a certificate of its own. Returns that, too, in PEM.
    pub fn secure() -> (Self, String) {
        let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions of TLS")
                .with_no_client_auth()
                .with_single_cert(vec![own.cert.der().clone()], key)
                .expect("a pair");
        let config = Arc::new(config);
        let hooks = Self::start(move |listener, came| {
            for stream in listener.incoming().flatten() {
                let session = ServerConnection::new(Arc::clone(&config)).expect("a session");
                if !take(StreamOwned::new(session, stream), "200 OK\r\n", &came) {
                    return;
                }
            }
        });
        (hooks, own.cert.pem())
    }

    /// Takes connections and never says anything.
    pub fn hanging() -> Self {
        Self::start(|listener, _| {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                held.push(stream);
            }
        })
    }

    fn start(run: impl FnOnce(TcpListener, Sender<Hook>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, came) = mpsc::channel();
        std::thread::spawn(move || run(listener, sender));
        Self { address, came }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks?room=all", self.address)
    }

    /// The next request.
    pub fn next(&self) -> Hook {
        self.came.recv_timeout(PATIENCE).expect("a request in time")
    }

    /// What has come and was not looked at.
    pub fn left(&self) -> usize {
        self.came.try_iter().count()
    }
}

/// Takes one request. Returns whether anybody wants to know of more.
fn take(mut stream: impl Read + Write, answer: &str, came: &Sender<Hook>) -> bool {
    let mut reader = BufReader::new(&mut stream);
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    // Whoever does not trust the certificate sends nothing.
    if fields.is_empty() {
        return true;
    }
    let mut hook = Hook { fields, body: String::new() };
    let mut body = vec![0; hook.field("content-length").parse().expect("a number")];
    reader.read_exact(&mut body).expect("the whole body");
    hook.body = String::from_utf8(body).expect("UTF-8");
    let is_wanted = came.send(hook).is_ok();
    let _ = write!(stream, "HTTP/1.1 {answer}Content-Length: 0\r\n\r\n").and_then(|()| stream.flush());
    is_wanted
}
