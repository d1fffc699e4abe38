//! Device nodes: numbers from the kernel, checked against what lies in `/dev`.

use super::DiscoverError;
use super::driver_root::DriverRoot;
use super::nvidia::Sources;
use super::root::{Character, Root};
use crate::topology::DeviceNode;

/// Minors that NVIDIA's kernel module gives its control nodes, beside those of GPUs.
const CONTROL: u32 = 255;
const MODESET: u32 = 254;

/// The nodes that NVIDIA's GPUs share, sorted by path.
pub(super) fn shared(sources: &Sources) -> Result<Vec<DeviceNode>, DiscoverError> {
    let majors = &sources.majors;
    let uvm = majors.named("nvidia-uvm");
    // Up to R535 the module has one name for its whole major, so only the node itself tells of modesetting.
    let modeset = majors.named("nvidia-modeset").or_else(|| {
        let present = lying(&sources.root, &sources.driver, "/dev/nvidia-modeset").is_some();
        majors.gpu().filter(|_| present)
    });
    let wanted = [
        ("/dev/nvidia-modeset", modeset, MODESET),
        ("/dev/nvidia-uvm", uvm, 0),
        ("/dev/nvidia-uvm-tools", uvm, 1),
        ("/dev/nvidiactl", majors.gpu(), CONTROL),
    ];
    let known = wanted.into_iter().filter_map(|(path, major, minor)| Some((path, major?, minor)));
    let mode = sources.module.node_mode;
    known.map(|(path, major, minor)| at(sources, path.to_owned(), [major, minor], mode)).collect()
}

/// The node of the GPU with this minor; none while the major is not known.
pub(super) fn of_gpu(sources: &Sources, minor: Option<u32>) -> Result<Vec<DeviceNode>, DiscoverError> {
    let Some((major, minor)) = sources.majors.gpu().zip(minor) else { return Ok(Vec::new()) };
    let path = format!("/dev/nvidia{minor}");
    Ok(vec![at(sources, path, [major, minor], sources.module.node_mode)?])
}

/// The node at `path`, which must have these numbers if it is there: drivers make nodes only when they are needed.
/// Its mode is that on the host, else `mode`.
pub(super) fn at(
    sources: &Sources,
    path: String,
    [major, minor]: [u32; 2],
    mode: u32,
) -> Result<DeviceNode, DiscoverError> {
    put(lying(&sources.root, &sources.driver, &path), path, [major, minor], mode)
}

/// The same of a node that only the host has.
pub(super) fn of_host(
    root: &Root,
    path: String,
    numbers: [u32; 2],
    mode: u32,
) -> Result<DeviceNode, DiscoverError> {
    put(root.character(&path).map(|there| (there, None)), path, numbers, mode)
}

fn put(
    there: Option<(Character, Option<String>)>,
    path: String,
    [major, minor]: [u32; 2],
    mode: u32,
) -> Result<DeviceNode, DiscoverError> {
    let (there, host_path) = there.unzip();
    is_itself(&path, there.as_ref(), [major, minor])?;
    let gid = there.as_ref().map_or(0, |there| there.gid);
    let mode = there.map_or(mode, |there| there.mode);
    Ok(DeviceNode { path, host_path: host_path.flatten(), major, minor, mode, gid })
}

/// The node that lies at `path` on the host, else in the driver's container, and then where that is on the host.
fn lying(root: &Root, driver: &DriverRoot, path: &str) -> Option<(Character, Option<String>)> {
    let of_host = root.character(path).map(|there| (there, None));
    of_host.or_else(|| Some((driver.files.character(path)?, Some(driver.on_host(path)))))
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
        let there = Character { major: 195, minor: 3, mode: 0o666, gid: 0 };
        assert_eq!(is_itself("/dev/nvidia3", Some(&there), [195, 3]), Ok(()));
        assert_eq!(
            is_itself("/dev/nvidia3", None, [195, 3]),
            Ok(()),
            "the driver makes it when it is needed"
        );
        let message = is_itself("/dev/nvidia2", Some(&there), [195, 2]).unwrap_err().to_string();
        assert_eq!(message, "`/dev/nvidia2` is device 195:3, but should be 195:2: it is of another device");
    }

    #[test]
    fn a_node_of_the_drivers_container_lies_elsewhere_on_the_host() {
        let root = Root::new("/".into()).unwrap();
        let driver = DriverRoot::find(&root, Some("/dev".as_ref())).unwrap();
        let (there, host_path) = lying(&root, &driver, "/null").unwrap();
        assert_eq!((there.major, there.minor, host_path.as_deref()), (1, 3, Some("/dev/null")));
        assert_eq!(lying(&root, &driver, "/dev/null").unwrap().1, None);
        assert_eq!(lying(&root, &driver, "/nothing"), None);
    }
}
