//! Any datagram as an RTCP compound: every list in it is read to its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp_media::packet::{Compound, RtcpPacket};

fuzz_target!(|datagram: &[u8]| {
    let mut packets = 0;
    for packet in Compound::new(datagram) {
        packets += 1;
        match packet {
            Ok(
                RtcpPacket::SenderReport { reports, .. }
                | RtcpPacket::ReceiverReport { reports, .. },
            ) => {
                assert!(reports.iter().count() <= 31);
            }
            Ok(RtcpPacket::SourceDescription(chunks)) => {
                assert!(chunks.items().count() <= datagram.len() / 2);
            }
            Ok(RtcpPacket::Goodbye { sources, .. }) => assert!(sources.iter().count() <= 31),
            _ => {}
        }
    }
    assert!(packets <= datagram.len() / 4 + 1);
});
