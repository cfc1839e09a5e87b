//! What every test here needs: phones on free ports, tones, and patience with a limit.
//! Nothing sleeps for luck: everything is waited for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rtp_media::net::{Frame, MediaConfig};
use sip_core::endpoint::Transport;
use sip_core::header::NameAddr;
use sip_core::uri::Uri;
use voice_bridge::phone::Builder;
use voice_bridge::{Call, CallEvent, Codecs, OutgoingCall, Phone};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Media ports of its own for each phone, so that no test can take another's.
pub fn media() -> MediaConfig {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run one after the other; the process id keeps runs in a row apart.
    let base = 20_000 + (std::process::id() % 50) as u16 * 400;
    let first = base + NEXT.fetch_add(20, Ordering::Relaxed) % 400;
    MediaConfig::new(LOOPBACK, first..=first + 19)
}

/// A phone on free loopback ports, UDP and TCP.
pub fn builder() -> Builder {
    Phone::builder()
        .udp("127.0.0.1:0")
        .tcp("127.0.0.1:0")
        .media(media())
}

pub async fn phone() -> Phone {
    builder().start().await.expect("the phone starts")
}

pub fn address(phone: &Phone, transport: Transport) -> SocketAddr {
    let local = phone.local();
    let bound = local.iter().find(|(bound, _)| *bound == transport);
    bound.expect("it listens").1
}

pub fn uri(user: &str, phone: &Phone) -> Uri {
    Uri::sip_at(Some(user), address(phone, Transport::Udp))
}

/// A call from one phone to the other.
pub fn order(from: &Phone, to: &Phone) -> OutgoingCall {
    OutgoingCall::new(NameAddr::new(uri("alice", from)), uri("bob", to))
}

/// Both ends of an answered call.
pub async fn talk(a: &Phone, b: &mut Phone) -> (Call, Call) {
    talk_as(a, b, Codecs::telephony(), Codecs::telephony()).await
}

pub async fn talk_as(a: &Phone, b: &mut Phone, mine: Codecs, theirs: Codecs) -> (Call, Call) {
    let mut order = order(a, b);
    order.codecs = mine;
    let line = a.line();
    let dialled = tokio::spawn(async move { line.call(order).await });
    let ringing = within("the call", b.accept()).await.expect("a call");
    let callee = ringing.answer(theirs).await.expect("it is answered");
    let caller = within("the answer", dialled).await.unwrap();
    (caller.expect("it is answered"), callee)
}

/// The future's result, or the test fails: nothing here takes longer than ten seconds.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(10), future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} never came"),
    }
}

/// Waits for an event that is not audio.
pub async fn event<T>(
    call: &mut Call,
    what: &str,
    mut wanted: impl FnMut(CallEvent) -> Option<T>,
) -> T {
    within(what, async {
        loop {
            let event = call.event().await;
            let event = event.unwrap_or_else(|| panic!("the call was over before {what}"));
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    })
    .await
}

/// The end of a call, with its cause.
pub async fn end(call: &mut Call) -> voice_bridge::Ending {
    event(call, "the end", |event| match event {
        CallEvent::Ended(ending) => Some(ending),
        _ => None,
    })
    .await
}

/// So many frames of a tone.
pub fn tone(hertz: f32, frames: usize) -> Vec<Frame> {
    let sample = |i: usize| {
        let turns = i as f32 * hertz / 8_000.0;
        ((turns * std::f32::consts::TAU).sin() * 8_000.0) as i16
    };
    (0..frames)
        .map(|frame| {
            let samples = (frame * 160..(frame + 1) * 160).map(sample).collect();
            Frame::new(samples, 8_000)
        })
        .collect()
}

/// How much of a frame's energy lies at this frequency: 1 for a pure tone, 0 for silence.
pub fn share_of(hertz: f32, samples: &[i16]) -> f32 {
    let total: f32 = samples.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
    if total < 1_000_000.0 {
        return 0.0;
    }
    let (mut re, mut im) = (0.0, 0.0);
    for (i, &sample) in samples.iter().enumerate() {
        let angle = i as f32 * hertz / 8_000.0 * std::f32::consts::TAU;
        re += f32::from(sample) * angle.cos();
        im += f32::from(sample) * angle.sin();
    }
    (re * re + im * im) * 2.0 / samples.len() as f32 / total
}

/// Says a tone until the other side of the conversation is heard with this tone for 200 ms.
pub async fn hear_tone(call: &mut Call, hertz: f32) {
    within("the tone", async {
        let mut run = 0;
        while run < 10 {
            let frame = call.hear().await.expect("the call is up");
            run = if share_of(hertz, &frame.samples) > 0.8 {
                run + 1
            } else {
                0
            };
        }
    })
    .await;
}

/// Nothing is left on a phone: no call, no dialog, no leg.
pub async fn assert_idle(phone: &Phone) {
    within("an idle phone", async {
        loop {
            let counts = phone.counts().await;
            let legs = phone.media().counts().legs;
            if phone.calls().await == 0 && counts.dialogs == 0 && legs == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
