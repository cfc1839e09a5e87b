//! The states of a call, and how long each may last.
//! Every state has a deadline: no call waits for ever for anybody.

use std::time::Duration;

/// Where a call stands.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallState {
    /// The peer calls; nothing but 100 was sent.
    Incoming,
    /// The peer calls and hears ringing: 180 was sent.
    Ringing,
    /// We answered with 200 and wait for the ACK.
    Answering,
    /// We call; nothing but 100 came back.
    Calling,
    /// We call and the peer rings: a provisional answer came back.
    Early,
    /// Both sides talk.
    Established,
    /// Both sides talk, and a REFER of ours is under way.
    Transferring,
    /// BYE or CANCEL is out and its answer awaited. Media has stopped.
    Ending,
    /// The call is over.
    Ended,
}

impl CallState {
    /// Whether the call was answered and has not ended.
    pub fn is_up(self) -> bool {
        matches!(
            self,
            CallState::Answering | CallState::Established | CallState::Transferring
        )
    }
}

/// How long each state may last. [`CallTimers::default`] suits telephones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTimers {
    /// [`CallState::Incoming`] and [`CallState::Ringing`]: how long the application may take
    /// until it answers; then the caller hears 480. Default 180 s.
    pub decide: Duration,
    /// [`CallState::Ringing`]: how often 180 is repeated, so that no proxy on the way gives up
    /// (RFC 3261 13.3.1.1). Default 60 s.
    pub ring_again: Duration,
    /// [`CallState::Answering`]: when the endpoint has not reported the ACK nor its absence.
    /// Default 40 s, above the 64*T1 after which it reports.
    pub acknowledge: Duration,
    /// [`CallState::Calling`]: until anything but 100 comes back. Default 120 s; a lost 180 may
    /// come again only after a minute. That nothing at all comes back is noticed earlier, by
    /// Timer B.
    pub reach: Duration,
    /// [`CallState::Early`]: how long the peer may ring until we cancel. Default 120 s.
    pub ring: Duration,
    /// [`CallState::Established`]: the longest that any call may last, whatever its
    /// [`Limits`](crate::limits::Limits) say. Default 4 h and a minute.
    pub longest: Duration,
    /// [`CallState::Ending`]: until the answer to BYE or CANCEL. Default 40 s, above Timer F.
    pub end: Duration,
    /// How long a REFER of the peer may wait for the application; then it is declined. Default
    /// 20 s, below Timer F.
    pub refer: Duration,
    /// How long the word about a REFER may take after the call has ended. Default 120 s.
    pub linger: Duration,
}

impl Default for CallTimers {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            decide: seconds(180),
            ring_again: seconds(60),
            acknowledge: seconds(40),
            reach: seconds(120),
            ring: seconds(120),
            longest: seconds(4 * 3600 + 60),
            end: seconds(40),
            refer: seconds(20),
            linger: seconds(120),
        }
    }
}
