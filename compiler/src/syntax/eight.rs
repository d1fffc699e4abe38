//! Tests of eight bytes at once, the first of them the lowest of a number: each says by the highest bit of a byte what is
//! true of it, and may miss bytes of which it is true, never the other way round.

/// The highest bit of each byte.
const HIGH: u64 = each(0x80);
/// How many bytes a number has a bit for.
pub(super) const LINE: usize = u64::BITS as usize;

/// How many bytes from the first on a test is sure of.
#[inline(always)]
pub(super) fn count(sure: u64) -> usize {
    ((!sure & HIGH).trailing_zeros() / u8::BITS) as usize
}

/// Of which bytes of a line of a text a test is sure: a bit for each, the first the lowest.
pub(super) fn line(text: &[u8], line: usize, sure: impl Fn(u64) -> u64) -> u64 {
    let rest = text.get(line * LINE..).unwrap_or_default();
    let mut bytes = [0; LINE];
    bytes.iter_mut().zip(rest).for_each(|(byte, own)| *byte = *own);
    let eights = bytes.as_chunks().0.iter().map(|bytes| gather(sure(u64::from_le_bytes(*bytes))));
    eights.rev().fold(0, |line, eight| line << 8 | eight)
}

/// The highest bits of eight bytes side by side.
fn gather(bytes: u64) -> u64 {
    // Each bit is copied to where it belongs in the highest byte, and nowhere are two added.
    ((bytes & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// Spaces.
#[inline(always)]
pub(super) fn spaces(bytes: u64) -> u64 {
    let other = bytes ^ each(b' ');
    !(other | (other & !HIGH).wrapping_add(!HIGH))
}

/// What may stand in a bare word: letters, digits and most marks.
#[inline(always)]
pub(super) fn bare(bytes: u64) -> u64 {
    let ascii = bytes & !HIGH;
    let bare = within(ascii, b'*', b'.')
        | within(ascii, b'0', b':')
        | within(ascii, b'>', b'Z')
        | within(ascii, b'^', b'z');
    bare & !bytes
}

/// What stands for itself in a quoted string.
#[inline(always)]
pub(super) fn quoted(bytes: u64) -> u64 {
    let ascii = bytes & !HIGH;
    let quoted = within(ascii, b' ', b'!') | within(ascii, b'#', b'[') | within(ascii, b']', b'~');
    quoted & !bytes
}

/// What prints, and spaces.
#[inline(always)]
pub(super) fn plain(bytes: u64) -> u64 {
    within(bytes & !HIGH, b' ', b'~') & !bytes
}

/// Of bytes of ASCII those from `first` to `last`.
#[inline(always)]
const fn within(ascii: u64, first: u8, last: u8) -> u64 {
    at_least(ascii, first) & !at_least(ascii, last + 1)
}

/// The sum of two bytes of ASCII fits into one.
#[inline(always)]
const fn at_least(ascii: u64, least: u8) -> u64 {
    ascii.wrapping_add(each(0x80 - least))
}

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a test says of a byte, whatever stands beside it.
    fn holds(test: impl Fn(u64) -> u64, byte: u8) -> bool {
        let said: Vec<bool> = [0, b' ', b'a', 0x7f, 0x80, 0xff]
            .into_iter()
            .flat_map(|other| (0..8).map(move |at| (other, at)))
            .map(|(other, at)| {
                let mut bytes = [other; 8];
                bytes[at] = byte;
                test(u64::from_le_bytes(bytes)) & HIGH & (0xff << (at * 8)) != 0
            })
            .collect();
        assert!(said.iter().all(|one| *one == said[0]), "{byte:#x}");
        said[0]
    }

    #[test]
    fn each_byte_is_judged_by_itself() {
        for byte in 0..=u8::MAX {
            let marks = b"\"#/\\=(){};[]!$%&'<|~";
            let graphic = byte.is_ascii_graphic();
            assert_eq!(holds(spaces, byte), byte == b' ', "{byte:#x}");
            assert_eq!(holds(plain, byte), graphic || byte == b' ', "{byte:#x}");
            let is_bare = graphic && !marks.contains(&byte);
            assert_eq!(holds(bare, byte), is_bare, "{byte:#x}");
            let is_quoted = graphic && !b"\"\\".contains(&byte);
            assert_eq!(holds(quoted, byte), is_quoted || byte == b' ', "{byte:#x}");
        }
    }

    #[test]
    fn a_line_has_a_bit_for_each_of_its_bytes() {
        let text: Vec<u8> = (0..100).map(|at| if at % 3 == 0 || at % 7 == 0 { b'a' } else { b' ' }).collect();
        for of in 0..3 {
            let bits = line(&text, of, bare);
            for at in 0..LINE {
                let is_bare = text.get(of * LINE + at) == Some(&b'a');
                assert_eq!(bits >> at & 1 == 1, is_bare, "{of} {at}");
            }
        }
    }

    #[test]
    fn what_comes_first_is_counted() {
        for (text, spaces_first, bare_first) in [
            ("        ", 8, 0),
            ("   a b  ", 3, 0),
            ("gpus two", 0, 4),
            ("\u{7ff}bcdefg", 0, 0),
            ("capabili", 0, 8),
        ] {
            let bytes = u64::from_le_bytes(text.as_bytes().try_into().unwrap());
            assert_eq!((count(spaces(bytes)), count(bare(bytes))), (spaces_first, bare_first), "{text}");
        }
    }
}
