//! RTCP as the RFC draws it, read back from what was written, and from any bytes.
//! Blocks and names come from properties, compounds from examples.

use super::*;
use proptest::prelude::*;

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000i32..0x80_0000).prop_map(
        |([ssrc, highest_sequence, jitter, last_sr, delay], fraction_lost, lost)| ReportBlock {
            ssrc,
            fraction_lost,
            lost,
            highest_sequence,
            jitter,
            last_sr,
            delay_since_last_sr: delay,
        },
    )
}

#[test]
fn a_compound_is_read_packet_by_packet() {
    let mut out = Vec::new();
    let info = SenderInfo {
        ntp: 0x0102_0304_0506_0708,
        rtp: 9,
        packets: 10,
        octets: 1600,
    };
    let report = ReportBlock {
        ssrc: 7,
        lost: -3,
        fraction_lost: 128,
        ..ReportBlock::default()
    };
    write_report(&mut out, 5, Some(info), &[report]);
    write_cname(&mut out, 5, "me@here");
    out.extend_from_slice(&[0x80, 204, 0, 1, 1, 2, 3, 4]);
    write_goodbye(&mut out, 5);
    let packets = Compound::new(&out).collect::<Result<Vec<_>, _>>().unwrap();
    let [
        RtcpPacket::SenderReport {
            ssrc: 5,
            info: read,
            reports,
        },
        sdes,
        app,
        bye,
    ] = packets[..]
    else {
        panic!("{packets:?}")
    };
    assert_eq!(
        (read, reports.iter().collect::<Vec<_>>()),
        (info, vec![report])
    );
    let RtcpPacket::SourceDescription(chunks) = sdes else {
        panic!("{sdes:?}")
    };
    assert_eq!(
        chunks.items().collect::<Vec<_>>(),
        [(5, CNAME, &b"me@here"[..])]
    );
    assert_eq!(app, RtcpPacket::Other { packet_type: 204 });
    let RtcpPacket::Goodbye {
        sources,
        reason: None,
    } = bye
    else {
        panic!("{bye:?}")
    };
    assert_eq!(sources.iter().collect::<Vec<_>>(), [5]);
    assert_eq!(middle(info.ntp), 0x0304_0506);
}

#[test]
fn chunks_of_a_description_are_found_behind_their_padding() {
    let mut body = vec![0x82, 202, 0, 6];
    body.extend_from_slice(&[0, 0, 0, 1, 1, 2, b'a', b'b', 2, 1, b'c', 0]);
    body.extend_from_slice(&[0, 0, 0, 2, 1, 1, b'd', 0, 0, 0, 0, 0]);
    let packets = Compound::new(&body).collect::<Result<Vec<_>, _>>().unwrap();
    let [RtcpPacket::SourceDescription(chunks)] = packets[..] else {
        panic!("{packets:?}")
    };
    let items = chunks.items().collect::<Vec<_>>();
    assert_eq!(
        items,
        [(1, 1, &b"ab"[..]), (1, 2, &b"c"[..]), (2, 1, &b"d"[..])]
    );
}

#[test]
fn a_goodbye_may_tell_its_reason() {
    let bytes = [
        0x81, 203, 0, 3, 0, 0, 0, 9, 4, b'd', b'o', b'n', b'e', 0, 0, 0,
    ];
    let packet = Compound::new(&bytes).next().unwrap().unwrap();
    let RtcpPacket::Goodbye { sources, reason } = packet else {
        panic!("{packet:?}")
    };
    assert_eq!(
        (sources.iter().next(), reason),
        (Some(9), Some(&b"done"[..]))
    );
}

#[test]
fn lengths_that_lie_end_the_compound() {
    let read = |bytes: &[u8]| Compound::new(bytes).map(|p| p.err()).collect::<Vec<_>>();
    assert_eq!(
        read(&[0x80, 201, 0]),
        [Some(RtcpError::Truncated("header"))]
    );
    assert_eq!(
        read(&[0x80, 201, 0, 1]),
        [Some(RtcpError::Truncated("packet"))]
    );
    assert_eq!(read(&[0x40, 201, 0, 0]), [Some(RtcpError::Version(1))]);
    assert_eq!(
        read(&[0x81, 201, 0, 1, 0, 0, 0, 1]),
        [Some(RtcpError::Truncated("receiver report"))]
    );
    assert_eq!(
        read(&[0x80, 200, 0, 0]),
        [Some(RtcpError::Truncated("sender report"))]
    );
    assert_eq!(
        read(&[0x81, 203, 0, 0]),
        [Some(RtcpError::Truncated("goodbye"))]
    );
    assert_eq!(
        read(&[0xa0, 201, 0, 1, 0, 0, 0, 3]),
        [Some(RtcpError::Padding(3))]
    );
    assert_eq!(read(&[0xa0, 201, 0, 0]), [Some(RtcpError::Padding(0))]);
}

proptest! {
    #[test]
    fn reports_are_read_back(
        ssrc: u32,
        info in prop::option::of(any::<(u64, u32, u32, u32)>()),
        blocks in prop::collection::vec(block(), 0..=31),
    ) {
        let info = info.map(|(ntp, rtp, packets, octets)| SenderInfo { ntp, rtp, packets, octets });
        let mut out = Vec::new();
        write_report(&mut out, ssrc, info, &blocks);
        let mut compound = Compound::new(&out);
        let reports = match (compound.next(), info) {
            (Some(Ok(RtcpPacket::SenderReport { ssrc: read, info: i, reports })), Some(info)) => {
                prop_assert_eq!((read, i), (ssrc, info));
                reports
            }
            (Some(Ok(RtcpPacket::ReceiverReport { ssrc: read, reports })), None) => {
                prop_assert_eq!(read, ssrc);
                reports
            }
            (other, _) => panic!("{other:?}"),
        };
        prop_assert_eq!(reports.iter().collect::<Vec<_>>(), blocks);
        prop_assert!(compound.next().is_none());
    }

    #[test]
    fn names_of_any_length_are_read_back(ssrc: u32, name in "[a-z@.]{0,300}") {
        let mut out = Vec::new();
        write_cname(&mut out, ssrc, &name);
        prop_assert_eq!(out.len() % 4, 0);
        let packets = Compound::new(&out).collect::<Result<Vec<_>, _>>().unwrap();
        let [RtcpPacket::SourceDescription(chunks)] = packets[..] else { panic!("{packets:?}") };
        let cut = &name.as_bytes()[..name.len().min(255)];
        prop_assert_eq!(chunks.items().collect::<Vec<_>>(), vec![(ssrc, CNAME, cut)]);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 198u8..208, plausible: bool,
    ) {
        if plausible && let [first, second, high, low, ..] = &mut bytes[..] {
            (*first, *second, *high, *low) = (*first & 0x3f | 0x80, kind, 0, *low % 50);
        }
        for packet in Compound::new(&bytes) {
            match packet {
                Ok(RtcpPacket::SenderReport { reports, .. } | RtcpPacket::ReceiverReport { reports, .. }) => {
                    prop_assert!(reports.iter().count() <= 31);
                }
                Ok(RtcpPacket::SourceDescription(chunks)) => {
                    prop_assert!(chunks.items().count() <= bytes.len());
                }
                _ => {}
            }
        }
    }
}
