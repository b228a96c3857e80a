//! The WebSocket of a client: its messages are read here into calls, and answers are written. Its connection holds this value
//! and moves the bytes.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::calls::{Call, CallName, Entering};
use super::fields::Fields;
use super::news::Dialect;
use super::rates::CallRates;
use crate::core::event::{Refusal, RefusalCode};
use crate::limits::{FAULTS_MAX, FAULTS_PER_SECOND, REQUEST_ID_BYTES_MAX};
use crate::signal::allowance::Allowance;
use crate::signal::native::{Close, Limits, code_text, refusals};

/// Which message an answer is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRef {
    /// Its type.
    kind: &'static str,
    /// The id that its sender has given it, if they have.
    id: Option<Value>,
}

/// What a client's message asks.
#[derive(Debug, PartialEq)]
pub enum Told {
    /// To come into a room.
    Enter(Entering, MessageRef),
    /// Something of its session.
    Call(Call, MessageRef),
    /// What the server can do.
    Capabilities(MessageRef),
}

/// What to do after a client's message.
#[derive(Debug, Default, PartialEq)]
pub struct SocketReaction {
    /// Do this.
    pub told: Option<Told>,
    /// Send this text to the client.
    pub say: Option<String>,
    /// Close the connection for this reason, after the text.
    pub close: Option<Close>,
    /// Why the message was refused, for the log.
    pub refused: Option<Refusal>,
    /// Whether the message broke the rules.
    pub is_fault: bool,
}

/// One client's WebSocket.
#[derive(Debug)]
pub struct SocketFrontEnd {
    dialect: Dialect,
    limits: Limits,
    rates: CallRates,
    /// How often the client may still break the rules before it is cut.
    faults: Allowance,
    /// Whether somebody has come in by it.
    has_entered: bool,
    /// By which the shell knows the client again.
    client: String,
}

impl SocketFrontEnd {
    /// Begins with a client that has said nothing yet. `client` is the name by which it is known again.
    pub fn new(dialect: Dialect, client: String, limits: Limits, now: Instant) -> Self {
        Self {
            dialect,
            limits,
            rates: CallRates::new(limits, now),
            faults: Allowance::new(FAULTS_PER_SECOND, FAULTS_MAX, now),
            has_entered: false,
            client,
        }
    }

    /// Returns the name by which the client is known again.
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Returns what the client calls things.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Returns whether the connection may stay open in silence: somebody has come in by it, or listens to a channel.
    pub fn has_joined(&self) -> bool {
        self.has_entered || self.dialect == Dialect::Channels
    }

    /// Notes that somebody comes in by the connection.
    pub fn enter(&mut self) {
        self.has_entered = true;
    }

    /// Takes one of the client's messages. `others` are those who are told what it does.
    pub fn receive(&mut self, now: Instant, text: &str, others: usize) -> SocketReaction {
        // Taken before anything is read. A message that cannot be read costs as much as another.
        if let Err(refusal) = self.rates.message(now) {
            return self.fault(now, None, refusal);
        }
        let mut fields = match Fields::read(text.as_bytes()) {
            Ok(fields) => fields,
            Err(refusal) => return self.fault(now, None, refusal),
        };
        let kind = fields.text("type").ok().flatten().unwrap_or_default();
        let id = message_id(&mut fields);
        // Apps put what they say beside the type or into an object of its own.
        for name in ["data", "payload"] {
            if let Some(inner) = fields.inner(name) {
                fields.add_missing(inner);
            }
        }
        let id = id.or_else(|| message_id(&mut fields));
        match self.read(now, &kind, id.clone(), &mut fields, others) {
            Ok(reaction) => reaction,
            Err((kind, refusal)) => self.fault(now, Some(&MessageRef { kind, id }), refusal),
        }
    }

