//! Any datagram as RTP and telephone-event: what parses writes itself as what it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rtp_media::packet::{RtpPacket, TelephoneEvent};

fuzz_target!(|datagram: &[u8]| {
    if let Ok(packet) = RtpPacket::parse(datagram) {
        let mut written = Vec::new();
        packet.write(&mut written).unwrap();
        assert_eq!(written.len(), datagram.len());
        assert_eq!(RtpPacket::parse(&written), Ok(packet));
        if let Some(event) = TelephoneEvent::parse(packet.payload) {
            assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        }
    }
});
