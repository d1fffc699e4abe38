//! Numbers with units.

use crate::diag::{Finding, Fix};
use crate::policy::diags;
use crate::source::Spanned;
use crate::syntax::Value;

/// Units of memory and how many bytes each is.
pub(super) const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Bytes, from `"79GiB"` or `"79.5GiB"`; a part of a byte is dropped.
pub(super) fn bytes(value: &Spanned<Value>) -> Result<u64, Finding> {
    let span = value.span;
    let text = match &value.value {
        Value::String(text) => text,
        Value::Integer(number) => {
            return Err(diags::no_unit(span, format!("`{number}` has no unit"), &format!("\"{number}GiB\"")));
        }
        other => {
            return Err(diags::bad_unit(
                span,
                format!("{} is no amount of memory", other.kind()),
                "`\"79GiB\"`",
            ));
        }
    };
    let (number, unit) = split(text);
    let Some(factor) = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor) else {
        return Err(unknown_unit(text, number, unit, value));
    };
    scaled(number, factor).ok_or_else(|| {
        let message = format!("`{text}` is no amount of memory");
        diags::bad_value(span, "not a number and a unit", message).help("`\"79GiB\"`, `\"79.5GiB\"`")
    })
}

/// Per cent from 1 to 100, from `"25%"`.
pub(super) fn percent(value: &Spanned<Value>) -> Result<u32, Finding> {
    let text = match &value.value {
        Value::String(text) => text.to_string(),
        Value::Integer(number) => number.to_string(),
        other => other.kind().to_owned(),
    };
    let Some(number) = text.strip_suffix('%') else {
        let message = format!("`{text}` has no `%`");
        return Err(if digits(&text).is_some() {
            diags::no_unit(value.span, message, &format!("\"{text}%\""))
        } else {
            diags::bad_unit(value.span, message, "`\"25%\"`")
        });
    };
    let number = digits(number).and_then(|number| u32::try_from(number).ok());
    number.filter(|number| (1..=100).contains(number)).ok_or_else(|| {
        diags::bad_value(value.span, "out of range", "a share is a whole number from 1% to 100%")
            .help("`\"25%\"`")
    })
}

fn split(text: &str) -> (&str, &str) {
    let number = text.trim_end_matches(|character: char| character.is_alphabetic() || character == ' ');
    (number, text.get(number.len()..).unwrap_or_default().trim())
}

fn unknown_unit(text: &str, number: &str, unit: &str, value: &Spanned<Value>) -> Finding {
    let folded = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(name, _)| *name);
    let letter = UNITS.iter().find(|(name, _)| unit.len() == 1 && name.starts_with(&unit.to_uppercase()));
    let unit_meant = folded.or(letter.map(|(name, _)| *name)).unwrap_or("GiB");
    let meant = format!("\"{number}{unit_meant}\"");
    let help = format!("`{meant}`; units are KiB MiB GiB TiB and KB MB GB TB");
    let finding = if unit.is_empty() {
        diags::bad_unit(value.span, format!("`{text}` has no unit"), help)
    } else {
        diags::unknown_unit(value.span, unit, help)
    };
    finding.maybe_fix((!number.is_empty()).then(|| Fix::guess().write(value.span, meant)))
}

/// `number` times `factor`, exactly but for the part of a byte.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) =
        number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let whole = digits(whole)?.checked_mul(factor)?;
    let Some(fraction) = fraction else { return Some(whole) };
    if fraction.len() > 6 {
        return None;
    }
    let divisor = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(digits(fraction)?) * u128::from(factor) / u128::from(divisor);
    whole.checked_add(u64::try_from(part).ok()?)
}

fn digits(text: &str) -> Option<u64> {
    let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source, Sources, Span};

    fn value(value: Value) -> Spanned<Value> {
        let sources = Sources::new(vec![Source::new("a", "")]);
        let (id, _) = sources.iter().next().unwrap();
        Spanned::new(value, Span::new(id, 0..0))
    }

    fn text(text: &str) -> Spanned<Value> {
        value(Value::String(text.into()))
    }

    #[test]
    fn bytes_are_exact() {
        let cases = [
            ("1KiB", 1024),
            ("79GiB", 79 << 30),
            ("79.5GiB", (79 << 30) + (1 << 29)),
            ("0.1KB", 100),
            ("80 GB", 80_000_000_000),
            ("2TiB", 2 << 40),
            ("0.000001KiB", 0),
        ];
        for (written, expected) in cases {
            assert_eq!(bytes(&text(written)), Ok(expected), "{written}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for written in
            ["", "GiB", "-1GiB", "1.GiB", ".5GiB", "1,5GiB", "1e3GiB", "99999999999999TiB", "1.2.3GiB"]
        {
            assert!(bytes(&text(written)).is_err(), "{written}");
        }
        let help = |written: &Spanned<Value>| bytes(written).unwrap_err().help.unwrap();
        assert!(help(&text("79")).starts_with("`\"79GiB\"`"));
        assert!(help(&text("79gib")).starts_with("`\"79GiB\"`"));
        assert!(help(&text("512M")).starts_with("`\"512MiB\"`"));
        assert!(help(&value(Value::Integer(79))).starts_with("`\"79GiB\"`"));
    }

    #[test]
    fn per_cent_needs_its_sign() {
        assert_eq!(percent(&text("25%")), Ok(25));
        assert_eq!(percent(&text("100%")), Ok(100));
        for written in ["0%", "101%", "2.5%", "%", "-1%"] {
            assert!(percent(&text(written)).is_err(), "{written}");
        }
        assert_eq!(percent(&value(Value::Integer(25))).unwrap_err().help.unwrap(), "`\"25%\"`");
    }
}
