//! The order of the peer's requests in a dialog (RFC 3261 12.2.2), with a window for NOTIFY.
//! PBXes send two NOTIFYs 0.1 ms apart; the network may swap them, and both tell something.

/// Which CSeq numbers of the peer have been seen.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct RemoteSequence {
    highest: Option<u32>,
    // Bit n: `highest - n` has been seen.
    seen: u64,
}

impl RemoteSequence {
    /// Starts at the number of the request that made the dialog.
    pub(crate) fn starting_at(seq: u32) -> Self {
        Self {
            highest: Some(seq),
            seen: 1,
        }
    }

    /// Takes the number of a new request; false when it comes too late.
    ///
    /// `late_ok` lets a number pass that is lower than the highest, once, if it is within 63 of it.
    pub(crate) fn take(&mut self, seq: u32, late_ok: bool) -> bool {
        let Some(highest) = self.highest else {
            *self = Self::starting_at(seq);
            return true;
        };
        if seq > highest {
            self.seen = self.seen.checked_shl(seq - highest).unwrap_or(0) | 1;
            self.highest = Some(seq);
            return true;
        }
        //= RFC 3261 12.2.2
        // "If the remote sequence number was not empty, but the sequence number of the request is
        // lower than the remote sequence number, the request is out of order and MUST be rejected
        // with a 500"
        if !late_ok {
            return false;
        }
        let Some(bit) = 1_u64.checked_shl(highest - seq) else {
            return false;
        };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_fine_and_lower_numbers_are_not() {
        let mut order = RemoteSequence::default();
        assert!(order.take(10, false));
        assert!(order.take(15, false));
        assert!(!order.take(15, false));
        assert!(!order.take(11, false));
        assert!(order.take(4_000_000_000, false));
    }

    #[test]
    fn swapped_notifies_both_pass_but_neither_twice() {
        let mut order = RemoteSequence::starting_at(1);
        assert!(order.take(3, true));
        assert!(order.take(2, true));
        assert!(!order.take(2, true));
        assert!(!order.take(3, true));
        assert!(!order.take(1, true));
        assert!(order.take(200, true));
        assert!(!order.take(100, true));
    }
}
