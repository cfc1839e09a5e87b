//! A call between two endpoints without a socket, a runtime or a clock: time is an argument.
//! Run it with `cargo run -p examples --example in_memory_call`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sip_core::endpoint::{
    Body, Config, Ended, Endpoint, Entropy, Event, Flow, Input, OutgoingRequest, Output, Reply,
    Target, Transport,
};
use sip_core::header::NameAddr;
use sip_core::{Method, Status};

/// One side of the call: its endpoint and its address.
struct Side {
    name: &'static str,
    endpoint: Endpoint,
    address: SocketAddr,
}

/// Not random at all, so that every run prints the same. Never do this with real sockets.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(181).wrapping_add(59);
            *byte = self.0;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut alice = Side::new("alice", "192.0.2.1:5060", 1)?;
    let mut bob = Side::new("bob", "192.0.2.2:5060", 2)?;
    let start = Instant::now();
    let mut now = start;

    let uri: sip_core::Uri = "sip:bob@example.com".parse()?;
    let from = NameAddr::new("sip:alice@example.com".parse()?);
    let invite = OutgoingRequest::new(Method::Invite, uri.clone(), from, NameAddr::new(uri))
        .target(Target::udp(bob.address))
        .body(Body::sdp("v=0\r\n"));
    alice.endpoint.request(now, invite)?;

    // The network between them takes 20 ms. Nobody waits for anything: when both are silent, time
    // jumps to the next timer.
    loop {
        let to_bob = alice.drain(now, start)?;
        let to_alice = bob.drain(now, start)?;
        if to_bob.is_empty() && to_alice.is_empty() {
            let timers = [alice.endpoint.poll_timeout(), bob.endpoint.poll_timeout()];
            let Some(next) = timers.into_iter().flatten().min() else {
                break;
            };
            now = next;
            alice.endpoint.handle_input(now, Input::Timeout);
            bob.endpoint.handle_input(now, Input::Timeout);
        } else {
            now += Duration::from_millis(20);
            bob.receive(now, alice.address, to_bob);
            alice.receive(now, bob.address, to_alice);
        }
    }

    println!(
        "{:6.2} s  nothing is left: {:?}",
        (now - start).as_secs_f32(),
        bob.endpoint.counts()
    );
    if alice.endpoint.counts().is_zero() && bob.endpoint.counts().is_zero() {
        Ok(())
    } else {
        Err("a transaction or dialog was left over".into())
    }
}

impl Side {
    fn new(name: &'static str, address: &str, seed: u8) -> Result<Self, Box<dyn Error>> {
        let address = address.parse()?;
        let config = Arc::new(Config::default());
        let mut endpoint = Endpoint::new(config, Box::new(Counting(seed)));
        endpoint.listening(&[(Transport::Udp, address)]);
        Ok(Self {
            name,
            endpoint,
            address,
        })
    }

    fn receive(&mut self, now: Instant, remote: SocketAddr, messages: Vec<Bytes>) {
        for bytes in messages {
            let flow = Flow {
                transport: Transport::Udp,
                local: self.address,
                remote,
                connection: 0,
            };
            let input = Input::Received { flow, bytes };
            self.endpoint.handle_input(now, input);
        }
    }

    /// Does what the endpoint wants done, and returns what it sends.
    fn drain(&mut self, now: Instant, start: Instant) -> Result<Vec<Bytes>, Box<dyn Error>> {
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    let line = String::from_utf8_lossy(&bytes);
                    let line = line.lines().next().unwrap_or_default();
                    let at = (now - start).as_secs_f32();
                    println!("{at:6.2} s  {:5} sends  {line}", self.name);
                    sent.push(bytes);
                }
                Output::Event(event) => self.event(now, event)?,
                _ => {}
            }
        }
        Ok(sent)
    }

    /// The application: bob answers, alice hangs up as soon as bob has answered.
    fn event(&mut self, now: Instant, event: Event) -> Result<(), Box<dyn Error>> {
        match event {
            Event::Incoming { tx, .. } => {
                let reply = Reply::new(Status::OK).body(Body::sdp("v=0\r\n"));
                self.endpoint.respond(now, tx, reply)?;
            }
            Event::Final {
                dialog: Some(dialog),
                response,
                ..
            } if response.cseq().method == Method::Invite => {
                self.endpoint.hang_up(now, dialog, Vec::new())?;
            }
            Event::Ended {
                why: Ended::LocalBye | Ended::RemoteBye(_),
                ..
            } => {
                println!("          {:5} knows that the call is over", self.name);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
#[test]
fn the_call_completes_and_leaves_nothing() {
    main().unwrap();
}
