//! Any body as a session description: what parses writes itself as what it was, and every bargain
//! over it ends in an answer that parses or a refusal that fits a header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp_media::sdp::{Exchange, LocalMedia, SessionDescription};

fuzz_target!(|body: &[u8]| {
    let Ok(description) = SessionDescription::parse(body) else {
        return;
    };
    let written = description.to_string();
    let again = SessionDescription::parse(written.as_bytes()).unwrap();
    // What is not kept is what may be missing and is then written: s= and t=.
    assert_eq!(again.media, description.media);
    assert_eq!(again.origin, description.origin);

    let mut call = Exchange::new(LocalMedia::new([192, 0, 2, 1].into(), 4000, 1));
    match call.answer(&description) {
        Ok((answer, negotiated)) => {
            assert_eq!(answer.media.len(), description.media.len());
            assert!(negotiated.remote.port() != 0);
            let text = answer.to_string();
            assert_eq!(SessionDescription::parse(text.as_bytes()), Ok(answer));
        }
        Err(refusal) => {
            let warning = refusal.warning("host");
            assert!(warning.len() < 700 && !warning.contains(['\r', '\n']));
        }
    }
    call.offer();
    let _ = call.accept_answer(&description);
});
