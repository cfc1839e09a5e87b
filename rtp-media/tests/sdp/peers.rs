//! Whole offers as the usual phone systems make them, and our answer to each, to the letter.

use std::net::SocketAddr;

use rtp_media::sdp::{self, Codec, Direction, LocalMedia, Negotiated, SessionDescription};

fn local() -> LocalMedia {
    let mut local = LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 77);
    local.version = 5;
    local
}

fn answer_to(offer: &str) -> (String, Negotiated) {
    let offer = SessionDescription::parse(offer.as_bytes()).unwrap();
    let (answer, negotiated) = sdp::answer(&local(), &offer).unwrap();
    (answer.to_string(), negotiated)
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const HEAD: &str = "v=0\r\n\
    o=- 77 5 IN IP4 198.51.100.1\r\n\
    s=-\r\n\
    c=IN IP4 198.51.100.1\r\n\
    t=0 0\r\n";

#[test]
fn asterisk_offers_alaw_first_and_is_answered_ulaw() {
    let (answer, negotiated) = answer_to(include_str!("offers/asterisk.sdp"));
    let expected = "m=audio 10000 RTP/AVP 0 101\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-16\r\n\
        a=ptime:20\r\n\
        a=sendrecv\r\n";
    assert_eq!(answer, format!("{HEAD}{expected}"));
    assert_eq!(
        negotiated,
        Negotiated {
            remote: at("192.0.2.10:17890"),
            remote_rtcp: at("192.0.2.10:17891"),
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: Some(101),
            telephone_event_in: Some(101),
            direction: Direction::SendRecv,
            ptime_ms: 20,
            rtcp_mux: false,
        }
    );
}

#[test]
fn linphone_offers_avpf_and_video_and_is_answered_audio_alone() {
    let (answer, negotiated) = answer_to(include_str!("offers/linphone.sdp"));
    let expected = "m=audio 10000 RTP/AVPF 0 100\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:100 telephone-event/8000\r\n\
        a=fmtp:100 0-16\r\n\
        a=ptime:20\r\n\
        a=sendrecv\r\n\
        m=video 0 RTP/AVPF 96\r\n";
    assert_eq!(answer, format!("{HEAD}{expected}"));
    assert_eq!(
        negotiated.telephone_event,
        Some(100),
        "events on the codec's clock"
    );
}

#[test]
fn baresip_offers_opus_first_and_an_rtcp_port() {
    let (answer, negotiated) = answer_to(include_str!("offers/baresip.sdp"));
    assert!(
        answer.contains("m=audio 10000 RTP/AVP 0 101\r\n"),
        "{answer}"
    );
    assert_eq!(negotiated.remote_rtcp, at("10.0.0.5:22011"));
    assert_eq!(negotiated.ptime_ms, 20);
}

#[test]
fn pjsua_names_the_address_in_the_stream_and_offers_mux() {
    let (answer, negotiated) = answer_to(include_str!("offers/pjsua.sdp"));
    let expected = "m=audio 10000 RTP/AVP 0 121\r\n\
        a=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:121 telephone-event/8000\r\n\
        a=fmtp:121 0-16\r\n\
        a=ptime:20\r\n\
        a=sendrecv\r\n\
        a=rtcp-mux\r\n";
    assert_eq!(answer, format!("{HEAD}{expected}"));
    assert_eq!(negotiated.remote, at("10.0.0.6:4000"));
    assert!(negotiated.rtcp_mux);
}

#[test]
fn three_cx_puts_events_on_96_and_wants_30_ms() {
    let (answer, negotiated) = answer_to(include_str!("offers/3cx.sdp"));
    assert!(
        answer.contains("m=audio 10000 RTP/AVP 0 96\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("a=ptime:20\r\n"),
        "what we want stays 20 ms"
    );
    assert_eq!(negotiated.telephone_event, Some(96));
    assert_eq!(negotiated.ptime_ms, 30, "what they want is what we send");
}

#[test]
fn freeswitch_without_ulaw_is_answered_alaw() {
    let (answer, negotiated) = answer_to(include_str!("offers/freeswitch.sdp"));
    assert!(
        answer.contains("m=audio 10000 RTP/AVP 8 101\r\n"),
        "{answer}"
    );
    assert_eq!(negotiated.codec, Codec::Pcma);
    assert_eq!(negotiated.payload_type, 8);
}

#[test]
fn a_phone_that_offers_srtp_and_rtp_is_answered_on_the_plain_stream() {
    let (answer, negotiated) = answer_to(include_str!("offers/secure_phone.sdp"));
    let expected = "m=audio 0 RTP/SAVP 0\r\n\
        m=audio 10000 RTP/AVP 0 101\r\n";
    assert!(answer.contains(expected), "{answer}");
    assert_eq!(negotiated.remote, at("192.0.2.61:11796"));
}
