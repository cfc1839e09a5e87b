//! The endpoint in virtual time: each file one part of its behaviour.
//! What they share: requests, events by kind, and a call that is set up.

mod authentication;
mod bounds;
mod calls;
mod client_transactions;
mod dialogs;
mod hostile;
mod matching;
mod proof;
mod refer;
mod routing;
mod server_transactions;

use std::time::Duration;

use bytes::Bytes;

use super::{
    Body, ClientTx, DialogId, Endpoint, Event, Flow, Input, OutgoingRequest, Output, Reply,
    ServerTx, Target, Transport,
};
use crate::header::{Header, NameAddr, To};
use crate::message::{Limits, Message, Request, Response};
use crate::method::Method;
use crate::status::Status;
use crate::testing::{Pair, Side};

const T1: u128 = 500;

fn address(text: &str) -> NameAddr {
    To::parse(text).unwrap().0
}

/// A request from one node to the other.
fn outgoing(method: Method, from: Side) -> OutgoingRequest {
    let peer = from.other().addr();
    OutgoingRequest::new(
        method,
        format!("sip:bob@{peer}").parse().unwrap(),
        address("\"Alice\" <sip:alice@atlanta.example.com>"),
        address("<sip:bob@biloxi.example.com>"),
    )
}

fn send(pair: &mut Pair, from: Side, request: OutgoingRequest) -> ClientTx {
    let now = pair.now;
    let tx = pair.node(from).endpoint.request(now, request).unwrap();
    pair.flush();
    tx
}

fn invite(pair: &mut Pair, from: Side) -> ClientTx {
    let request = outgoing(Method::Invite, from).body(Body::sdp("v=0\r\n"));
    send(pair, from, request)
}

fn respond(pair: &mut Pair, side: Side, tx: ServerTx, status: Status) -> Option<DialogId> {
    let now = pair.now;
    let dialog = pair
        .node(side)
        .endpoint
        .respond(now, tx, Reply::new(status))
        .unwrap();
    pair.flush();
    dialog
}

