//! Offers that cannot be taken: each cause with its warning code and words an administrator can
//! act on.

use rtp_media::sdp::{self, Codec, LocalMedia, Refusal, SessionDescription};

fn refuse(connection: &str, media: &str) -> Refusal {
    let local = LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 1);
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n{connection}t=0 0\r\n{media}");
    let offer = SessionDescription::parse(text.as_bytes()).unwrap();
    sdp::answer(&local, &offer).unwrap_err()
}

const HERE: &str = "c=IN IP4 192.0.2.7\r\n";

#[test]
fn no_codec_in_common_names_what_was_offered_and_what_is_taken() {
    let refusal = refuse(
        HERE,
        "m=audio 4000 RTP/AVP 18 96 3 101\r\na=rtpmap:96 opus/48000/2\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
    );
    assert_eq!(refusal.status(), 488);
    assert_eq!(
        refusal.warning("media.example.com"),
        "305 media.example.com \"no codec in common: offered G729, opus, GSM; taken here PCMU, \
         PCMA; allow one of these on the PBX\""
    );
    assert_eq!(refusal.label(), "no_codec");
}

#[test]
fn srtp_alone_is_refused_by_name() {
    for protocol in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"] {
        let refusal = refuse(HERE, &format!("m=audio 4000 {protocol} 0\r\n"));
        assert_eq!(refusal.warning_code(), 399);
        let text = refusal.to_string();
        assert!(text.contains("SRTP") && text.contains(protocol), "{text}");
        assert!(text.contains("switch media encryption off"), "{text}");
    }
}

#[test]
fn another_transport_is_refused_by_name() {
    let refusal = refuse(HERE, "m=audio 4000 TCP/RTP/AVP 0\r\n");
    assert_eq!(refusal.warning_code(), 302);
    assert!(refusal.to_string().contains("TCP/RTP/AVP"));
}

#[test]
fn no_audio_stream_is_304() {
    for media in [
        "",
        "m=video 4000 RTP/AVP 96\r\n",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=image 4000 udptl t38\r\n",
    ] {
        let refusal = refuse(HERE, media);
        assert_eq!(refusal, Refusal::NoAudio);
        assert_eq!(refusal.warning_code(), 304);
    }
}

#[test]
fn an_address_that_cannot_be_sent_to_is_301() {
    let media = "m=audio 4000 RTP/AVP 0\r\n";
    for connection in [
        "",
        "c=IN IP4 pbx.example.com\r\n",
        "c=IN IP4 224.2.36.42/127\r\n",
        "c=IN IP6 2001:db8::7\r\n",
    ] {
        let refusal = refuse(connection, media);
        assert_eq!(refusal.warning_code(), 301, "{connection}");
    }
    let text = refuse("c=IN IP6 2001:db8::7\r\n", media).to_string();
    assert!(
        text.contains("2001:db8::7 is IPv6, media here is IPv4"),
        "{text}"
    );
}

#[test]
fn the_first_streams_cause_is_told() {
    let refusal = refuse(
        HERE,
        "m=audio 4000 RTP/SAVP 0\r\nm=audio 4002 RTP/AVP 18\r\n",
    );
    assert_eq!(refusal.label(), "srtp");
}

#[test]
fn what_the_peer_wrote_cannot_break_the_warning_header() {
    let refusal = refuse(
        HERE,
        "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 a\"b\\c\u{7}\u{e9}d/8000\r\n",
    );
    let warning = refusal.warning("-");
    assert_eq!(warning.matches('"').count(), 2, "{warning}");
    assert!(!warning.contains('\\'), "{warning}");
    assert!(warning.contains("offered abcd;"), "{warning}");
}

#[test]
fn many_names_are_cut_short() {
    let mut media = "m=audio 4000 RTP/AVP".to_owned();
    let mut maps = String::new();
    for number in 96..127 {
        media.push_str(&format!(" {number}"));
        maps.push_str(&format!("a=rtpmap:{number} {}/8000\r\n", "x".repeat(200)));
    }
    let text = refuse(HERE, &format!("{media}\r\n{maps}")).to_string();
    assert!(text.len() < 500, "{} bytes", text.len());
}

#[test]
fn an_answer_that_refuses_or_invents_is_refused() {
    let mut local = LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 1);
    local.codecs = vec![Codec::Pcmu];
    let accept = |media: &str| {
        let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n{HERE}t=0 0\r\n{media}");
        let answer = SessionDescription::parse(text.as_bytes()).unwrap();
        sdp::accept_answer(&local, &answer).map(|_| ())
    };
    assert_eq!(accept("m=audio 0 RTP/AVP 0\r\n"), Err(Refusal::NoAudio));
    assert_eq!(accept(""), Err(Refusal::NoAudio));
    let invented = accept("m=audio 4000 RTP/AVP 8\r\n").unwrap_err();
    assert_eq!(invented.label(), "no_codec");
    assert_eq!(accept("m=audio 4000 RTP/AVP 0\r\n"), Ok(()));
}
