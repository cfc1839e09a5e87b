//! An SDP offer, our answer to it, and a refusal that names its cause. No network.
//! Run it with `cargo run -p examples --example negotiate`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};

use rtp_media::sdp::{LocalMedia, SessionDescription, accept_answer, answer, offer};

/// What a telephone of the last ten years offers.
const OFFER: &str = "v=0\r\no=phone 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
    m=audio 16384 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n";

fn main() -> Result<(), Box<dyn Error>> {
    let ours = LocalMedia::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000, 1);

    let (description, agreed) = answer(&ours, &SessionDescription::parse(OFFER.as_bytes())?)?;
    println!("To a telephone's offer we answer\n\n{description}");
    println!("and speak {} with {}", agreed.codec.name(), agreed.remote);

    let theirs = LocalMedia::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 30_000, 2);
    let asked = offer(&ours);
    let (back, _) = answer(&theirs, &asked)?;
    let agreed = accept_answer(&ours, &back)?;
    println!(
        "\nOur own offer ends in {} with {}",
        agreed.codec.name(),
        agreed.remote
    );

    let foreign = OFFER
        .replace("RTP/AVP 9 8 0 101", "RTP/AVP 18")
        .replace("a=rtpmap:9 G722/8000", "a=rtpmap:18 G729/8000");
    match answer(&ours, &SessionDescription::parse(foreign.as_bytes())?) {
        Ok(_) => Err("an offer without a common codec was accepted".into()),
        Err(refusal) => {
            println!(
                "\nWithout a common codec: {} with Warning: {}",
                refusal.status(),
                refusal.warning("example")
            );
            Ok(())
        }
    }
}

#[cfg(test)]
#[test]
fn all_three_come_out_as_told() {
    main().unwrap();
}