fn hang_up(pair: &mut Pair, side: Side, dialog: DialogId) -> Option<ClientTx> {
    let now = pair.now;
    let tx = pair
        .node(side)
        .endpoint
        .hang_up(now, dialog, Vec::new())
        .unwrap();
    pair.flush();
    tx
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// What an event is, in a word, with its status.
fn word(event: &Event) -> String {
    match event {
        Event::Incoming { request, .. } => format!("incoming {}", request.method()),
        Event::Cancelled { .. } => "cancelled".to_owned(),
        Event::Confirmed { .. } => "confirmed".to_owned(),
        Event::InDialog { request, .. } => format!("in-dialog {}", request.method()),
        Event::Provisional { response, .. } => format!("provisional {}", response.status()),
        Event::Final { response, .. } => format!("final {}", response.status()),
        Event::Failed { cause, .. } => format!("failed {cause}"),
        Event::Ended { why, .. } => format!("ended {}", why_word(why)),
        Event::Refused { status, .. } => {
            format!(
                "refused {}",
                status.map_or("silently".to_owned(), |s| s.to_string())
            )
        }
    }
}

fn why_word(why: &super::Ended) -> String {
    match why {
        super::Ended::RemoteBye(_) => "remote bye".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn words(pair: &mut Pair, side: Side) -> Vec<String> {
    pair.node(side)
        .events
        .drain(..)
        .map(|event| word(&event))
        .collect()
}

/// The last event of a side that `pick` takes; events before it are dropped.
fn take<T>(pair: &mut Pair, side: Side, pick: impl Fn(&Event) -> Option<T>) -> T {
    let node = pair.node(side);
    let seen: Vec<_> = node.events.iter().map(word).collect();
    while let Some(event) = node.events.pop_front() {
        if let Some(found) = pick(&event) {
            return found;
        }
    }
    panic!("not among the events of {side:?}: {seen:?}");
}

fn incoming(pair: &mut Pair, side: Side) -> ServerTx {
    take(pair, side, |event| match event {
        Event::Incoming { tx, .. } => Some(*tx),
        _ => None,
    })
}

fn in_dialog(pair: &mut Pair, side: Side) -> (ServerTx, Request) {
    take(pair, side, |event| match event {
        Event::InDialog { tx, request, .. } => Some((*tx, request.clone())),
        _ => None,
    })
}

fn final_dialog(pair: &mut Pair, side: Side) -> DialogId {
    take(pair, side, |event| match event {
        Event::Final { dialog, .. } => *dialog,
        _ => None,
    })
}

/// A call from A to B, answered and acknowledged, over whatever the links are if they lose nothing.
fn call(pair: &mut Pair) -> (DialogId, DialogId) {
    invite(pair, Side::A);
    pair.run_for(ms(100));
    let tx = incoming(pair, Side::B);
    let callee = respond(pair, Side::B, tx, Status::OK).unwrap();
    pair.run_for(ms(100));
    let caller = final_dialog(pair, Side::A);
    assert!(words(pair, Side::B).contains(&"confirmed".to_owned()));
    (caller, callee)
}

fn parse_request(text: &str) -> Request {
    match Message::parse(Bytes::from(text.to_owned()), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn parse_response(bytes: &Bytes) -> Response {
    match Message::parse(bytes.clone(), &Limits::default()).unwrap() {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

/// The last message of a kind that a side sent.
fn last_sent(pair: &Pair, side: Side, kind: &str) -> Bytes {
    let mut sent = pair.sent.iter().rev();
    let found = sent.find(|sent| sent.from == side && sent.kind() == kind);
    found
        .unwrap_or_else(|| panic!("{side:?} sent no {kind}: {:?}", pair.ladder()))
        .bytes
        .clone()
}

/// A lone endpoint at B's address, fed by hand.
struct Lone {
    endpoint: Endpoint,
    now: std::time::Instant,
}

impl Lone {
    fn new(config: super::Config) -> Self {
        let entropy = crate::testing::SeededEntropy::new(5);
        let mut endpoint = Endpoint::new(std::sync::Arc::new(config), Box::new(entropy));
        let addr = Side::B.addr();
        endpoint.listening(&[(Transport::Udp, addr), (Transport::Tcp, addr)]);
        Self {
            endpoint,
            now: crate::testing::epoch(),
        }
    }

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            local: Side::B.addr(),
            remote: Side::A.addr(),
            connection: 0,
        }
    }

    /// Feeds a message; gives what is sent and told.
    fn feed(&mut self, text: &str) -> (Vec<Bytes>, Vec<Event>) {
        self.feed_over(Self::flow(), text)
    }

    fn feed_over(&mut self, flow: Flow, text: &str) -> (Vec<Bytes>, Vec<Event>) {
        let bytes = Bytes::from(text.to_owned());
        self.endpoint
            .handle_input(self.now, Input::Received { flow, bytes });
        self.drain()
    }

    fn drain(&mut self) -> (Vec<Bytes>, Vec<Event>) {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => sent.push(bytes),
                Output::Event(event) => told.push(event),
                Output::Resolve(_) => {}
            }
        }
        (sent, told)
    }

    fn advance(&mut self, time: Duration) -> (Vec<Bytes>, Vec<Event>) {
        self.now += time;
        self.endpoint.handle_input(self.now, Input::Timeout);
        self.drain()
    }
}

fn status_of(bytes: &Bytes) -> u16 {
    parse_response(bytes).status().code()
}

/// A request as text; `more` are header lines, each with its line end.
fn raw(method: &str, branch: &str, seq: u32, to_tag: &str, more: &str) -> String {
    let to_tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch={branch}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:alice@192.0.2.1>;tag=alice\r\n\
         To: <sip:bob@192.0.2.2>{to_tag}\r\n\
         Call-ID: raw\r\n\
         CSeq: {seq} {method}\r\n\
         {more}Content-Length: 0\r\n\r\n"
    )
}

fn raw_invite(branch: &str, seq: u32) -> String {
    raw(
        "INVITE",
        branch,
        seq,
        "",
        "Contact: <sip:alice@192.0.2.1:5060>\r\n",
    )
}

fn target(side: Side) -> Target {
    Target::udp(side.addr())
}
