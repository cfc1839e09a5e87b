//! The SIP between the PBX and the server, message by message, as the PBX's transport sees it.
//! What a step of the call needs is recognised here, in the order in which it has to happen.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use serde_json::json;
use sip_core::endpoint::Flow;
use sip_core::message::{Limits, Message};
use sip_core::method::Method;
use sip_core::name::Name;
use sip_transport::observer::{Direction, Observer};
use sip_transport::trace::{first_line, redact};

use super::steps::Step;
use super::story::Story;

/// Watches one PBX.
pub(super) struct Wire {
    story: Story,
    server: SocketAddr,
    progress: Mutex<Progress>,
}

impl Wire {
    /// Watches what goes to and comes from this server.
    pub(super) fn new(story: Story, server: SocketAddr) -> Self {
        Self {
            story,
            server,
            progress: Mutex::default(),
        }
    }

    /// The Call-ID of the first call, once it has been placed.
    pub(super) fn call_id(&self) -> Option<String> {
        // Nothing panics while holding it.
        let progress = self.progress.lock();
        progress
            .unwrap_or_else(PoisonError::into_inner)
            .call_id
            .clone()
    }
}

impl Observer for Wire {
    fn message(&self, at: SystemTime, direction: Direction, flow: &Flow, bytes: &[u8]) {
        if flow.remote != self.server {
            return;
        }
        let shown = redact(bytes);
        let shown: &[u8] = &shown;
        let first = first_line(shown);
        let (arrow, way) = match direction {
            Direction::Sent => ("PBX → server", "pbx_to_server"),
            Direction::Received => ("PBX ← server", "server_to_pbx"),
        };
        let at = self.story.since(at);
        let text = String::from_utf8_lossy(shown);
        let parsed = Message::parse(Bytes::copy_from_slice(shown), &Limits::default());
        let Ok(message) = parsed else {
            let fields = json!({"direction": way, "start_line": first, "message": text});
            self.story
                .tell("sip", at, &format!("{arrow}  {first}  (malformed)"), fields);
            return;
        };
        let cseq = message.cseq();
        let cseq = format!("{} {}", cseq.seq, cseq.method);
        let mut fields = json!({
            "direction": way,
            "start_line": first,
            "cseq": cseq,
            "call_id": message.call_id(),
            "message": text,
        });
        let mut line = format!("{arrow}  {first}  CSeq {cseq}");
        for (key, label, value) in details(&message) {
            line.push_str(&format!("\n{INDENT}{label}: {value}"));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert(key.to_owned(), value.into());
            }
        }
        self.story.tell("sip", at, &line, fields);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = progress.see(direction, &message);
        drop(progress);
        for step in steps {
            self.story.saw(step, "");
        }
    }
}

/// What else of a message tells the story: where a REFER leads and for whom, how it goes.
fn details(message: &Message) -> Vec<(&'static str, &'static str, String)> {
    let mut found = Vec::new();
    let Message::Request(request) = message else {
        return found;
    };
    let mut header = |key, label, name: Name| {
        if let Some(value) = request.header(&name) {
            found.push((key, label, value.into_owned()));
        }
    };
    match request.method() {
        Method::Refer => {
            header("refer_to", "Refer-To", Name::ReferTo);
            header(
                "p_asserted_identity",
                "P-Asserted-Identity",
                Name::PAssertedIdentity,
            );
        }
        Method::Invite => header(
            "p_asserted_identity",
            "P-Asserted-Identity",
            Name::PAssertedIdentity,
        ),
        Method::Notify => found.push(("sipfrag", "sipfrag", sipfrag(message))),
        _ => {}
    }
    found
}

/// The status line in a NOTIFY's body (RFC 3515 2.4.5).
fn sipfrag(message: &Message) -> String {
    let body = message.body();
    let text = String::from_utf8_lossy(&body);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// How far the first call has come.
#[derive(Debug, Default)]
struct Progress {
    call_id: Option<String>,
    /// How many of [`CHAIN`] have been seen.
    seen: usize,
    notified: usize,
    taken: usize,
}

/// What has to be seen on the wire, in this order.
const CHAIN: [Step; 11] = [
    Step::Challenged,
    Step::Credentials,
    Step::Answered,
    Step::Acknowledged,
    Step::Refer,
    Step::ReferAccepted,
    Step::NotifyTrying,
    Step::NotifyRinging,
    Step::NotifyAnswered,
    Step::AgentLeaves,
    Step::LegEnded,
];

impl Progress {
    /// The steps that this message completes.
    fn see(&mut self, direction: Direction, message: &Message) -> Vec<Step> {
        let mut steps = Vec::new();
        if let (Direction::Sent, Message::Request(request)) = (direction, message)
            && *request.method() == Method::Invite
            && self.call_id.is_none()
        {
            self.call_id = Some(message.call_id().to_owned());
        }
        if self.call_id.as_deref() != Some(message.call_id()) {
            return steps;
        }
        if let Some(next) = CHAIN.get(self.seen)
            && shows(*next, direction, message)
        {
            self.seen += 1;
            steps.push(*next);
        }
        match (direction, message) {
            (Direction::Sent, Message::Request(request)) if *request.method() == Method::Notify => {
                self.notified += 1;
            }
            (Direction::Received, Message::Response(response))
                if response.cseq().method == Method::Notify && response.status().code() == 200 =>
            {
                self.taken += 1;
                // The last report is out, and each has its answer.
                if CHAIN
                    .iter()
                    .take(self.seen)
                    .any(|s| *s == Step::NotifyAnswered)
                    && self.taken >= self.notified
                {
                    steps.push(Step::NotifiesTaken);
                }
            }
            _ => {}
        }
        steps
    }
}

/// Whether this message is what the step waits for.
fn shows(step: Step, direction: Direction, message: &Message) -> bool {
    let request = |wanted: &Method| match message {
        Message::Request(request) => request.method() == wanted,
        Message::Response(_) => false,
    };
    let response = |wanted: &Method, code: u16| match message {
        Message::Response(response) => {
            response.status().code() == code && response.cseq().method == *wanted
        }
        Message::Request(_) => false,
    };
    let notify = |code: &str| {
        request(&Method::Notify) && sipfrag(message).split_whitespace().nth(1) == Some(code)
    };
    let holds = |name: &Name, part: &str| {
        message
            .header(name)
            .is_some_and(|value| value.contains(part))
    };
    let (sent, received) = (
        direction == Direction::Sent,
        direction == Direction::Received,
    );
    match step {
        Step::Challenged => received && response(&Method::Invite, 401),
        Step::Credentials => {
            sent && request(&Method::Invite) && message.header(&Name::Authorization).is_some()
        }
        Step::Answered => received && response(&Method::Invite, 200),
        Step::Acknowledged => sent && request(&Method::Ack),
        Step::Refer => {
            received
                && request(&Method::Refer)
                && holds(&Name::ReferTo, "sip:101@")
                && holds(&Name::PAssertedIdentity, super::CALLER)
        }
        Step::ReferAccepted => sent && response(&Method::Refer, 202),
        Step::NotifyTrying => sent && notify("100"),
        Step::NotifyRinging => sent && notify("180"),
        Step::NotifyAnswered => sent && notify("200"),
        Step::AgentLeaves => received && request(&Method::Bye),
        Step::LegEnded => sent && response(&Method::Bye, 200),
        _ => false,
    }
}

/// Under the start line, beside the time.
const INDENT: &str = "                           ";
