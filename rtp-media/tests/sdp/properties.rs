//! For all texts and all descriptions: nothing panics, what is written is read, an answer holds
//! nothing that was not offered.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use rtp_media::sdp::{
    self, Attribute, Codec, Connection, LocalMedia, MediaDescription, Origin, SessionDescription,
    Timing,
};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9._+-]{1,12}"
}

fn connection() -> impl Strategy<Value = Connection> {
    (any::<std::net::IpAddr>(), option::of("[0-9]{1,3}")).prop_map(|(ip, multicast)| Connection {
        multicast,
        ..Connection::to_ip(ip)
    })
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let known = prop_oneof![
        Just("rtpmap"),
        Just("fmtp"),
        Just("rtcp"),
        Just("ptime"),
        Just("maxptime")
    ];
    prop_oneof![
        "[a-z-]{1,10}".prop_map(Attribute::flag),
        Just(Attribute::flag("sendonly")),
        (word(), "[!-~]([ -~]{0,20}[!-~])?").prop_map(|(n, v)| Attribute::value(n, v)),
        (known, "[0-9]{1,3} ?[a-zA-Z-]{0,15}/?[0-9]{0,5}")
            .prop_map(|(n, v)| Attribute::value(n, v.trim())),
        (
            96u8..128,
            prop_oneof![
                Just("PCMU/8000"),
                Just("telephone-event/8000"),
                Just("opus/48000/2")
            ]
        )
            .prop_map(|(number, encoding)| Attribute::value(
                "rtpmap",
                format!("{number} {encoding}")
            )),
    ]
}

fn media() -> impl Strategy<Value = MediaDescription> {
    (
        prop_oneof![4 => Just("audio".to_owned()), 1 => word()],
        any::<u16>(),
        option::of(any::<u16>()),
        prop_oneof![4 => Just("RTP/AVP".to_owned()), 1 => "[A-Z/]{1,10}"],
        vec(
            prop_oneof![
                Just("0".to_owned()),
                Just("8".to_owned()),
                "[0-9]{1,3}",
                word()
            ],
            1..6,
        ),
        option::of("[!-~][ -~]{0,10}"),
        option::of(connection()),
        vec("[A-Z]{1,4}:[0-9]{1,5}", 0..2),
        vec(attribute(), 0..8),
    )
        .prop_map(
            |(
                kind,
                port,
                port_count,
                protocol,
                formats,
                information,
                connection,
                bandwidth,
                attributes,
            )| {
                MediaDescription {
                    kind,
                    port,
                    port_count,
                    protocol,
                    formats,
                    information,
                    connection,
                    bandwidth,
                    attributes,
                }
            },
        )
}

prop_compose! {
    fn description()(
        username in "[!-~]{1,10}( [!-~]{1,5})?",
        session_id in any::<u64>(),
        version in any::<u64>(),
        address in word(),
        name in "[!-~][ -~]{0,20}",
        information in option::of("[!-~][ -~]{0,20}"),
        connection in option::of(connection()),
        bandwidth in vec("[A-Z]{1,4}:[0-9]{1,5}", 0..3),
        timing in vec((any::<u64>(), any::<u64>()), 1..3),
        attributes in vec(attribute(), 0..5),
        media in vec(media(), 0..5),
    ) -> SessionDescription {
        SessionDescription {
            origin: Origin { username, session_id, version, address_type: "IP4".into(), address },
            name,
            information,
            connection,
            bandwidth,
            timing: timing.into_iter().map(|(start, stop)| Timing { start, stop }).collect(),
            attributes,
            media,
        }
    }
}

fn local() -> LocalMedia {
    LocalMedia::new("198.51.100.1".parse().unwrap(), 10_000, 1)
}

proptest! {
    #[test]
    fn what_is_written_is_read(description in description()) {
        let text = description.to_string();
        prop_assert_eq!(SessionDescription::parse(text.as_bytes()), Ok(description), "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        if let Err(error) = SessionDescription::parse(&bytes) {
            prop_assert!(error.line() >= 1);
        }
    }

    #[test]
    fn any_lines_are_read_or_refused(
        lines in vec("[vosiuepcbtrzkamq]=[ -~]{0,30}", 0..20),
    ) {
        let text = format!("v=0\r\n{}", lines.join("\r\n"));
        if let Ok(read) = SessionDescription::parse(text.as_bytes()) {
            let again = SessionDescription::parse(read.to_string().as_bytes());
            prop_assert_eq!(again.map(|again| again.media), Ok(read.media));
        }
    }

    #[test]
    fn an_answer_holds_only_what_was_offered(offer in description()) {
        let Ok((answer, negotiated)) = sdp::answer(&local(), &offer) else {
            return Ok(());
        };
        prop_assert_eq!(answer.media.len(), offer.media.len());
        let mut live = 0;
        for (ours, theirs) in answer.media.iter().zip(&offer.media) {
            prop_assert_eq!(&ours.kind, &theirs.kind);
            prop_assert_eq!(&ours.protocol, &theirs.protocol);
            for format in &ours.formats {
                prop_assert!(theirs.formats.contains(format), "{} not offered", format);
            }
            if ours.port != 0 {
                live += 1;
                prop_assert_eq!(negotiated.remote.port(), theirs.port);
            }
        }
        prop_assert_eq!(live, 1);
        prop_assert!(Codec::ALL.contains(&negotiated.codec));
        prop_assert!((10..=60).contains(&negotiated.ptime_ms));
        let text = answer.to_string();
        prop_assert_eq!(SessionDescription::parse(text.as_bytes()), Ok(answer));
    }

    #[test]
    fn any_refusal_fits_a_header(offer in description()) {
        if let Err(refusal) = sdp::answer(&local(), &offer) {
            let warning = refusal.warning("host");
            prop_assert!(warning.len() < 700);
            prop_assert_eq!(warning.matches('"').count(), 2);
            prop_assert!(warning.chars().all(|c| c.is_ascii_graphic() || c == ' '));
        }
    }
}
