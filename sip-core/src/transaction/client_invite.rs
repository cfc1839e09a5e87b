//! The INVITE client transaction: RFC 3261 17.1.1, figure 5, with the Accepted state of RFC 6026.
//! It acknowledges non-2xx finals itself; the ACK to a 2xx is its user's.

use super::Act::{self, Deliver, Resend, SendAck, Start, Stop, TimedOut, TransportFailed};
use super::Timer::{A, B, D, M};

/// States of figure 5 as RFC 6026 7.2 redraws it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Sent, nothing heard.
    Calling,
    /// A 1xx was heard.
    Proceeding,
    /// A 300–699 was heard and acknowledged; its retransmissions are acknowledged too.
    Completed,
    /// A 2xx was heard; further ones are handed up.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to the transaction.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// 100–199.
    Provisional,
    /// 200–299.
    Success,
    /// 300–699.
    Failure,
    /// Timer A fired.
    TimerA,
    /// Timer B fired.
    TimerB,
    /// Timer D fired.
    TimerD,
    /// Timer M fired.
    TimerM,
    /// The request or the ACK could not be sent.
    TransportError,
}

/// What to do when the transaction starts; the request itself has been sent.
pub fn start(reliable: bool) -> (State, &'static [Act]) {
    //= RFC 3261 17.1.1.2
    // "If an unreliable transport is being used, the client transaction MUST start timer A"
    if reliable {
        (State::Calling, &[Start(B)])
    } else {
        (State::Calling, &[Start(A), Start(B)])
    }
}

/// One arrow of the figure. `reliable` tells whether the transport retransmits by itself.
pub fn step(state: State, input: Input, reliable: bool) -> (State, &'static [Act]) {
    use Input::{Failure, Provisional, Success, TimerA, TimerB, TimerD, TimerM, TransportError};
    use State::{Accepted, Calling, Completed, Proceeding, Terminated};

    match (state, input) {
        (Calling, TimerA) => (Calling, &[Resend, Start(A)]),
        (Calling, TimerB) => (Terminated, &[Stop(A), TimedOut]),
        (Calling, Provisional) => (Proceeding, &[Stop(A), Stop(B), Deliver]),
        (Proceeding, Provisional) => (Proceeding, &[Deliver]),

        //= RFC 6026 7.2
        // A 2xx leads to Accepted, where each further one is handed up.
        (Calling | Proceeding, Success) => (Accepted, &[Stop(A), Stop(B), Start(M), Deliver]),
        (Accepted, Success) => (Accepted, &[Deliver]),
        (Accepted, TimerM) => (Terminated, &[]),

        //= RFC 3261 17.1.1.2
        // "reception of a response with status code from 300-699 MUST cause the client transaction
        // to transition to Completed"
        (Calling | Proceeding, Failure) if reliable => {
            // Timer D is zero on reliable transports.
            (Terminated, &[Stop(A), Stop(B), SendAck, Deliver])
        }
        (Calling | Proceeding, Failure) => {
            (Completed, &[Stop(A), Stop(B), SendAck, Start(D), Deliver])
        }
        (Completed, Failure) => (Completed, &[SendAck]),
        (Completed, TimerD) => (Terminated, &[]),

        (Calling, TransportError) => (Terminated, &[Stop(A), Stop(B), TransportFailed]),
        // The response was heard: an ACK that could not be sent is not the user's concern, and the
        // peer's retransmission will ask for it again.
        (Completed | Accepted | Proceeding, TransportError) => (state, &[]),

        (Proceeding | Completed | Accepted, TimerA | TimerB)
        | (Calling | Proceeding | Accepted, TimerD)
        | (Calling | Proceeding | Completed, TimerM)
        | (Completed, Provisional | Success)
        | (Accepted, Provisional | Failure)
        | (Terminated, _) => (state, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_udp_both_timers_start_and_over_tcp_only_b() {
        assert_eq!(start(false).1, [Start(A), Start(B)]);
        assert_eq!(start(true).1, [Start(B)]);
    }

    #[test]
    fn a_provisional_ends_retransmission() {
        let (state, acts) = step(State::Calling, Input::Provisional, false);
        assert_eq!(state, State::Proceeding);
        assert!(acts.contains(&Stop(A)) && acts.contains(&Stop(B)));
        assert_eq!(
            step(state, Input::TimerA, false),
            (State::Proceeding, [].as_slice())
        );
    }

    #[test]
    fn each_retransmitted_failure_is_acknowledged_and_delivered_once() {
        let (state, acts) = step(State::Proceeding, Input::Failure, false);
        assert!(acts.contains(&SendAck) && acts.contains(&Deliver));
        assert_eq!(
            step(state, Input::Failure, false),
            (State::Completed, [SendAck].as_slice())
        );
    }

    #[test]
    fn a_failure_over_tcp_ends_the_transaction_at_once() {
        assert_eq!(
            step(State::Calling, Input::Failure, true).0,
            State::Terminated
        );
    }

    #[test]
    fn every_2xx_is_handed_up_and_none_acknowledged_by_the_transaction() {
        let (state, acts) = step(State::Calling, Input::Success, false);
        assert_eq!(state, State::Accepted);
        assert!(acts.contains(&Deliver) && !acts.contains(&SendAck));
        assert_eq!(
            step(state, Input::Success, false),
            (State::Accepted, [Deliver].as_slice())
        );
        assert_eq!(step(state, Input::TimerM, false).0, State::Terminated);
    }
}
