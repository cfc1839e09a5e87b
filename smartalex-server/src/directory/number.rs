//! Telephone numbers: one form for all the ways in which people and PBXes write them.

/// `number` in the form that numbers are compared in: digits alone, without `+`, an
/// international `00` or visual separators (RFC 3966 5.1.1). `None` when it is no number of 2 to
/// 15 digits (E.164 allows 15).
///
/// ```
/// use smartalex_server::directory::normal;
/// assert_eq!(normal("+27 87 250-0100").as_deref(), Some("27872500100"));
/// assert_eq!(normal("0027872500100"), normal("+27872500100"));
/// assert_eq!(normal("reception"), None);
/// ```
pub fn normal(number: &str) -> Option<String> {
    let number = number.trim_matches(' ');
    let (international, rest) = match number.strip_prefix('+') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let mut digits = String::with_capacity(16);
    for c in rest.chars() {
        match c {
            '0'..='9' if digits.len() < LONGEST + 2 => digits.push(c),
            ' ' | '-' | '.' | '(' | ')' => {}
            _ => return None,
        }
    }
    // 00 is an exit code only before a number long enough to be an international one.
    if !international
        && digits.len() > 9
        && let Some(rest) = digits.strip_prefix("00")
    {
        digits = rest.to_owned();
    }
    (2..=LONGEST).contains(&digits.len()).then_some(digits)
}

const LONGEST: usize = 15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::normal;

    #[test]
    fn all_ways_to_write_a_number_are_one() {
        for written in [
            "+27872500100",
            "27872500100",
            "0027872500100",
            "+27 87 250 0100",
            "+27 (87) 250-0100",
            " 27.87.250.0100 ",
        ] {
            assert_eq!(normal(written).as_deref(), Some("27872500100"), "{written}");
        }
    }

    #[test]
    fn short_numbers_keep_their_zeros() {
        assert_eq!(normal("0042").as_deref(), Some("0042"));
    }

    #[test]
    fn names_and_too_long_numbers_are_none() {
        for written in [
            "",
            "+",
            "7",
            "sales",
            "12ab",
            "1234567890123456",
            "+2787\r\n",
            "１２３",
        ] {
            assert_eq!(normal(written), None, "{written:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_its_own_form(text in "\\+?[0-9 ()-]{0,20}") {
            if let Some(once) = normal(&text) && !once.starts_with("00") {
                prop_assert_eq!(normal(&once), Some(once.clone()));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,64}") {
            let _ = normal(&text);
        }
    }
}
