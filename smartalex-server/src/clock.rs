//! Wall-clock time as records and events carry it.
//! Kept to whole milliseconds, so that what is stored equals what was sent.

use jiff::Timestamp;

/// The present, cut to milliseconds.
pub fn now() -> Timestamp {
    from_millis(Timestamp::now().as_millisecond())
}

/// A stored number of milliseconds since 1970 as time; what no calendar holds becomes 1970.
pub fn from_millis(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `at` in RFC 3339 with seconds and a `Z`, as in `2026-04-22T10:34:22Z`.
pub fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

/// Whole seconds from `from` to `to`, never negative.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    let millis = to.as_millisecond().saturating_sub(from.as_millisecond());
    u64::try_from(millis / 1000).unwrap_or(0)
}

/// `at` moved by `by`; stays where it is at the end of the calendar.
pub fn later(at: Timestamp, by: std::time::Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_add(millis)).unwrap_or(at)
}

/// `by` before `at`; stays where it is at the beginning of the calendar.
pub fn earlier(at: Timestamp, by: std::time::Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at.as_millisecond().saturating_sub(millis)).unwrap_or(at)
}

/// Serde of a timestamp as RFC 3339 with whole seconds.
pub mod seconds {
    use jiff::Timestamp;
    use serde::Serializer;

    /// Writes `at` as `2026-04-22T10:34:22Z`.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::rfc3339(*at))
    }
}

/// Serde of a timestamp that may be absent.
pub mod optional_seconds {
    use jiff::Timestamp;
    use serde::Serializer;

    /// Writes `at` as `2026-04-22T10:34:22Z`, or null.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::seconds::serialize(at, to),
            None => to.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_whole_seconds() {
        let at: Timestamp = "2026-04-22T10:34:22.987Z".parse().unwrap();
        assert_eq!(rfc3339(at), "2026-04-22T10:34:22Z");
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_negative_duration() {
        let at = from_millis(10_000);
        assert_eq!(seconds_between(at, from_millis(4_000)), 0);
        assert_eq!(seconds_between(from_millis(4_000), at), 6);
    }
}
