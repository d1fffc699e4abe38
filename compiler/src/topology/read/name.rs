//! The spelling of names in a topology: UUIDs, PCI addresses, paths.

/// Whether `text` is `GPU-` and a UUID.
pub(super) fn is_gpu_uuid(text: &str) -> bool {
    text.strip_prefix("GPU-").is_some_and(is_uuid)
}

/// Whether `text` names a board of AMD: `GPU-` and its unique id, or its PCI address if it has none.
pub(super) fn is_amd_board(text: &str) -> bool {
    let is_unique_id = |id: &str| id.len() == 16 && id.bytes().all(is_lower_hex);
    text.strip_prefix("GPU-").is_some_and(|id| is_unique_id(id) || is_pci_address(id))
}

/// The board that `text` names, and which of how many parts of it: `3of8` behind a last dash.
pub(super) fn parts_of_board(text: &str) -> (&str, Option<(u32, u32)>) {
    let part = |part: &str| {
        let (number, of) = part.split_once("of")?;
        Some((number_after("", number)?, number_after("", of)?))
    };
    let split = text.rsplit_once('-').and_then(|(board, last)| Some((board, part(last)?)));
    split.map_or((text, None), |(board, part)| (board, Some(part)))
}

/// Whether `text` names a MIG device: `MIG-` and a UUID, or `MIG-GPU-UUID/GI/CI` as drivers before R470 wrote it.
pub(super) fn is_mig_uuid(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("MIG-") else { return false };
    let mut parts = rest.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(uuid), None, None, None) => is_uuid(uuid),
        (Some(gpu), Some(gi), Some(ci), None) => is_gpu_uuid(gpu) && is_number(gi) && is_number(ci),
        _ => false,
    }
}

/// Whether `text` is a PCI address as the kernel spells it: `0000:07:00.0`, lower case, the domain with four digits
/// or, where it needs more, without leading zeros.
pub(in crate::topology) fn is_pci_address(text: &str) -> bool {
    let mut parts = text.split([':', '.']);
    let (Some(domain), Some(bus), Some(device), Some(function), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let domain_fits = domain.len() == 4 || (domain.len() <= 8 && !domain.starts_with('0'));
    text == format!("{domain}:{bus}:{device}.{function}")
        && domain_fits
        && [(domain, 4), (bus, 2), (device, 2), (function, 1)]
            .iter()
            .all(|(part, least)| part.len() >= *least && part.bytes().all(is_lower_hex))
        && bus.len() == 2
        && matches!(u8::from_str_radix(device, 16), Ok(0..=0x1f))
        && matches!(function.parse(), Ok(0u8..=7))
}

/// Whether `text` is an absolute path without `.`, `..`, empty parts or control characters.
pub(super) fn is_plain_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !matches!(part, "" | "." | "..")) && !has_control(rest)
    })
}

/// Whether `text` is the name of a file, without directories.
pub(super) fn is_file_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains('/') && !has_control(text)
}

/// Whether `text` is a list of CPUs as the kernel writes it: `0-47,96-143`.
pub(in crate::topology) fn is_cpu_list(text: &str) -> bool {
    text.split(',').all(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        is_number(first) && is_number(last)
    })
}

/// Whether `text` has a character that a terminal would obey.
pub(super) fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// The number that ends `text` after `prefix`, if that is all there is.
pub(super) fn number_after(prefix: &str, text: &str) -> Option<u32> {
    text.strip_prefix(prefix).filter(|digits| is_number(digits))?.parse().ok()
}

fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_number(text: &str) -> bool {
    let leading_zero = text.len() > 1 && text.starts_with('0');
    !text.is_empty() && !leading_zero && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids() {
        assert!(is_gpu_uuid("GPU-6f3d0b5c-0000-4000-8000-00000000000a"));
        assert!(is_gpu_uuid("GPU-6F3D0B5C-0000-4000-8000-00000000000A"));
        for wrong in [
            "6f3d0b5c-0000-4000-8000-00000000000a",
            "GPU-6f3d0b5c",
            "GPU-6f3d0b5g-0000-4000-8000-00000000000a",
        ] {
            assert!(!is_gpu_uuid(wrong), "{wrong}");
        }
        assert!(is_mig_uuid("MIG-6f3d0b5c-0000-5000-8000-00000000000a"));
        assert!(is_mig_uuid("MIG-GPU-6f3d0b5c-0000-4000-8000-00000000000a/13/0"));
        for wrong in [
            "MIG-GPU-6f3d0b5c-0000-4000-8000-00000000000a",
            "MIG-GPU-6f3d0b5c-0000-4000-8000-00000000000a/1/x",
        ] {
            assert!(!is_mig_uuid(wrong), "{wrong}");
        }
    }

    #[test]
    fn boards_of_amd_and_their_parts() {
        for right in ["GPU-0123456789abcdef", "GPU-0000:63:00.0"] {
            assert!(is_amd_board(right), "{right}");
        }
        for wrong in ["0123456789abcdef", "GPU-0123456789ABCDEF", "GPU-0123", "GPU-"] {
            assert!(!is_amd_board(wrong), "{wrong}");
        }
        assert_eq!(parts_of_board("GPU-0123456789abcdef-3of8"), ("GPU-0123456789abcdef", Some((3, 8))));
        assert_eq!(parts_of_board("GPU-0123456789abcdef"), ("GPU-0123456789abcdef", None));
        assert_eq!(parts_of_board("GPU-01-03of8").1, None);
    }

    #[test]
    fn pci_addresses() {
        for right in ["0000:07:00.0", "0001:ff:1f.7", "10000:01:00.0", "ffffffff:00:00.0"] {
            assert!(is_pci_address(right), "{right}");
        }
        let wrong = [
            "07:00.0",
            "00000000:07:00.0",
            "0000:0B:00.0",
            "0000:07:20.0",
            "0000:07:00.8",
            "0000:007:00.0",
            "0000:07:00",
            "0000.07.00.0",
            "0000:07:00.0 ",
            "",
        ];
        for wrong in wrong {
            assert!(!is_pci_address(wrong), "{wrong}");
        }
    }

    #[test]
    fn paths() {
        assert!(is_plain_path("/dev/nvidia0"));
        for wrong in ["dev/nvidia0", "/dev/../etc", "/dev//x", "/dev/./x", "/dev/", "/", "", "/dev/a\nb"] {
            assert!(!is_plain_path(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn lists_of_cpus() {
        for right in ["0", "0-47,96-143", "0,2,4"] {
            assert!(is_cpu_list(right), "{right}");
        }
        for wrong in ["", "all", "0-", "0,,1", "0-1-2", "0 1"] {
            assert!(!is_cpu_list(wrong), "{wrong}");
        }
    }

    #[test]
    fn numbers_in_names() {
        assert_eq!(number_after("/dev/nvidia", "/dev/nvidia12"), Some(12));
        assert_eq!(number_after("/dev/nvidia", "/dev/nvidiactl"), None);
        assert_eq!(number_after("/dev/nvidia", "/dev/nvidia012"), None);
        assert_eq!(number_after("/dev/nvidia", "/dev/nvidia"), None);
    }
}
