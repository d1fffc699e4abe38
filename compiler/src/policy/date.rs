//! Days of the calendar.

use std::fmt;

/// A day, from year 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// The last year that has four digits.
const LAST_YEAR: u16 = 9999;

impl Date {
    /// Reads `YYYY-MM-DD`; nothing else is a date.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = plain && [year.len(), month.len(), day.len()] == [4, 2, 2];
        let date = Self { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()? };
        let exists = date.year > 0 && (1..=12).contains(&date.month);
        let exists = exists && (1..=days_of(date.year, date.month)).contains(&date.day);
        (whole && exists).then_some(date)
    }

    /// The day that many days after 1970-01-01; the last day there is, if that is later.
    #[must_use]
    pub fn after_epoch(mut days: u64) -> Self {
        let mut year = 1970;
        while days >= days_of_year(year) {
            if year == LAST_YEAR {
                return Self { year, month: 12, day: 31 };
            }
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= u64::from(days_of(year, month)) {
            days -= u64::from(days_of(year, month));
            month += 1;
        }
        // What is left is less than the days of a month.
        Self { year, month, day: u8::try_from(days).unwrap_or_default() + 1 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_of(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn only_days_that_exist_are_read() {
        for text in ["2027-03-01", "2028-02-29", "2000-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for text in ["2027-02-29", "1900-02-29", "2027-13-01", "2027-00-01", "2027-01-00", "2027-04-31"] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
        for text in
            ["", "2027", "2027-3-01", "2027-03-1", "27-03-0001", "2027-03-01-", "+027-03-01", "0000-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (20_818, "2026-12-31"),
            (20_819, "2027-01-01"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(Date::after_epoch(days).to_string(), text);
        }
        let year: Vec<Date> = (20_819..21_184).map(Date::after_epoch).collect();
        assert!(year.is_sorted() && year.iter().all(|date| Date::parse(&date.to_string()) == Some(*date)));
    }
}
