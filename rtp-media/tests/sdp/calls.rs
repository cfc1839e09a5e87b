//! Several offers and answers in one call: versions, holds, streams that stay refused.

use rtp_media::sdp::{Direction, Exchange, LocalMedia, SessionDescription};

fn exchange() -> Exchange {
    let mut local = LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 9);
    local.version = 1;
    Exchange::new(local)
}

fn parse(text: &str) -> SessionDescription {
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn offer(direction: &str) -> SessionDescription {
    parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=video 5000 RTP/AVP 99\r\n\
         m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\na={direction}\r\n"
    ))
}

#[test]
fn the_version_rises_with_each_change_and_only_then() {
    let mut call = exchange();
    let (first, _) = call.answer(&offer("sendrecv")).unwrap();
    assert_eq!(first.origin.version, 1);
    let (refreshed, _) = call.answer(&offer("sendrecv")).unwrap();
    assert_eq!(refreshed, first, "a session refresh changes nothing");
    let (held, negotiated) = call.answer(&offer("sendonly")).unwrap();
    assert_eq!(held.origin.version, 2);
    assert_eq!(held.origin.session_id, first.origin.session_id);
    assert_eq!(negotiated.direction, Direction::RecvOnly);
    let (resumed, _) = call.answer(&offer("sendrecv")).unwrap();
    assert_eq!(resumed.origin.version, 3);
}

#[test]
fn our_later_offer_keeps_streams_and_payload_types() {
    let mut call = exchange();
    call.answer(&offer("sendrecv")).unwrap();
    call.set_direction(Direction::SendOnly);
    let hold = call.offer();
    assert_eq!(hold.origin.version, 2);
    assert_eq!(hold.media.len(), 2, "the refused video keeps its place");
    assert_eq!(hold.media[0].kind, "video");
    assert_eq!(hold.media[0].port, 0);
    assert_eq!(hold.media[1].formats, ["0", "8", "96"], "events stay on 96");
    assert!(hold.media[1].has("sendonly"));

    let answer = parse(
        "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=video 0 RTP/AVP 99\r\nm=audio 4000 RTP/AVP 0\r\na=recvonly\r\n",
    );
    let negotiated = call.accept_answer(&answer).unwrap();
    assert_eq!(negotiated.direction, Direction::SendOnly);
    assert_eq!(call.agreed(), Some(&negotiated));
}

#[test]
fn a_refused_offer_leaves_the_call_as_it_was() {
    let mut call = exchange();
    let (first, agreed) = call.answer(&offer("sendrecv")).unwrap();
    let srtp = parse(
        "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=audio 4000 RTP/SAVP 0\r\n",
    );
    call.answer(&srtp).unwrap_err();
    assert_eq!(call.agreed(), Some(&agreed));
    let (again, _) = call.answer(&offer("sendrecv")).unwrap();
    assert_eq!(again, first);
}

#[test]
fn the_offer_in_our_200_is_answered_in_the_ack() {
    let mut call = exchange();
    let ours = call.offer();
    assert_eq!(ours.media.len(), 1);
    let answer = parse(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    );
    let negotiated = call.accept_answer(&answer).unwrap();
    assert_eq!(negotiated.payload_type, 8);
}
