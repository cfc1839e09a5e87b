//! Symmetric latching: whom to listen to and where to send (RFC 4961, and NATs as they are).
//! What SDP says counts at once, where packets really come from counts soon, then it is locked.

use std::net::SocketAddr;

/// The peer's address, and who else may become it.
#[derive(Clone, Debug)]
pub(super) struct Latch {
    current: SocketAddr,
    locked: bool,
    /// The peer's address before an update moved it: its packets may still be on their way, so
    /// it needs far more of them to be believed again.
    previous: Option<SocketAddr>,
    candidate: Option<Candidate>,
}

#[derive(Clone, Debug)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    next: u16,
    count: u32,
}

/// What to do with a packet, by its source.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// It comes from the peer.
    Peer,
    /// It comes from the peer, which is locked from now on.
    Latched,
    /// It comes from elsewhere.
    Foreign,
}

impl Latch {
    pub fn new(told: SocketAddr) -> Latch {
        Latch {
            current: told,
            locked: false,
            previous: None,
            candidate: None,
        }
    }

    /// Where to send to.
    pub fn current(&self) -> SocketAddr {
        self.current
    }

    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// SDP has spoken again: `before` and `told` are its old and new address. An address that it
    /// repeats says nothing new about where the peer was heard.
    pub fn update(&mut self, before: SocketAddr, told: SocketAddr) {
        self.locked = false;
        self.candidate = None;
        self.previous = None;
        if before != told {
            self.previous = Some(self.current);
            self.current = told;
        }
    }

    /// Judges the source of an RTP packet that is otherwise right.
    pub fn judge(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> Source {
        if from == self.current {
            if self.locked {
                return Source::Peer;
            }
            return self.lock(from);
        }
        if self.locked {
            return Source::Foreign;
        }
        let count = match &self.candidate {
            Some(known) if known.from == from && known.ssrc == ssrc && known.next == sequence => {
                known.count + 1
            }
            _ => 1,
        };
        let wanted = if self.previous == Some(from) {
            PACKETS_OF_PREVIOUS
        } else {
            PACKETS
        };
        if count >= wanted {
            return self.lock(from);
        }
        self.candidate = Some(Candidate {
            from,
            ssrc,
            next: sequence.wrapping_add(1),
            count,
        });
        Source::Foreign
    }

    fn lock(&mut self, from: SocketAddr) -> Source {
        self.current = from;
        self.locked = true;
        self.candidate = None;
        Source::Latched
    }
}

/// Packets in sequence that another source than SDP's must send.
const PACKETS: u32 = 4;
/// Packets in sequence that the source before an update must send: a second of them.
const PACKETS_OF_PREVIOUS: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn the_address_of_the_sdp_is_taken_and_locked_with_its_first_packet() {
        let mut latch = Latch::new(at(1));
        assert_eq!((latch.current(), latch.is_locked()), (at(1), false));
        assert_eq!(latch.judge(at(1), 7, 100), Source::Latched);
        assert_eq!(latch.judge(at(1), 7, 101), Source::Peer);
        for n in 0..100 {
            assert_eq!(latch.judge(at(2), 7, n), Source::Foreign);
        }
        assert_eq!(latch.current(), at(1));
    }

    #[test]
    fn another_source_needs_four_packets_in_sequence_of_one_ssrc() {
        let mut latch = Latch::new(at(1));
        for (ssrc, sequence) in [
            (7, 65534),
            (7, 65535),
            (7, 0),
            (8, 1),
            (8, 2),
            (8, 4),
            (8, 5),
            (8, 6),
        ] {
            assert_eq!(latch.judge(at(2), ssrc, sequence), Source::Foreign);
        }
        assert_eq!(latch.current(), at(1), "we still send where SDP says");
        assert_eq!(latch.judge(at(2), 8, 7), Source::Latched);
        assert_eq!(latch.current(), at(2));
        assert_eq!(latch.judge(at(1), 9, 0), Source::Foreign, "locked");
    }

    #[test]
    fn two_sources_at_once_do_not_add_up() {
        let mut latch = Latch::new(at(1));
        for n in 0..50 {
            assert_eq!(latch.judge(at(2), 7, n), Source::Foreign);
            assert_eq!(latch.judge(at(3), 7, n), Source::Foreign);
        }
    }

    #[test]
    fn after_an_update_the_old_source_cannot_take_the_call_back_with_its_last_packets() {
        let mut latch = Latch::new(at(1));
        latch.judge(at(1), 7, 0);
        latch.update(at(1), at(5));
        assert_eq!(latch.current(), at(5));
        for n in 1..40 {
            assert_eq!(latch.judge(at(1), 7, n), Source::Foreign);
        }
        assert_eq!(latch.judge(at(5), 9, 0), Source::Latched);
    }

    #[test]
    fn an_update_that_repeats_the_address_keeps_the_source_that_was_heard() {
        let mut latch = Latch::new(at(1));
        for n in 0..4 {
            latch.judge(at(2), 7, n);
        }
        latch.update(at(1), at(1));
        assert_eq!((latch.current(), latch.is_locked()), (at(2), false));
        assert_eq!(latch.judge(at(2), 7, 4), Source::Latched);
    }
}
