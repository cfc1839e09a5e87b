//! The non-INVITE client transaction: RFC 3261 17.1.2, figure 6.
//! CANCEL and BYE are such transactions too.

use super::Act::{self, Deliver, Resend, Start, Stop, TimedOut, TransportFailed};
use super::Timer::{E, F, K};

/// States of figure 6.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Sent, nothing heard.
    Trying,
    /// A 1xx was heard.
    Proceeding,
    /// A final response was heard; its retransmissions are absorbed.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to the transaction.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// 100–199.
    Provisional,
    /// 200–699.
    Final,
    /// Timer E fired.
    TimerE,
    /// Timer F fired.
    TimerF,
    /// Timer K fired.
    TimerK,
    /// The request could not be sent.
    TransportError,
}

/// What to do when the transaction starts; the request itself has been sent.
pub fn start(reliable: bool) -> (State, &'static [Act]) {
    if reliable {
        (State::Trying, &[Start(F)])
    } else {
        (State::Trying, &[Start(E), Start(F)])
    }
}

/// One arrow of the figure. `reliable` tells whether the transport retransmits by itself.
pub fn step(state: State, input: Input, reliable: bool) -> (State, &'static [Act]) {
    use Input::{Final, Provisional, TimerE, TimerF, TimerK, TransportError};
    use State::{Completed, Proceeding, Terminated, Trying};

    match (state, input) {
        // In Proceeding the interval is T2 from then on: the shell has set the attempt so.
        //= RFC 3261 17.1.2.2
        // "If Timer E fires while in the Proceeding state, the request MUST be passed to the
        // transport layer for retransmission, and Timer E MUST be reset with a value of T2 seconds."
        (Trying | Proceeding, TimerE) => (state, &[Resend, Start(E)]),
        (Trying | Proceeding, TimerF) => (Terminated, &[Stop(E), TimedOut]),
        (Trying | Proceeding, Provisional) => (Proceeding, &[Deliver]),
        (Trying | Proceeding, TransportError) => (Terminated, &[Stop(E), Stop(F), TransportFailed]),

        //= RFC 3261 17.1.2.2
        // "set Timer K to fire in T4 seconds for unreliable transports, and zero seconds for
        // reliable transports"
        (Trying | Proceeding, Final) if reliable => (Terminated, &[Stop(E), Stop(F), Deliver]),
        (Trying | Proceeding, Final) => (Completed, &[Stop(E), Stop(F), Start(K), Deliver]),
        (Completed, TimerK) => (Terminated, &[]),

        (Completed, Provisional | Final | TimerE | TimerF | TransportError)
        | (Trying | Proceeding, TimerK)
        | (Terminated, _) => (state, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provisional_does_not_end_retransmission() {
        let (state, acts) = step(State::Trying, Input::Provisional, false);
        assert_eq!((state, acts), (State::Proceeding, [Deliver].as_slice()));
        assert_eq!(step(state, Input::TimerE, false).1, [Resend, Start(E)]);
    }

    #[test]
    fn a_final_is_delivered_once_and_waits_timer_k_over_udp_only() {
        let (state, acts) = step(State::Trying, Input::Final, false);
        assert!(acts.contains(&Start(K)) && acts.contains(&Deliver));
        assert_eq!(
            step(state, Input::Final, false),
            (State::Completed, [].as_slice())
        );
        assert_eq!(step(state, Input::TimerK, false).0, State::Terminated);
        assert_eq!(step(State::Trying, Input::Final, true).0, State::Terminated);
    }

    #[test]
    fn timer_f_fails_the_request_in_trying_and_in_proceeding() {
        for state in [State::Trying, State::Proceeding] {
            let (next, acts) = step(state, Input::TimerF, false);
            assert_eq!(next, State::Terminated);
            assert!(acts.contains(&TimedOut));
        }
    }
}
