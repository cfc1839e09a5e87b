//! Rules of the bargain, one by one.

use rtp_media::sdp::{self, Codec, Direction, LocalMedia, Negotiated, SessionDescription};

fn local() -> LocalMedia {
    LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 1)
}

fn description(connection: &str, media: &str) -> SessionDescription {
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\n{connection}t=0 0\r\n{media}");
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn agree(media: &str) -> Negotiated {
    agree_with(&local(), media)
}

fn agree_with(local: &LocalMedia, media: &str) -> Negotiated {
    let offer = description("c=IN IP4 192.0.2.7\r\n", media);
    sdp::answer(local, &offer).unwrap().1
}

#[test]
fn the_trunks_order_decides_between_what_both_speak() {
    let mut alaw_first = local();
    alaw_first.codecs = vec![Codec::Pcma, Codec::Pcmu];
    let media = "m=audio 4000 RTP/AVP 0 8\r\n";
    assert_eq!(agree(media).codec, Codec::Pcmu);
    assert_eq!(agree_with(&alaw_first, media).codec, Codec::Pcma);
}

#[test]
fn a_codec_that_the_trunk_does_not_take_is_not_answered() {
    let mut alaw_only = local();
    alaw_only.codecs = vec![Codec::Pcma];
    let negotiated = agree_with(&alaw_only, "m=audio 4000 RTP/AVP 0 8\r\n");
    assert_eq!(negotiated.codec, Codec::Pcma);
}

#[test]
fn a_dynamic_payload_type_mapped_to_ulaw_is_ulaw() {
    let media = "m=audio 4000 RTP/AVP 107\r\na=rtpmap:107 pcmu/8000/1\r\n";
    assert_eq!(agree(media).payload_type, 107);
}

#[test]
fn a_static_payload_type_mapped_to_another_codec_is_not_ulaw() {
    let media = "m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 L16/44100\r\n";
    assert_eq!(agree(media).codec, Codec::Pcma);
}

#[test]
fn stereo_or_wideband_of_the_same_name_is_another_codec() {
    let media = "m=audio 4000 RTP/AVP 97 98 8\r\n\
        a=rtpmap:97 PCMU/8000/2\r\na=rtpmap:98 PCMU/16000\r\n";
    assert_eq!(agree(media).codec, Codec::Pcma);
}

#[test]
fn telephone_events_are_not_answered_when_not_offered_or_not_wanted() {
    assert_eq!(agree("m=audio 4000 RTP/AVP 0\r\n").telephone_event, None);
    let mut deaf = local();
    deaf.telephone_event = false;
    let media = "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    assert_eq!(agree_with(&deaf, media).telephone_event, None);
}

#[test]
fn each_direction_is_answered_with_its_counterpart() {
    for (offered, ours, written) in [
        ("sendrecv", Direction::SendRecv, "a=sendrecv\r\n"),
        ("sendonly", Direction::RecvOnly, "a=recvonly\r\n"),
        ("recvonly", Direction::SendOnly, "a=sendonly\r\n"),
        ("inactive", Direction::Inactive, "a=inactive\r\n"),
    ] {
        for (session, media) in [(offered, ""), ("sendrecv", offered)] {
            let media = match media {
                "" => String::new(),
                media => format!("a={media}\r\n"),
            };
            let offer = description(
                &format!("c=IN IP4 192.0.2.7\r\na={session}\r\n"),
                &format!("m=audio 4000 RTP/AVP 0\r\n{media}"),
            );
            let (answer, negotiated) = sdp::answer(&local(), &offer).unwrap();
            assert_eq!(negotiated.direction, ours, "{offered}");
            assert!(answer.to_string().contains(written), "{offered}: {answer}");
        }
    }
}

#[test]
fn the_address_0_0_0_0_is_a_hold() {
    let offer = description("c=IN IP4 0.0.0.0\r\n", "m=audio 4000 RTP/AVP 0\r\n");
    let (answer, negotiated) = sdp::answer(&local(), &offer).unwrap();
    assert_eq!(negotiated.direction, Direction::RecvOnly);
    assert!(answer.to_string().contains("a=recvonly\r\n"));
}

#[test]
fn our_own_hold_shows_in_the_answer() {
    let mut holding = local();
    holding.direction = Direction::SendOnly;
    let media = "m=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(agree_with(&holding, media).direction, Direction::SendOnly);
    let held = "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";
    assert_eq!(agree_with(&holding, held).direction, Direction::Inactive);
}

#[test]
fn the_streams_address_goes_before_the_sessions() {
    let offer = description(
        "c=IN IP4 192.0.2.7\r\n",
        "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.99\r\n",
    );
    let (_, negotiated) = sdp::answer(&local(), &offer).unwrap();
    assert_eq!(negotiated.remote.to_string(), "192.0.2.99:4000");
}

#[test]
fn the_rtcp_attribute_names_port_and_address() {
    let rtcp = |attribute: &str| {
        let media = format!("m=audio 4000 RTP/AVP 0\r\n{attribute}");
        agree(&media).remote_rtcp.to_string()
    };
    assert_eq!(rtcp(""), "192.0.2.7:4001");
    assert_eq!(rtcp("a=rtcp:53020\r\n"), "192.0.2.7:53020");
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 192.0.2.8\r\n"), "192.0.2.8:53020");
    assert_eq!(rtcp("a=rtcp:70000\r\n"), "192.0.2.7:4001", "not a port");
    assert_eq!(rtcp("a=rtcp:0\r\n"), "192.0.2.7:4001", "not a usable port");
    assert_eq!(
        rtcp("a=rtcp:5 IN IP6 ::1\r\n"),
        "192.0.2.7:5",
        "another family"
    );
    let last = agree("m=audio 65535 RTP/AVP 0\r\n");
    assert_eq!(last.remote_rtcp.port(), 65_535, "there is no next port");
}

#[test]
fn the_packet_time_is_the_peers_wish_within_bounds() {
    let ptime = |attributes: &str| {
        let media = format!("m=audio 4000 RTP/AVP 0\r\n{attributes}");
        agree(&media).ptime_ms
    };
    assert_eq!(ptime(""), 20);
    assert_eq!(ptime("a=ptime:40\r\n"), 40);
    assert_eq!(ptime("a=ptime:0\r\n"), 20);
    assert_eq!(ptime("a=ptime:200\r\n"), 20);
    assert_eq!(ptime("a=ptime:40\r\na=maxptime:30\r\n"), 20);
    assert_eq!(ptime("a=ptime:1000\r\n"), 20);
}

#[test]
fn ipv6_is_answered_with_ipv6() {
    let local = LocalMedia::new("2001:db8::1".parse().unwrap(), 10_000, 1);
    let offer = description("c=IN IP6 2001:db8::7\r\n", "m=audio 4000 RTP/AVP 0\r\n");
    let (answer, negotiated) = sdp::answer(&local, &offer).unwrap();
    assert_eq!(negotiated.remote.to_string(), "[2001:db8::7]:4000");
    assert!(answer.to_string().contains("c=IN IP6 2001:db8::1\r\n"));
    assert!(
        answer
            .to_string()
            .contains("o=- 1 1 IN IP6 2001:db8::1\r\n")
    );
}

#[test]
fn only_the_first_audio_stream_is_taken() {
    let offer = description(
        "c=IN IP4 192.0.2.7\r\n",
        "m=video 5000 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n\
         m=application 6000 UDP/BFCP *\r\n",
    );
    let (answer, negotiated) = sdp::answer(&local(), &offer).unwrap();
    let ports: Vec<u16> = answer.media.iter().map(|media| media.port).collect();
    assert_eq!(ports, [0, 10_000, 0, 0]);
    assert_eq!(negotiated.remote.port(), 4000);
    assert_eq!(answer.media[3].protocol, "UDP/BFCP");
}

#[test]
fn an_offer_is_read_back_by_the_other_side() {
    let theirs = LocalMedia::new("192.0.2.7".parse().unwrap(), 4000, 2);
    let offer = sdp::offer(&local());
    let offer = SessionDescription::parse(offer.to_string().as_bytes()).unwrap();
    let (answer, as_seen_there) = sdp::answer(&theirs, &offer).unwrap();
    let answer = SessionDescription::parse(answer.to_string().as_bytes()).unwrap();
    let as_seen_here = sdp::accept_answer(&local(), &answer).unwrap();
    assert_eq!(as_seen_there.remote.to_string(), "198.51.100.1:10000");
    assert_eq!(as_seen_here.remote.to_string(), "192.0.2.7:4000");
    assert_eq!(as_seen_here.codec, as_seen_there.codec);
    assert_eq!(as_seen_here.telephone_event, Some(101));
}

#[test]
fn the_peers_answer_decides_the_codec_by_its_own_order() {
    let answer = description("c=IN IP4 192.0.2.7\r\n", "m=audio 4000 RTP/AVP 8 0\r\n");
    let negotiated = sdp::accept_answer(&local(), &answer).unwrap();
    assert_eq!(negotiated.codec, Codec::Pcma);
}

#[test]
fn an_answer_may_number_events_its_own_way() {
    let answer = description(
        "c=IN IP4 192.0.2.7\r\n",
        "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n",
    );
    let negotiated = sdp::accept_answer(&local(), &answer).unwrap();
    assert_eq!(negotiated.telephone_event, Some(96), "how we send them");
    assert_eq!(
        negotiated.telephone_event_in,
        Some(101),
        "how we asked for them"
    );
}

#[test]
fn baresip_answers_sendrecv_to_our_hold_and_stays_held() {
    let mut holding = local();
    holding.direction = Direction::Inactive;
    let answer = description(
        "c=IN IP4 192.0.2.7\r\n",
        "m=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n",
    );
    let negotiated = sdp::accept_answer(&holding, &answer).unwrap();
    assert_eq!(negotiated.direction, Direction::Inactive);
}
