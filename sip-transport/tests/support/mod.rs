//! What the tests of this crate share: an application that answers, raw peers, raw messages.
//! Everything runs over real loopback sockets on ports of the system's choice.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sip_core::Status;
use sip_core::endpoint::{Body, Config, DialogId, Endpoint, Event, Reply};
use sip_core::method::Method;
use sip_transport::driver::{Builder, Driver, Handler, Running};
use tokio::sync::mpsc;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Answers INVITE with a 200 and a body, everything else with 200, and tells the test.
pub struct App {
    events: mpsc::UnboundedSender<Event>,
}

impl Handler for App {
    fn event(&mut self, endpoint: &mut Endpoint, now: Instant, event: Event) {
        match &event {
            Event::Incoming { tx, request, .. } => {
                let mut reply = Reply::new(Status::OK);
                if *request.method() == Method::Invite {
                    reply = reply.body(Body::sdp("v=0\r\n"));
                }
                endpoint.respond(now, *tx, reply).unwrap();
            }
            Event::InDialog { tx, .. } => {
                endpoint.respond(now, *tx, Reply::new(Status::OK)).unwrap();
            }
            _ => {}
        }
        // A test that has seen enough hangs up its end.
        let _ = self.events.send(event);
    }
}

/// A running driver and what its application was told.
pub struct Node {
    pub running: Running<App>,
    pub events: mpsc::UnboundedReceiver<Event>,
}

impl Node {
    pub fn start(builder: Builder) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let running = builder.start(App { events: sender }).unwrap();
        Self { running, events }
    }

    pub fn addr(&self, transport: sip_core::endpoint::Transport) -> SocketAddr {
        self.running.handle().addr(transport).unwrap()
    }

    /// Waits for an event that `wanted` takes; others are passed over.
    pub async fn event<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the driver has ended");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .expect("the event did not come")
    }

    pub async fn answered(&mut self) -> DialogId {
        self.event(|event| match event {
            Event::Final {
                dialog: Some(dialog),
                response,
                ..
            } if response.cseq().method == Method::Invite => {
                assert_eq!(response.status(), Status::OK);
                Some(*dialog)
            }
            _ => None,
        })
        .await
    }
}

pub fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

pub fn builder() -> Builder {
    Driver::builder(Arc::new(Config::default()))
}

/// A datagram socket that waits no longer than the test's patience.
pub fn udp_peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

pub fn receive(peer: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 65_536];
    let (length, from) = peer.recv_from(&mut buffer).unwrap();
    (
        String::from_utf8_lossy(&buffer[..length]).into_owned(),
        from,
    )
}

pub fn tcp_peer(addr: SocketAddr) -> TcpStream {
    let peer = TcpStream::connect(addr).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// Reads one message without body, or what came until the end.
pub fn read_message(peer: &mut TcpStream) -> String {
    let mut got = Vec::new();
    let mut byte = [0];
    while !got.ends_with(b"\r\n\r\n") {
        match peer.read(&mut byte).unwrap() {
            0 => break,
            _ => got.push(byte[0]),
        }
    }
    String::from_utf8(got).unwrap()
}

pub fn write(peer: &mut TcpStream, text: &str) {
    peer.write_all(text.as_bytes()).unwrap();
}

/// An OPTIONS as a stranger sends it; `via` is the text behind `SIP/2.0/`.
pub fn options(via: &str, call_id: &str) -> String {
    format!(
        "OPTIONS sip:ping@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bK{call_id}\r\n\
         From: <sip:a@127.0.0.1>;tag=f\r\nTo: <sip:ping@127.0.0.1>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}
