//! CUDA's libraries of a newer driver, which NVIDIA ships so that new programs run on an older one.

use serde::{Deserialize, Serialize};

use crate::topology::{Driver, DriverFile, Fact, Gpu, Topology, Vendor};

/// NVIDIA supports them on no GPU of these brands.
const NOT_FOR: [&str; 4] = ["geforce", "geforcertx", "titan", "titanrtx"];

/// The libraries of a directory that the administrator named, never one of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CudaCompat {
    /// The driver's version that they belong to, such as `590.44.01`.
    pub version: String,
    /// The CUDA version that they serve, such as `13.1`; absent: they do not say.
    pub cuda: Fact<String>,
    /// The branches of the kernel module on which they work, ascending; absent: they do not say.
    pub branches: Fact<Vec<u32>>,
    /// The libraries, sorted by path.
    pub files: Vec<DriverFile>,
}

impl CudaCompat {
    /// Why they cannot be used on the host, if they cannot: as NVIDIA's own tools judge what an image brings.
    #[must_use]
    pub fn obstacle(&self, topology: &Topology) -> Option<String> {
        self.of_driver(topology.driver(Vendor::Nvidia)).or_else(|| self.of_gpus(&topology.gpus))
    }

    fn of_driver(&self, driver: &Driver) -> Option<String> {
        let Some(running) = driver.version.known() else {
            return Some("the running driver's version is unknown".to_owned());
        };
        let (Some(own), Some(host)) = (numbers(&self.version), numbers(running)) else {
            return Some(format!("`{}` and `{running}` cannot be compared as versions", self.version));
        };
        if own <= host {
            return Some(format!("the running driver {running} is not older than {}", self.version));
        }
        let branch = host.first().copied().unwrap_or(0);
        match &self.branches {
            Fact::Known(branches) if branches.contains(&branch) => None,
            Fact::Known(branches) => {
                let branches: Vec<String> = branches.iter().map(u32::to_string).collect();
                Some(format!("they work on drivers {}, not on {running}", branches.join(", ")))
            }
            Fact::Unknown(why) => Some(format!("on which drivers they work is unknown: {why}")),
            Fact::Absent if own.first() > Some(&branch) => None,
            Fact::Absent => Some(format!("the running driver {running} is of their own branch")),
        }
    }

    fn of_gpus(&self, gpus: &[Gpu]) -> Option<String> {
        gpus.iter().filter(|gpu| gpu.vendor == Vendor::Nvidia).find_map(|gpu| match &gpu.brand {
            Fact::Known(brand) if NOT_FOR.contains(&brand.to_ascii_lowercase().as_str()) => {
                Some(format!("GPU {} is a {}, on which NVIDIA does not support them", gpu.index, gpu.model))
            }
            Fact::Known(_) => None,
            Fact::Absent | Fact::Unknown(_) => Some(format!("the brand of GPU {} is unknown", gpu.index)),
        })
    }
}

/// The numbers of a version, if that is what it is.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::builtin;
    use crate::topology::read;

    fn judged(version: &str, branches: Option<&[u32]>, brand: Fact<String>) -> Option<String> {
        let branches = branches.map_or(Fact::Absent, |branches| Fact::Known(branches.to_vec()));
        judged_by(version, branches, brand)
    }

    fn judged_by(version: &str, branches: Fact<Vec<u32>>, brand: Fact<String>) -> Option<String> {
        let mut host = read::read("campus", builtin::builtin("campus").unwrap().1).unwrap();
        host.gpus.iter_mut().for_each(|gpu| gpu.brand = brand.clone());
        let (version, cuda) = (version.to_owned(), Fact::Absent);
        CudaCompat { version, cuda, branches, files: Vec::new() }.obstacle(&host)
    }

    #[test]
    fn they_are_for_older_drivers_that_they_name() {
        let tesla = || Fact::Known("tesla".to_owned());
        for (version, branches, expected) in [
            ("590.44.01", Some(&[535, 550][..]), None),
            ("590.44.01", None, None),
            ("550.200.01", Some(&[550]), None),
            ("550.200.01", None, Some("the running driver 550.163.01 is of their own branch")),
            ("590.44.01", Some(&[535, 570]), Some("they work on drivers 535, 570, not on 550.163.01")),
            ("550.163.01", Some(&[550]), Some("the running driver 550.163.01 is not older than 550.163.01")),
            ("535.1", None, Some("the running driver 550.163.01 is not older than 535.1")),
        ] {
            assert_eq!(judged(version, branches, tesla()).as_deref(), expected, "{version} {branches:?}");
        }
    }

    #[test]
    fn what_is_unknown_permits_nothing() {
        let tesla = || Fact::Known("tesla".to_owned());
        assert_eq!(
            judged_by("590.44.01", Fact::unknown("torn"), tesla()).unwrap(),
            "on which drivers they work is unknown: torn"
        );
        assert_eq!(
            judged("590.x", None, tesla()).unwrap(),
            "`590.x` and `550.163.01` cannot be compared as versions"
        );
    }

    #[test]
    fn they_are_for_data_centers() {
        let said = judged("590.44.01", None, Fact::Known("GeForceRTX".to_owned())).unwrap();
        assert!(said.contains("does not support them"), "{said}");
        assert_eq!(judged("590.44.01", None, Fact::unknown("no")).unwrap(), "the brand of GPU 0 is unknown");
    }
}
