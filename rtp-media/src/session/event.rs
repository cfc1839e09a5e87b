//! What a session tells its owner: audio heard, digits, marks, and where the peer is.

use std::net::SocketAddr;
use std::time::Duration;

/// A piece of audio: mono, 16 bit, linear.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frame {
    /// The samples. Heard frames hold 20 ms; frames to say may have any length.
    pub samples: Vec<i16>,
    /// Samples in a second: 8000 for what a G.711 call hears.
    pub rate: u32,
    /// Position in the stream, in samples. Heard frames count on without gaps from 0;
    /// for frames to say it has no meaning.
    pub timestamp: u32,
}

impl Frame {
    /// Audio to say: `rate` is one of 8000, 16000, 24000 and 48000 Hz.
    pub fn new(samples: Vec<i16>, rate: u32) -> Frame {
        Frame {
            samples,
            rate,
            timestamp: 0,
        }
    }

    /// Silence of the given length.
    pub fn silence(length: Duration, rate: u32) -> Frame {
        let samples = length.as_micros().saturating_mul(u128::from(rate)) / 1_000_000;
        Frame::new(vec![0; usize::try_from(samples).unwrap_or(0)], rate)
    }

    /// How long it sounds.
    pub fn duration(&self) -> Duration {
        samples_to_duration(self.samples.len() as u64, self.rate)
    }
}

/// The time that `samples` samples take; zero at a rate of zero.
pub(crate) fn samples_to_duration(samples: u64, rate: u32) -> Duration {
    let nanos = u128::from(samples) * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Something that happened in a session, in the order in which it happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// 20 ms of the peer's audio; one in each tick from the first packet on. What was lost on
    /// the way is concealed, what was never sent is silence.
    Heard(Frame),
    /// The peer pressed a key (RFC 4733). Told once, when the key is released or its packets stop.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How long it was pressed, in milliseconds, as far as the packets told.
        duration_ms: u16,
    },
    /// All audio that was queued before this mark has been sent.
    MarkReached(u64),
    /// This mark was still waiting when the queue was cleared.
    MarkCleared(u64),
    /// The play-out queue ran empty: what follows on the wire is silence.
    PlayedOut,
    /// No RTP arrived for the configured time; told once until audio is back.
    NoAudio {
        /// Time since the last packet, or since the start when none ever came.
        since: Duration,
    },
    /// RTP arrives again after [`SessionEvent::NoAudio`].
    AudioBack,
    /// From now until the next update only this source is listened and sent to.
    LatchedTo(SocketAddr),
}

/// A packet to send.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Which of our two sockets it leaves from.
    pub channel: Channel,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its bytes; valid during the call that hands them over.
    pub bytes: &'a [u8],
}

/// One of the two ports of a session.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// The even port. With RTCP multiplexing everything goes here.
    Rtp,
    /// The odd port.
    Rtcp,
}

/// Why audio or a mark was not queued.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SayError {
    /// The play-out queue holds its limit; wait until some of it has been sent.
    #[error("play-out queue full: {queued:?} of audio waiting")]
    Full {
        /// Audio that waits.
        queued: Duration,
    },
    /// Too many marks wait.
    #[error("too many marks waiting: {0}")]
    TooManyMarks(usize),
    /// The frame's rate is none that can be resampled to the codec's.
    #[error("sample rate {0} Hz not supported: use 8000, 16000, 24000 or 48000")]
    Rate(u32),
    /// The session was closed.
    #[error("session closed")]
    Closed,
}

/// Why digits were not queued. None of them is sent then.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DigitError {
    /// Not a key of a telephone.
    #[error("{0:?} is not a digit: use 0-9, *, #, A-D, or w for a pause of half a second")]
    NotADigit(char),
    /// Too many digits wait to be sent.
    #[error("too many digits waiting: {0}")]
    Full(usize),
    /// The session was closed.
    #[error("session closed")]
    Closed,
}
