//! A stream in pieces gives the same as in one piece, and never more than the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::Limits;
use sip_core::message::stream::{Framed, Framer};

fuzz_target!(|data: (u8, &[u8])| {
    let (step, octets) = data;
    let limits = Limits {
        message: 2048,
        body: 1024,
        ..Limits::default()
    };
    let run = |step: usize| {
        let mut framer = Framer::new(limits);
        let mut messages = Vec::new();
        for piece in octets.chunks(step) {
            framer.push(piece);
            loop {
                match framer.next() {
                    Ok(Some(Framed::Message(message))) => messages.push(message),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return messages,
                }
            }
            assert!(framer.buffered() <= limits.message + step);
        }
        messages
    };
    assert_eq!(run(usize::from(step) + 1), run(octets.len().max(1)));
});
