//! Major numbers of character devices, as `/proc/devices` lists them. Discovery, the guard and the hook read it alike.

use std::collections::{BTreeMap, BTreeSet};

/// The major number of NVIDIA's own nodes (Linux `Documentation/admin-guide/devices.txt`).
pub const NVIDIA_MAJOR: u32 = 195;
/// The major number of DRM's nodes (the same).
pub const DRM_MAJOR: u32 = 226;

/// Drivers beside those whose names begin with `nvidia`, by whose nodes a GPU is reached, or what is given with one.
const OTHERS: [&str; 3] = ["drm", "gdrdrv", "kfd"];

/// The drivers of character devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Majors {
    /// Name and number, in the order of the list; a driver may have several numbers, and a number several names.
    all: Vec<(String, u32)>,
}

impl Majors {
    /// Reads the list. The lines are `195 nvidia-frontend`; those of block devices come second.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let characters = text.lines().take_while(|line| !line.starts_with("Block devices"));
        let pairs = characters.filter_map(|line| line.trim().split_once(' '));
        let all = pairs.filter_map(|(major, name)| Some((name.trim().to_owned(), major.parse().ok()?)));
        Self { all: all.collect() }
    }

    /// The major of GPU nodes: the whole major was called `nvidia-frontend` up to R535, since then its parts have names.
    #[must_use]
    pub fn gpu(&self) -> Option<u32> {
        self.named("nvidia").or_else(|| self.named("nvidia-frontend"))
    }

    /// The major of the driver of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<u32> {
        self.all.iter().rev().find(|(own, _)| own == name).map(|(_, major)| *major)
    }

    /// Whether a driver of that name has that major.
    #[must_use]
    pub fn has(&self, name: &str, major: u32) -> bool {
        self.all.iter().any(|own| (own.0.as_str(), own.1) == (name, major))
    }

    /// The names of the drivers of a major.
    pub fn names(&self, major: u32) -> impl Iterator<Item = &str> {
        self.all.iter().filter(move |own| own.1 == major).map(|(name, _)| name.as_str())
    }

    /// All of them.
    #[must_use]
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.all.iter().map(|(_, major)| *major).collect()
    }

    /// Those that only GPU drivers have, by name.
    #[must_use]
    pub fn of_gpus(&self) -> BTreeMap<String, u32> {
        let is_gpu = |name: &str| name.starts_with("nvidia") || name == "kfd";
        self.all.iter().filter(|(name, _)| is_gpu(name)).cloned().collect()
    }

    /// Those by which a GPU is reached, or what is given with one.
    #[must_use]
    pub fn guarded(&self) -> BTreeSet<u32> {
        let is_guarded = |name: &str| name.starts_with("nvidia") || OTHERS.contains(&name);
        let named = self.all.iter().filter(|(name, _)| is_guarded(name)).map(|(_, major)| *major);
        named.chain([NVIDIA_MAJOR]).collect()
    }
}

/// Whether a driver of that name answers the node at that path of a container. Of paths that nobody knows here any may.
#[must_use]
pub fn answers(driver: &str, path: &str) -> bool {
    let name = path.strip_prefix("/dev/").unwrap_or(path);
    let part = name.split('/').next().unwrap_or(name);
    match part {
        "nvidia-uvm" | "nvidia-uvm-tools" => driver == "nvidia-uvm",
        "nvidia-caps" | "nvidia-caps-imex-channels" | "kfd" | "gdrdrv" => driver == part,
        "dri" => driver == "drm",
        "infiniband" => matches!(driver, "infiniband_verbs" | "misc"),
        _ if part.starts_with("nvidia-nvswitch") => driver == "nvidia-nvswitch",
        _ if part.starts_with("nvidia-fs") => driver == "nvidia-fs",
        // Parts of one major, each of which branches of the driver name in a way of their own.
        _ => !part.starts_with("nvidia") || driver.starts_with("nvidia"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Character devices:\n  1 mem\n 10 misc\n195 nvidia\n195 nvidia-modeset\n195 nvidiactl\n226 drm\n231 infiniband_verbs\n\
                        235 nvidia-caps\n236 gdrdrv\n508 nvidia-uvm\n\nBlock devices:\n259 blkext\n300 nvidia\n";

    #[test]
    fn gpu_drivers_are_found_among_the_character_devices() {
        let majors = Majors::read(TEXT);
        assert_eq!(majors.guarded(), BTreeSet::from([195, 226, 235, 236, 508]));
        assert_eq!(Majors::read("").guarded(), BTreeSet::from([NVIDIA_MAJOR]));
        assert_eq!((majors.gpu(), majors.named("nvidia-caps")), (Some(195), Some(235)));
        assert!(majors.has("drm", DRM_MAJOR) && !majors.has("nvidia", 300));
        assert_eq!(majors.names(195).collect::<Vec<_>>(), ["nvidia", "nvidia-modeset", "nvidiactl"]);
        assert_eq!(majors.numbers(), BTreeSet::from([1, 10, 195, 226, 231, 235, 236, 508]));
        let of_gpus = majors.of_gpus();
        assert_eq!(of_gpus.values().collect::<BTreeSet<_>>(), BTreeSet::from([&195, &235, &508]));
    }

    #[test]
    fn each_node_has_one_driver() {
        for (path, driver) in [
            ("/dev/nvidia0", "nvidia"),
            ("/dev/nvidiactl", "nvidiactl"),
            ("/dev/nvidia-modeset", "nvidia-modeset"),
            ("/dev/nvidia3", "nvidia-frontend"),
            ("/dev/nvidia-uvm-tools", "nvidia-uvm"),
            ("/dev/nvidia-caps/nvidia-cap1", "nvidia-caps"),
            ("/dev/nvidia-caps-imex-channels/channel0", "nvidia-caps-imex-channels"),
            ("/dev/nvidia-nvswitchctl", "nvidia-nvswitch"),
            ("/dev/nvidia-fs0", "nvidia-fs"),
            ("/dev/dri/renderD128", "drm"),
            ("/dev/kfd", "kfd"),
            ("/dev/gdrdrv", "gdrdrv"),
            ("/dev/infiniband/rdma_cm", "misc"),
        ] {
            assert!(answers(driver, path), "{path}");
            assert!(!answers("ttyS", path), "{path}");
        }
        assert!(!answers("nvidia-caps", "/dev/nvidia-uvm"));
        assert!(!answers("nvidia-caps", "/dev/nvidia-caps-imex-channels/channel0"));
        assert!(answers("ttyS", "/dev/other"));
    }
}
