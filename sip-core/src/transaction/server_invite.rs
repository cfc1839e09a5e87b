//! The INVITE server transaction: RFC 3261 17.2.1, figure 7, with the Accepted state of RFC 6026.
//! It retransmits non-2xx finals until their ACK; a 2xx is retransmitted by its user.

use super::Act::{self, Deliver, Resend, Start, Stop, TimedOut};
use super::Timer::{G, H, I, L};

/// States of figure 7 as RFC 6026 7.1 redraws it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Received; perhaps a 1xx was sent.
    Proceeding,
    /// A 300–699 was sent and awaits its ACK.
    Completed,
    /// That ACK was received; its retransmissions are absorbed.
    Confirmed,
    /// A 2xx was sent; retransmissions of the INVITE are absorbed.
    Accepted,
    /// Over.
    Terminated,
}

/// What can happen to the transaction.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// The same INVITE again.
    Invite,
    /// The ACK to a non-2xx.
    Ack,
    /// The user sends a 1xx; the shell has sent it.
    SendProvisional,
    /// The user sends a 2xx; the shell has sent it.
    SendSuccess,
    /// The user sends a 300–699; the shell has sent it.
    SendFailure,
    /// Timer G fired.
    TimerG,
    /// Timer H fired.
    TimerH,
    /// Timer I fired.
    TimerI,
    /// Timer L fired.
    TimerL,
}

/// One arrow of the figure. `reliable` tells whether the transport retransmits by itself.
pub fn step(state: State, input: Input, reliable: bool) -> (State, &'static [Act]) {
    use Input::{
        Ack, Invite, SendFailure, SendProvisional, SendSuccess, TimerG, TimerH, TimerI, TimerL,
    };
    use State::{Accepted, Completed, Confirmed, Proceeding, Terminated};

    match (state, input) {
        //= RFC 3261 17.2.1
        // "If a request retransmission is received while in the Proceeding state, the most recent
        // provisional response that was received from the TU MUST be passed to the transport layer"
        (Proceeding, Invite) => (Proceeding, &[Resend]),
        (Proceeding, SendProvisional) => (Proceeding, &[]),
        //= RFC 6026 7.1
        // A 2xx from the user leads to Accepted.
        (Proceeding, SendSuccess) => (Accepted, &[Start(L)]),
        (Proceeding, SendFailure) if reliable => (Completed, &[Start(H)]),
        (Proceeding, SendFailure) => (Completed, &[Start(G), Start(H)]),

        (Completed, Invite) => (Completed, &[Resend]),
        (Completed, TimerG) => (Completed, &[Resend, Start(G)]),
        (Completed, TimerH) => (Terminated, &[Stop(G), TimedOut]),
        (Completed, Ack) if reliable => (Terminated, &[Stop(G), Stop(H)]),
        (Completed, Ack) => (Confirmed, &[Stop(G), Stop(H), Start(I)]),
        (Confirmed, TimerI) => (Terminated, &[]),

        //= RFC 6026 7.1
        // Retransmissions of the INVITE are absorbed, and an ACK that reaches the transaction goes
        // up.
        (Accepted, Invite) => (Accepted, &[]),
        (Accepted, Ack) => (Accepted, &[Deliver]),
        (Accepted, TimerL) => (Terminated, &[]),

        (Proceeding, Ack | TimerG | TimerH | TimerI | TimerL)
        | (Completed, SendProvisional | SendSuccess | SendFailure | TimerI | TimerL)
        | (Confirmed, Invite | Ack | SendProvisional | SendSuccess | SendFailure)
        | (Confirmed, TimerG | TimerH | TimerL)
        | (Accepted, SendProvisional | SendSuccess | SendFailure | TimerG | TimerH | TimerI)
        | (Terminated, _) => (state, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retransmitted_invite_is_answered_with_the_last_response() {
        for state in [State::Proceeding, State::Completed] {
            assert_eq!(
                step(state, Input::Invite, false),
                (state, [Resend].as_slice())
            );
        }
    }

    #[test]
    fn after_a_2xx_the_invite_is_absorbed_until_timer_l() {
        let (state, acts) = step(State::Proceeding, Input::SendSuccess, false);
        assert_eq!((state, acts), (State::Accepted, [Start(L)].as_slice()));
        assert_eq!(
            step(state, Input::Invite, false),
            (State::Accepted, [].as_slice())
        );
        assert_eq!(step(state, Input::TimerL, false).0, State::Terminated);
    }

    #[test]
    fn a_late_ack_ends_retransmission() {
        let (state, acts) = step(State::Completed, Input::Ack, false);
        assert_eq!(state, State::Confirmed);
        assert_eq!(acts, [Stop(G), Stop(H), Start(I)]);
        assert_eq!(step(state, Input::Invite, false).1, []);
        assert_eq!(
            step(State::Completed, Input::Ack, true).0,
            State::Terminated
        );
    }

    #[test]
    fn without_an_ack_timer_h_ends_it() {
        let (state, acts) = step(State::Completed, Input::TimerH, false);
        assert_eq!(state, State::Terminated);
        assert!(acts.contains(&TimedOut));
    }
}
