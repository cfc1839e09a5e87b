//! The non-INVITE server transaction: RFC 3261 17.2.2, figure 8.
//! RFC 4320 keeps provisional responses other than 100, and 408, out of it.

use super::Act::{self, Resend, Start};
use super::Timer::J;

/// States of figure 8.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Received, nothing sent.
    Trying,
    /// A 1xx was sent.
    Proceeding,
    /// A final response was sent; it answers each retransmission.
    Completed,
    /// Over.
    Terminated,
}

/// What can happen to the transaction.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Input {
    /// The same request again.
    Request,
    /// The user sends a 1xx; the shell has sent it.
    SendProvisional,
    /// The user sends a final response; the shell has sent it.
    SendFinal,
    /// Timer J fired.
    TimerJ,
}

/// One arrow of the figure. `reliable` tells whether the transport retransmits by itself.
pub fn step(state: State, input: Input, reliable: bool) -> (State, &'static [Act]) {
    use Input::{Request, SendFinal, SendProvisional, TimerJ};
    use State::{Completed, Proceeding, Terminated, Trying};

    match (state, input) {
        //= RFC 3261 17.2.2
        // "Once in the Trying state, any further request retransmissions are discarded."
        (Trying, Request) => (Trying, &[]),
        (Proceeding | Completed, Request) => (state, &[Resend]),
        (Trying | Proceeding, SendProvisional) => (Proceeding, &[]),
        (Trying | Proceeding, SendFinal) if reliable => (Terminated, &[]),
        (Trying | Proceeding, SendFinal) => (Completed, &[Start(J)]),
        //= RFC 3261 17.2.2
        // "Any other final responses passed by the TU to the server transaction MUST be discarded
        // while in the Completed state."
        (Completed, SendProvisional | SendFinal) => (Completed, &[]),
        // The application never answered: by now the client has given up (Timer F), and RFC 4320
        // 4.2 forbids a 408.
        (Trying | Proceeding | Completed, TimerJ) => (Terminated, &[]),
        (Terminated, _) => (Terminated, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retransmission_is_discarded_until_there_is_an_answer() {
        assert_eq!(step(State::Trying, Input::Request, false).1, []);
        assert_eq!(step(State::Proceeding, Input::Request, false).1, [Resend]);
        assert_eq!(step(State::Completed, Input::Request, false).1, [Resend]);
    }

    #[test]
    fn only_the_first_final_answer_counts() {
        let (state, acts) = step(State::Trying, Input::SendFinal, false);
        assert_eq!((state, acts), (State::Completed, [Start(J)].as_slice()));
        assert_eq!(
            step(state, Input::SendFinal, false),
            (State::Completed, [].as_slice())
        );
    }

    #[test]
    fn over_tcp_the_final_answer_ends_the_transaction() {
        assert_eq!(
            step(State::Trying, Input::SendFinal, true).0,
            State::Terminated
        );
    }
}
