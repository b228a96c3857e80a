//! A receiver of webhooks: an HTTP server that answers what it is told, and hands out the requests that came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

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

fn take(mut stream: TcpStream, answer: &str, came: &Sender<Hook>) -> bool {
    let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
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
    let mut hook = Hook { fields, body: String::new() };
    let mut body = vec![0; hook.field("content-length").parse().expect("a number")];
    reader.read_exact(&mut body).expect("the whole body");
    hook.body = String::from_utf8(body).expect("UTF-8");
    let is_wanted = came.send(hook).is_ok();
    let _ = write!(stream, "HTTP/1.1 {answer}Content-Length: 0\r\n\r\n");
    is_wanted
}
