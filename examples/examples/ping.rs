//! Asks a SIP server whether it is there, and how fast it is: one OPTIONS.
//! Run it with `cargo run -p examples --example ping -- sip:pbx.example.com[;transport=tcp]`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use sip_core::endpoint::{Config, Endpoint, Event, OutgoingRequest};
use sip_core::header::NameAddr;
use sip_core::{Method, Uri};
use sip_transport::driver::Driver;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> ExitCode {
    let Some(target) = std::env::args().nth(1) else {
        println!("whom? give a URI such as sip:pbx.example.com");
        return ExitCode::from(2);
    };
    match ping(&target).await {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("no answer: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What answered and when, or why nothing did.
async fn ping(target: &str) -> Result<String, Box<dyn Error>> {
    let uri: Uri = target.parse()?;
    let from = NameAddr::new("sip:ping@localhost".parse()?);
    let (sender, mut answers) = mpsc::unbounded_channel();
    let running = Driver::builder(Arc::new(Config::default()))
        .udp("0.0.0.0:0".parse()?)
        .tcp("0.0.0.0:0".parse()?)
        .start(move |_: &mut Endpoint, _, event| {
            let answer = match event {
                Event::Final { response, .. } => {
                    let server = response.header(&sip_core::Name::Server);
                    let server = server.as_deref().unwrap_or("an unnamed server");
                    Ok(format!(
                        "{} {} by {server}",
                        response.status(),
                        response.reason()
                    ))
                }
                Event::Failed { cause, .. } => Err(cause),
                _ => return,
            };
            // Nobody asks any more when the first answer is in.
            let _ = sender.send(answer);
        })?;
    let start = Instant::now();
    let request = OutgoingRequest::new(Method::Options, uri.clone(), from, NameAddr::new(uri));
    let handle = running.handle();
    handle
        .call(move |endpoint, _, now| endpoint.request(now, request))
        .await??;
    let answer = answers.recv().await.ok_or("the driver has ended")??;
    let took = start.elapsed();
    running.shutdown().await;
    Ok(format!("{answer} after {:.1} ms", took.as_secs_f32() * 1e3))
}

#[cfg(test)]
#[tokio::test]
async fn a_server_that_is_there_answers() {
    let server = Driver::builder(Arc::new(Config::default()))
        .udp("127.0.0.1:0".parse().unwrap())
        .start(|endpoint: &mut Endpoint, now, event| {
            if let Event::Incoming { tx, .. } = event {
                let reply = sip_core::endpoint::Reply::new(sip_core::Status::OK);
                endpoint.respond(now, tx, reply).unwrap();
            }
        })
        .unwrap();
    let (_, addr) = server.local()[0];
    let answer = ping(&format!("sip:{addr}")).await.unwrap();
    assert!(answer.starts_with("200 OK by "), "{answer}");
}
