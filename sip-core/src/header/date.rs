//! Date (RFC 3261 20.17): always GMT, in the one form that SIP allows.

use std::fmt;

use nom::bytes::complete::{tag, take_while_m_n};

use super::grammar::{Input, Parsed, decimal, expected, rule};
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// A moment, in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    /// The moment of these seconds since 1970, up to the year 9999.
    pub fn from_unix(seconds: u64) -> Date {
        Date(seconds.min(LATEST))
    }

    /// Seconds since 1970.
    pub fn unix(self) -> u64 {
        self.0
    }
}

/// 9999-12-31T23:59:59Z
const LATEST: u64 = 253_402_300_799;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

// 1970-01-01 was a Thursday.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl Header for Date {
    const NAME: Name = Name::Date;

    fn parse(value: &str) -> Result<Date, HeaderError> {
        parse_whole::<Date, _>(value.as_bytes(), rfc1123_date).map(Date)
    }
}

/// `rfc1123-date = wkday "," SP date1 SP time SP "GMT"`
fn rfc1123_date(input: Input<'_>) -> Parsed<'_, u64> {
    let start = input;
    let (input, _) = name_of("day of the week", &DAYS, input)?;
    let (input, _) = rule("\", \"", tag(", "))(input)?;
    let (input, day) = digits::<2>(input)?;
    let (input, _) = rule("space", tag(" "))(input)?;
    let (input, month) = name_of("month", &MONTHS, input)?;
    let (input, _) = rule("space", tag(" "))(input)?;
    let (input, year) = digits::<4>(input)?;
    let (input, _) = rule("space", tag(" "))(input)?;
    let (input, hour) = digits::<2>(input)?;
    let (input, _) = rule("\":\"", tag(":"))(input)?;
    let (input, minute) = digits::<2>(input)?;
    let (input, _) = rule("\":\"", tag(":"))(input)?;
    let (input, second) = digits::<2>(input)?;
    let (input, _) = rule("GMT", tag(" GMT"))(input)?;
    let month = month as u64 + 1;
    let valid =
        (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !valid || year < 1970 {
        return expected("a date of the calendar", start);
    }
    let days = days_before_year(year) + days_before_month(year, month) + day - 1;
    Ok((input, days * 86_400 + hour * 3600 + minute * 60 + second))
}

fn name_of<'a>(what: &'static str, names: &[&str], input: Input<'a>) -> Parsed<'a, usize> {
    let found = input.split_at_checked(3).and_then(|(head, rest)| {
        let at = names
            .iter()
            .position(|name| name.as_bytes().eq_ignore_ascii_case(head))?;
        Some((rest, at))
    });
    found.map_or_else(|| expected(what, input), Ok)
}

fn digits<const N: usize>(input: Input<'_>) -> Parsed<'_, u64> {
    let (rest, digits) = rule("digits", take_while_m_n(N, N, |b: u8| b.is_ascii_digit()))(input)?;
    Ok((rest, decimal(digits).unwrap_or(0).into()))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the first of January; `year` is 1970 to 9999.
fn days_before_year(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_before_month(year: u64, month: u64) -> u64 {
    (1..month).map(|month| days_in(year, month)).sum()
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0 / 86_400;
        let second = self.0 % 86_400;
        let weekday = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
        // At least this year; at most one later.
        let mut year = 1970 + days / 366;
        while days_before_year(year + 1) <= days {
            year += 1;
        }
        let mut day = days - days_before_year(year);
        let mut month = 1;
        while day >= days_in(year, month) {
            day -= days_in(year, month);
            month += 1;
        }
        let name = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{weekday}, {:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT",
            day + 1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_round_trips() {
        let text = "Sat, 13 Nov 2010 23:29:00 GMT";
        let date = Date::parse(text).unwrap();
        assert_eq!(date.unix(), 1_289_690_940);
        assert_eq!(date.to_string(), text);
    }

    #[test]
    fn other_time_zones_and_impossible_days_are_refused() {
        assert!(Date::parse("Fri, 01 Jan 2010 16:00:00 EST").is_err());
        assert!(Date::parse("Fri, 30 Feb 2010 16:00:00 GMT").is_err());
        assert!(Date::parse("Fri, 1 Jan 2010 16:00:00 GMT").is_err());
        assert!(Date::parse("Thu, 01 Jan 1969 00:00:00 GMT").is_err());
    }

    #[test]
    fn every_day_round_trips() {
        for day in (0..=LATEST / 86_400).step_by(17).chain([LATEST / 86_400]) {
            let date = Date::from_unix(day * 86_400 + 86_399);
            assert_eq!(Date::parse(&date.to_string()).unwrap(), date);
        }
        assert_eq!(
            Date::from_unix(u64::MAX).to_string(),
            "Fri, 31 Dec 9999 23:59:59 GMT"
        );
        assert_eq!(
            Date::from_unix(951_782_400).to_string(),
            "Tue, 29 Feb 2000 00:00:00 GMT"
        );
    }
}
