//! Answers every call and every request at the SIP level, without media: the peer for a load test.
//! Run it with `cargo run --release -p examples --example answering_server -- 127.0.0.1:5060`,
//! then `sipp -sn uac 127.0.0.1:5060 -r 200 -m 2000`. Ctrl-C prints what was counted.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use sip_core::endpoint::{Body, Config, Endpoint, Event, Reply};
use sip_core::{Method, Status};
use sip_transport::driver::Driver;

const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
    m=audio 40000 RTP/AVP 0\r\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "0.0.0.0:5060".to_owned());
    let address: SocketAddr = address.parse()?;
    let running = Driver::builder(Arc::new(Config::default()))
        .udp(address)
        .tcp(address)
        .start(answer)?;
    println!("answering on udp and tcp {address}");
    tokio::signal::ctrl_c().await?;
    let held = running
        .handle()
        .call(|endpoint, _, _| endpoint.counts())
        .await?;
    println!("{:#?}\n{held:#?}", running.handle().counts());
    running.shutdown().await;
    Ok(())
}

/// The application: any closure of this shape is one.
fn answer(endpoint: &mut Endpoint, now: std::time::Instant, event: Event) {
    let (tx, invite) = match event {
        Event::Incoming { tx, request, .. } | Event::InDialog { tx, request, .. } => {
            (tx, *request.method() == Method::Invite)
        }
        Event::Refused { cause, .. } => {
            println!("refused: {cause}");
            return;
        }
        _ => return,
    };
    let mut reply = Reply::new(Status::OK);
    if invite {
        reply = reply.body(Body::sdp(ANSWER));
    }
    // Fails only if the caller has cancelled in the meantime.
    let _ = endpoint.respond(now, tx, reply);
}
