//! What of the host no container may change or see, looked at before and after an attack.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bundle::{Bundle, look};
use crate::container::Container;
use crate::needs;
use crate::oracle::Answer;
use crate::site::{LINKS_OF_RUNTIMES, Outcome, Site};

/// A file of the host that only lies outside of every container; its name is looked for in them.
const SECRET: &str = "secret-of-the-host";
/// What the container leaves in its own `/tmp`: its mounts, and where it found the host's secret.
const REPORT: &str =
    "cut -d ' ' -f 5 /proc/self/mountinfo >/tmp/mounts; find / -name SECRET >/tmp/found 2>/dev/null";

/// A tree of the host beside the containers, laid out like a root file system, and all else that is the made host's.
pub(crate) struct Untouched<'s> {
    site: &'s Site,
    before: BTreeMap<PathBuf, Kept>,
}

/// A file: mode, owner, inode, which device it is, when it was changed, and its content or what it leads to.
type Kept = (u32, u32, u64, u64, (i64, i64), Vec<u8>);

impl<'s> Untouched<'s> {
    /// Makes the tree, and looks at everything.
    pub(crate) fn new(site: &'s Site) -> Self {
        let outside = Self::tree(site);
        for directory in
            ["usr/lib64", "usr/lib", "usr/bin", "etc", "var/run", "lib/firmware", "proc", "sys", "dev"]
        {
            fs::create_dir_all(outside.join(directory)).expect("the directory is ours");
        }
        for file in ["usr/lib64/libcuda.so.1", "usr/bin/nvidia-smi", "etc/ld.so.cache", SECRET] {
            fs::write(outside.join(file), "the host's own\n").expect("the directory is ours");
        }
        let before = Self::look(site);
        Self { site, before }
    }

    /// Where all this is.
    pub(crate) fn site(&self) -> &'s Site {
        self.site
    }

    /// Where the tree lies.
    pub(crate) fn outside(&self) -> PathBuf {
        Self::tree(self.site)
    }

    /// Fails unless everything is as it was: the tree, the host's own files and nodes, the hook, the mounts, `/dev`, and
    /// nobody holds anything.
    pub(crate) fn check(&self, case: &str) {
        self.check_files(case);
        assert_eq!(self.site.installed.leases(), Vec::<String>::new(), "{case}");
    }

    /// The same while somebody holds devices.
    pub(crate) fn check_files(&self, case: &str) {
        let after = Self::look(self.site);
        let paths: BTreeSet<&PathBuf> = self.before.keys().chain(after.keys()).collect();
        let changed: Vec<&PathBuf> =
            paths.into_iter().filter(|path| self.before.get(*path) != after.get(*path)).collect();
        assert!(changed.is_empty(), "{case}: changed on the host: {changed:?}");
        self.site.require_unchanged(case);
    }

    /// Starts a container whose bundle is an attack, which a closure completes. Whatever comes of it, the host is what it
    /// was; if it runs, it can open exactly these numbers, and sees nothing of the host's.
    pub(crate) fn attack(
        &self,
        bundle: &Bundle,
        container: &Container,
        granted: &BTreeSet<(u32, u32)>,
        complete: impl FnOnce(&mut Value),
    ) -> Outcome {
        let command = format!("{}\n{}", REPORT.replace("SECRET", SECRET), look());
        let id = self.site.write(bundle, container, &command);
        edit(bundle, complete);
        let outcome = self.site.start(bundle, &id, container.entry, false);
        self.check(&format!("{outcome:?}"));
        match &outcome.seen {
            None => assert!(!outcome.started && !outcome.said.is_empty(), "{outcome:?}"),
            Some(seen) => {
                assert_eq!(&seen.allowed(), granted, "{outcome:?}");
                assert!(!seen.rules.values().any(|answer| matches!(answer, Answer::Other(_))), "{outcome:?}");
                let found = fs::read_to_string(bundle.rootfs().join("tmp/found")).expect("it was written");
                assert_eq!(found, "", "it sees the host's files: {outcome:?}");
            }
        }
        outcome
    }

    fn tree(site: &Site) -> PathBuf {
        site.dir.join("outside")
    }

    fn look(site: &Site) -> BTreeMap<PathBuf, Kept> {
        let mut kept = BTreeMap::new();
        for path in [Self::tree(site), site.host.file(""), needs::hook()] {
            keep(&path, &mut kept);
        }
        // Runtimes themselves write into what a rootfs's `/dev` leads to.
        let dev = Self::tree(site).join("dev");
        kept.remove(&dev);
        kept.retain(|path, _| !LINKS_OF_RUNTIMES.iter().any(|name| *path == dev.join(name)));
        kept
    }
}

/// The places where something is mounted in a container that ran an attack.
pub(crate) fn mounts(bundle: &Bundle) -> Vec<String> {
    let text = fs::read_to_string(bundle.rootfs().join("tmp/mounts")).expect("the container wrote it");
    let mut places: Vec<String> = text.lines().map(str::to_owned).collect();
    places.sort();
    places
}

/// Changes the `config.json` of a bundle.
pub(crate) fn edit(bundle: &Bundle, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(bundle.config()).expect("the bundle is ours");
    let mut config = serde_json::from_str(&text).expect("we wrote JSON");
    change(&mut config);
    fs::write(bundle.config(), config.to_string()).expect("the bundle is ours");
}

fn keep(path: &Path, kept: &mut BTreeMap<PathBuf, Kept>) {
    let data = fs::symlink_metadata(path).expect("it is ours");
    let content = if data.is_dir() {
        let entries = fs::read_dir(path).expect("it is ours");
        entries.for_each(|entry| keep(&entry.expect("it is ours").path(), kept));
        Vec::new()
    } else if data.is_symlink() {
        fs::read_link(path).expect("it is ours").into_os_string().into_encoded_bytes()
    } else if data.is_file() {
        fs::read(path).expect("it is ours")
    } else {
        Vec::new()
    };
    let changed = (data.mtime(), data.mtime_nsec());
    kept.insert(path.to_owned(), (data.mode(), data.uid(), data.ino(), data.rdev(), changed, content));
}