    fn read(
        &mut self,
        now: Instant,
        kind: &str,
        id: Option<Value>,
        fields: &mut Fields,
        others: usize,
    ) -> Result<SocketReaction, (&'static str, Refusal)> {
        if kind == "ping" {
            let say = Some(text_of(&MessageRef { kind: "ping", id }, "pong", Map::new()));
            return Ok(SocketReaction { say, ..SocketReaction::default() });
        }
        if self.dialect == Dialect::Channels {
            return Err((
                "",
                unsupported(kind, "This WebSocket only brings news; everything else goes by REST."),
            ));
        }
        let told = match kind {
            "join-room" => {
                // It is looked up who is in the room.
                self.rates.offer(now, 1.0).map_err(|refusal| ("join-room", refusal))?;
                let entering = Entering::read(fields, self.dialect);
                Told::Enter(
                    entering.map_err(|refusal| ("join-room", refusal))?,
                    MessageRef { kind: "join-room", id },
                )
            }
            "get-router-capabilities" => {
                Told::Capabilities(MessageRef { kind: "get-router-capabilities", id })
            }
            _ => {
                let known = if kind == "leave-room" { "leave" } else { kind };
                let Some((kind, name)) = CallName::ALL.into_iter().find(|(name, _)| *name == known) else {
                    return Err(("", unsupported(kind, "docs/mediasoup.md lists the messages.")));
                };
                self.rates.call(now, name, others).map_err(|refusal| (kind, refusal))?;
                let call = Call::read(name, fields).map_err(|refusal| (kind, refusal))?;
                Told::Call(call, MessageRef { kind, id })
            }
        };
        Ok(SocketReaction { told: Some(told), ..SocketReaction::default() })
    }

    /// Refuses a message that breaks the rules. A client that goes on breaking them is disconnected.
    fn fault(&mut self, now: Instant, to: Option<&MessageRef>, refusal: Refusal) -> SocketReaction {
        let close = (!self.faults.take(now, 1.0)).then_some(Close::Refused);
        let nothing = MessageRef { kind: "", id: None };
        let say = Some(reply_text(to.unwrap_or(&nothing), Err(&refusal)));
        SocketReaction { told: None, say, close, refused: Some(refusal), is_fault: true }
    }

    /// Refuses a long message without reading it, because clients of its address have sent too many bytes.
    pub fn refuse_long(&mut self, now: Instant) -> SocketReaction {
        self.fault(now, None, refusals::messages_too_long())
    }

    /// Refuses a binary message, which the protocol does not have.
    pub fn refuse_binary(&mut self, now: Instant) -> SocketReaction {
        self.fault(now, None, refusals::binary_message())
    }

    /// Takes a ping or a pong of the WebSocket itself, which counts as a message. It is answered already.
    pub fn receive_control(&mut self, now: Instant) -> SocketReaction {
        match self.rates.message(now) {
            Err(refusal) if !self.faults.take(now, 1.0) => self.fault(now, None, refusal),
            _ => SocketReaction::default(),
        }
    }

    /// Refuses a message over the limit, and ends the connection, because the next message cannot be found.
    pub fn refuse_too_large(&self) -> SocketReaction {
        let refusal = refusals::message_too_large(self.limits.message_bytes_max);
        let say = Some(reply_text(&MessageRef { kind: "", id: None }, Err(&refusal)));
        SocketReaction {
            say,
            close: Some(Close::TooLarge),
            refused: Some(refusal),
            ..SocketReaction::default()
        }
    }
}

/// Takes the id of a message: a short text or a number. Anything else is as good as none.
fn message_id(fields: &mut Fields) -> Option<Value> {
    fields.take("messageId").filter(|id| match id {
        Value::String(text) => text.len() <= REQUEST_ID_BYTES_MAX,
        Value::Number(_) => true,
        _ => false,
    })
}

fn unsupported(kind: &str, action: &str) -> Refusal {
    let shown: String = kind.chars().take(64).collect();
    Refusal::new(RefusalCode::UnknownType, format!("unsupported message: {shown:?}"), action)
}

/// Returns the answer to a message: what came of it, or why it was refused.
pub fn reply_text(to: &MessageRef, result: Result<&Value, &Refusal>) -> String {
    match result {
        Ok(Value::Object(fields)) => text_of(to, "response", fields.clone()),
        Ok(_) => text_of(to, "response", Map::new()),
        Err(Refusal { code, message, action }) => {
            let error = json!({"error": message, "action": action, "code": code_text(*code)});
            let Value::Object(fields) = error else { return String::new() };
            // Whoever has numbered a message waits for its answer; the others look for errors.
            let kind = if to.id.is_some() { "response" } else { "error" };
            text_of(to, kind, fields)
        }
    }
}

fn text_of(to: &MessageRef, kind: &str, mut fields: Map<String, Value>) -> String {
    fields.insert("type".to_owned(), json!(kind));
    if let Some(id) = &to.id {
        fields.insert("messageId".to_owned(), id.clone());
    }
    if !to.kind.is_empty() && kind != "pong" {
        fields.insert("request".to_owned(), json!(to.kind));
    }
    Value::Object(fields).to_string()
}
