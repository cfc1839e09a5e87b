//! Calls somebody, plays a tone for three seconds, and says what was heard.
//! Run it with `cargo run -p examples --example dial -- sip:101@pbx.example.com [USER PASSWORD]`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::f32::consts::TAU;
use std::time::Duration;

use rtp_media::session::Frame;
use sip_core::Uri;
use sip_core::auth::Credentials;
use sip_core::header::NameAddr;
use voice_bridge::phone::Progress;
use voice_bridge::{CallEvent, OutgoingCall, Phone};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let to: Uri = arguments
        .next()
        .ok_or("whom? give a URI such as sip:101@pbx.example.com")?
        .parse()?;
    let user = arguments.next();
    let from = format!("sip:{}@{}", user.as_deref().unwrap_or("dial"), to.host());
    let mut order = OutgoingCall::new(NameAddr::new(from.parse()?), to);
    if let (Some(user), Some(password)) = (user, arguments.next()) {
        order.credentials = Some(Credentials::new(user, password));
    }

    let phone = Phone::builder()
        .udp("0.0.0.0:0")
        .tcp("0.0.0.0:0")
        .start()
        .await?;
    let mut dialing = phone.line().dial(order).await?;
    loop {
        match dialing.next().await {
            Progress::Provisional { status, reason } => println!("{status} {reason}"),
            Progress::Heard(_) => {} // early media: ringback, an announcement
            _ => break,
        }
    }
    let mut call = dialing.answered().await?;
    println!("answered; 440 Hz for three seconds");
    call.say(tone(440.0, Duration::from_secs(3)))?;
    call.mark("said")?;
    while let Some(event) = call.next().await {
        match event {
            CallEvent::Digit(digit) => println!("key {digit}"),
            CallEvent::MarkReached(_) => call.hang_up().await?,
            CallEvent::Ended(ending) => println!("ended: {}", ending.cause),
            _ => {}
        }
    }
    if let Some(stats) = call.stats() {
        println!("{stats:#?}");
    }
    phone.shut_down().await;
    Ok(())
}

/// A sine at a fifth of full scale, at the rate of a telephone.
fn tone(hertz: f32, length: Duration) -> Frame {
    const RATE: u32 = 8_000;
    let samples = (length.as_secs_f32() * RATE as f32) as u32;
    let sample = |n| (6_500.0 * (TAU * hertz * n as f32 / RATE as f32).sin()) as i16;
    Frame::new((0..samples).map(sample).collect(), RATE)
}
