//! The telephone-event payload (RFC 4733 section 2.3): four bytes that tell of a key.
//! When a key counts as pressed is the session's matter.

/// One telephone-event payload.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct TelephoneEvent {
    /// The event code: 0–15 are the keys (RFC 4733 section 3.2, table 3).
    pub event: u8,
    /// The E bit: the event is over, `duration` is final.
    pub end: bool,
    /// Power of the tone as 0 to 63 dB below 0 dBm0.
    pub volume: u8,
    /// How long the event has lasted, in units of the RTP clock.
    pub duration: u16,
}

impl TelephoneEvent {
    /// Reads a payload; `None` when it has fewer than four bytes.
    ///
    /// Further events packed behind the first (never seen from a telephone) are left alone.
    pub fn parse(payload: &[u8]) -> Option<TelephoneEvent> {
        let [event, flags, d0, d1] = *payload.first_chunk::<4>()?;
        Some(TelephoneEvent {
            event,
            end: flags & 0x80 != 0,
            // The R bit between E and volume must be ignored by receivers.
            volume: flags & 0x3f,
            duration: u16::from_be_bytes([d0, d1]),
        })
    }

    /// The payload; volumes above 63 are written as 63.
    pub fn to_bytes(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [
            self.event,
            u8::from(self.end) << 7 | self.volume.min(63),
            d0,
            d1,
        ]
    }

    /// The key that the event code stands for, if it is one.
    pub fn digit(self) -> Option<char> {
        DIGITS.get(usize::from(self.event)).copied()
    }
}

/// The event code of a key (RFC 4733 table 3); letters may be small.
pub fn event_code(digit: char) -> Option<u8> {
    let wanted = digit.to_ascii_uppercase();
    let place = DIGITS.iter().position(|&known| known == wanted)?;
    u8::try_from(place).ok()
}

const DIGITS: [char; 16] = [
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D',
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_a_pound_key_reads_right() {
        let event = TelephoneEvent::parse(&[11, 0x8a, 0x03, 0x20]).unwrap();
        assert_eq!(
            event,
            TelephoneEvent {
                event: 11,
                end: true,
                volume: 10,
                duration: 800
            }
        );
        assert_eq!(event.digit(), Some('#'));
        assert_eq!(TelephoneEvent::parse(&[11, 0x8a, 0x03]), None);
        assert_eq!(
            TelephoneEvent { event: 16, ..event }.digit(),
            None,
            "flash is not a key"
        );
    }

    #[test]
    fn keys_and_codes_belong_together() {
        for code in 0..16 {
            let digit = TelephoneEvent {
                event: code,
                ..TelephoneEvent::default()
            }
            .digit();
            assert_eq!(digit.and_then(event_code), Some(code));
        }
        assert_eq!(
            (event_code('d'), event_code('E'), event_code(' ')),
            (Some(15), None, None)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(event: u8, end: bool, volume in 0u8..64, duration: u16) {
            let event = TelephoneEvent { event, end, volume, duration };
            prop_assert_eq!(TelephoneEvent::parse(&event.to_bytes()), Some(event));
        }
    }
}
