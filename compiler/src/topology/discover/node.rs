//! Device nodes: numbers from the kernel, checked against what lies in `/dev`.

use super::DiscoverError;
use super::nvidia::Sources;
use super::root::Character;
use crate::topology::DeviceNode;

/// Minors that NVIDIA's kernel module gives its control nodes, beside those of GPUs.
const CONTROL: u32 = 255;
const MODESET: u32 = 254;

/// The nodes that GPUs share, sorted by path.
pub(super) fn shared(sources: &Sources) -> Result<Vec<DeviceNode>, DiscoverError> {
    let majors = &sources.majors;
    let uvm = majors.named("nvidia-uvm");
    // Up to R535 the module has one name for its whole major, so only the node itself tells of modesetting.
    let modeset = majors.named("nvidia-modeset").or_else(|| {
        let present = sources.root.character("/dev/nvidia-modeset").is_some();
        majors.gpu().filter(|_| present)
    });
    let wanted = [
        ("/dev/nvidia-modeset", modeset, MODESET),
        ("/dev/nvidia-uvm", uvm, 0),
        ("/dev/nvidia-uvm-tools", uvm, 1),
        ("/dev/nvidiactl", majors.gpu(), CONTROL),
    ];
    let known = wanted.into_iter().filter_map(|(path, major, minor)| Some((path, major?, minor)));
    known.map(|(path, major, minor)| at(sources, path.to_owned(), [major, minor], None)).collect()
}

/// The node of the GPU with this minor; none while the major is not known.
pub(super) fn of_gpu(sources: &Sources, minor: Option<u32>) -> Result<Vec<DeviceNode>, DiscoverError> {
    let Some((major, minor)) = sources.majors.gpu().zip(minor) else { return Ok(Vec::new()) };
    Ok(vec![at(sources, format!("/dev/nvidia{minor}"), [major, minor], None)?])
}

/// The node at `path`, which must have these numbers if it is there: drivers make nodes only when they are needed.
/// Its mode is that on the host, else `mode`, else what the kernel module asks for.
pub(super) fn at(
    sources: &Sources,
    path: String,
    [major, minor]: [u32; 2],
    mode: Option<u32>,
) -> Result<DeviceNode, DiscoverError> {
    let there = sources.root.character(&path);
    is_itself(&path, there.as_ref(), [major, minor])?;
    let mode = there.map(|there| there.mode).or(mode).unwrap_or(sources.module.node_mode);
    Ok(DeviceNode { path, host_path: None, major, minor, mode })
}

/// A node with other numbers opens another device, whatever its name is.
fn is_itself(path: &str, there: Option<&Character>, wanted: [u32; 2]) -> Result<(), DiscoverError> {
    match there.map(|there| [there.major, there.minor]) {
        Some(found) if found != wanted => {
            let shown = |[major, minor]: [u32; 2]| format!("{major}:{minor}");
            Err(DiscoverError::Node { path: path.to_owned(), found: shown(found), wanted: shown(wanted) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_with_other_numbers_is_refused() {
        let there = Character { major: 195, minor: 3, mode: 0o666 };
        assert_eq!(is_itself("/dev/nvidia3", Some(&there), [195, 3]), Ok(()));
        assert_eq!(
            is_itself("/dev/nvidia3", None, [195, 3]),
            Ok(()),
            "the driver makes it when it is needed"
        );
        let message = is_itself("/dev/nvidia2", Some(&there), [195, 2]).unwrap_err().to_string();
        assert_eq!(message, "`/dev/nvidia2` is device 195:3, but should be 195:2: it is of another device");
    }
}
