//! The four transaction machines of RFC 3261 17 as tables: `(state, input)` to state and acts.
//! They hold nothing and know no message; [`crate::endpoint`] carries the acts out.

pub mod client_invite;
pub mod client_other;
pub mod server_invite;
pub mod server_other;

use std::time::Duration;

use crate::endpoint::TimerConfig;

/// What a transaction does on one input, in this order.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// Hand the message at hand to the transaction's user.
    Deliver,
    /// Send the request, or the last response, again: the same bytes.
    Resend,
    /// Send the ACK to a non-2xx final response (RFC 3261 17.1.1.3), the same bytes each time.
    SendAck,
    /// Arm a timer.
    Start(Timer),
    /// Disarm a timer.
    Stop(Timer),
    /// Tell the user that nobody answered in time.
    TimedOut,
    /// Tell the user that the transport failed.
    TransportFailed,
}

/// The timers of RFC 3261 17 (table 4 in its appendix A) and RFC 6026.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Timer {
    /// INVITE request retransmission, UDP only: T1, doubling.
    A,
    /// INVITE transaction timeout: 64*T1.
    B,
    /// Wait for retransmitted final responses to INVITE: 32 s on UDP.
    D,
    /// Non-INVITE request retransmission, UDP only: T1, doubling up to T2.
    E,
    /// Non-INVITE transaction timeout: 64*T1.
    F,
    /// INVITE final response retransmission, UDP only: T1, doubling up to T2.
    G,
    /// Wait for the ACK: 64*T1.
    H,
    /// Wait for retransmitted ACKs: T4 on UDP.
    I,
    /// Wait for retransmitted non-INVITE requests: 64*T1 on UDP.
    J,
    /// Wait for retransmitted responses to non-INVITE: T4 on UDP.
    K,
    /// Wait for retransmitted INVITEs after a 2xx (RFC 6026): 64*T1.
    L,
    /// Wait for further 2xx to INVITE (RFC 6026): 64*T1.
    M,
}

impl Timer {
    /// How long it runs when it is started for the `attempt`-th time in a row, from 0.
    ///
    /// Only the retransmission timers A, E and G depend on `attempt`.
    pub fn duration(self, timers: &TimerConfig, attempt: u32) -> Duration {
        let doubled = timers
            .t1
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX));
        match self {
            //= RFC 3261 17.1.1.2
            // "when timer A fires 2*T1 seconds later, the request MUST be retransmitted again",
            // without a cap: Timer B ends it.
            Self::A => doubled,
            //= RFC 3261 17.1.2.2
            // "the timer is reset, but this time with a value of MIN(2*T1, T2)"
            Self::E | Self::G => doubled.min(timers.t2.max(timers.t1)),
            Self::B | Self::F | Self::H | Self::J | Self::L | Self::M => timers.lifetime(),
            //= RFC 3261 17.1.1.2
            // "a value of at least 32 seconds for unreliable transports"
            Self::D => timers.lifetime().max(Duration::from_secs(32)),
            Self::I | Self::K => timers.t4,
        }
    }

    /// True for the timers that fire more than once, each time later.
    pub fn is_retransmission(self) -> bool {
        matches!(self, Self::A | Self::E | Self::G)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(timer: Timer, attempt: u32) -> u128 {
        timer.duration(&TimerConfig::default(), attempt).as_millis()
    }

    #[test]
    fn timer_a_doubles_without_a_cap() {
        let intervals: Vec<_> = (0..7).map(|n| ms(Timer::A, n)).collect();
        assert_eq!(intervals, [500, 1000, 2000, 4000, 8000, 16000, 32000]);
    }

    #[test]
    fn timers_e_and_g_double_up_to_t2() {
        for timer in [Timer::E, Timer::G] {
            let intervals: Vec<_> = (0..6).map(|n| ms(timer, n)).collect();
            assert_eq!(intervals, [500, 1000, 2000, 4000, 4000, 4000]);
        }
    }

    #[test]
    fn doubling_never_overflows() {
        assert_eq!(ms(Timer::E, 40), 4000);
        assert!(ms(Timer::A, u32::MAX) > 32_000);
    }

    #[test]
    fn the_long_timers_have_the_values_of_table_4() {
        for timer in [
            Timer::B,
            Timer::D,
            Timer::F,
            Timer::H,
            Timer::J,
            Timer::L,
            Timer::M,
        ] {
            assert_eq!(ms(timer, 0), 32_000, "{timer:?}");
        }
        assert_eq!(ms(Timer::I, 0), 5_000);
        assert_eq!(ms(Timer::K, 0), 5_000);
    }
}
