//! What the media plane is told at its start.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Where media is received and by how many threads.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// The address that sockets are bound to. Unspecified (`0.0.0.0`, `::`): each leg is bound to
    /// the address given to [`open`](super::Media::open), if one is given.
    pub bind: IpAddr,
    /// The address that peers are told when it is another one: the public side of a NAT.
    pub advertise: Option<IpAddr>,
    /// The ports to take pairs from: an even one for RTP, the next one for RTCP.
    pub ports: RangeInclusive<u16>,
    /// How many threads serve the legs; at least one.
    pub shards: usize,
    /// How long a pair rests after its call, so that late packets do not reach the next call.
    pub quarantine: Duration,
    /// How much audio may wait to be sent on a leg; more is refused with
    /// [`SayError::Full`](super::SayError::Full).
    pub playout_limit: Duration,
}

impl MediaConfig {
    /// One thread, five seconds of quarantine, ten minutes of audio to wait at most.
    pub fn new(bind: IpAddr, ports: RangeInclusive<u16>) -> Self {
        Self {
            bind,
            advertise: None,
            ports,
            shards: 1,
            quarantine: Duration::from_secs(5),
            playout_limit: Duration::from_secs(600),
        }
    }
}
