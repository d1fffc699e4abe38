//! What a GPU of AMD is called.

use gpupol_plan::kfd;

use super::{Fact, Root, kernel};

/// The list of names that comes with libdrm: lines of `DEVICE, REVISION, NAME`.
const NAMES: &str = "/usr/share/libdrm/amdgpu.ids";

/// The product's name by its board, else by the list of names, else the device's number.
pub(super) fn name(root: &Root, pci: &str, properties: &str) -> String {
    let file = |name: &str| kernel::line(root, &format!("/sys/bus/pci/devices/{pci}/{name}")).ok();
    let own = file("product_name").filter(|name| is_name(name));
    let listed = || listed(root, &file("device")?, &file("revision")?);
    let number = || {
        let device = kfd::value(properties, "device_id").and_then(|device| device.parse::<u32>().ok());
        device.map_or_else(|| "AMD GPU".to_owned(), |device| format!("AMD GPU 1002:{device:04x}"))
    };
    own.or_else(listed).unwrap_or_else(number)
}

/// `device` and `revision` as the kernel writes them: `0x740f` and `0x02`.
fn listed(root: &Root, device: &str, revision: &str) -> Option<String> {
    let hex = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let wanted = (hex(device)?, hex(revision)?);
    let text = root.text(NAMES).ok()?;
    let name = |line: &str| {
        let mut fields = line.splitn(3, ',').map(str::trim);
        let (device, revision, name) = (fields.next()?, fields.next()?, fields.next()?);
        ((hex(device)?, hex(revision)?) == wanted && is_name(name)).then(|| name.to_owned())
    };
    text.lines().filter(|line| !line.starts_with('#')).find_map(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// `gfx90a` for the version 90010: two digits each but for the first, written in hexadecimal.
pub(super) fn architecture(properties: &str) -> Fact<String> {
    let version = kfd::value(properties, "gfx_target_version").and_then(|text| text.parse::<u32>().ok());
    match version {
        Some(version) if version > 0 => {
            let (major, minor, step) = (version / 10_000, version / 100 % 100, version % 100);
            Fact::Known(format!("gfx{major}{minor:x}{step:x}"))
        }
        _ => Fact::unknown("KFD gives no `gfx_target_version`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_written_as_compilers_name_them() {
        let named = |version: u32| architecture(&format!("gfx_target_version {version}\n"));
        for (version, name) in
            [(90_010, "gfx90a"), (90_402, "gfx942"), (100_300, "gfx1030"), (90_006, "gfx906")]
        {
            assert_eq!(named(version), Fact::Known(name.to_owned()));
        }
        assert!(matches!(named(0), Fact::Unknown(_)));
    }
}
