//! Root file systems that want more than they should get.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use gpupol_hook::mountinfo::MountInfo;
use gpupol_hook::rootfs::{Made, Rootfs, Surroundings};

use crate::scene::{self, Folder};

pub(crate) fn open(path: &str) -> Rootfs {
    let private = BTreeSet::new();
    Rootfs::open(path, Surroundings { private, shared: BTreeSet::new(), owner: None }).unwrap()
}

fn target(rootfs: &Rootfs, path: &str, is_directory: bool) -> Result<Vec<Made>, String> {
    let mut made = Vec::new();
    let target = rootfs.target(path, is_directory, &mut |new| made.push(new));
    target.map(|_| made).map_err(|error| error.to_string())
}

#[test]
fn links_out_of_the_root_stay_inside() {
    let folder = Folder::new("links");
    let root = folder.directory("root");
    folder.directory("root/usr");
    folder.directory("outside");
    symlink(folder.path("outside"), folder.path("root/usr/lib64")).unwrap();
    symlink("../../../../../../../..", folder.path("root/up")).unwrap();
    let rootfs = open(&root);
    let error = target(&rootfs, "/usr/lib64/libcuda.so.1", false).unwrap_err();
    assert!(error.contains("is a symbolic link to nothing in the container"), "{error}");
    target(&rootfs, "/up/a/b", false).unwrap();
    assert!(std::fs::exists(folder.path("root/a/b")).unwrap());
    assert_eq!(std::fs::read_dir(folder.path("outside")).unwrap().count(), 0);
}

/// Not to have found out whether something is there is not that it is not there.
#[test]
fn what_cannot_be_asked_is_no_answer() {
    if scene::role().is_none() {
        scene::run_child("rootfs::what_cannot_be_asked_is_no_answer", &["x"], r#"exec "$@""#);
        return;
    }
    let folder = Folder::new("asked");
    let rootfs = open(&folder.directory("root"));
    folder.write("root/file", "x");
    for (name, to) in [("circle", "circle"), ("nowhere", "gone"), ("through", "file/below")] {
        symlink(to, folder.path(&format!("root/{name}"))).unwrap();
    }
    let long = format!("/{}", "x/".repeat(4096));
    for path in ["/circle", "/nowhere", "/through", "/gone", &long] {
        assert!(!rootfs.has(path).unwrap() && rootfs.file(path).unwrap().is_none(), "{path}");
    }
    assert!(rootfs.has("/file").unwrap() && rootfs.file("/file").unwrap().is_some());
    let mut files = Vec::new();
    let few = rustix::process::Rlimit { current: Some(20), maximum: Some(20) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few).unwrap();
    files.extend(std::iter::from_fn(|| std::fs::File::open("/").ok()));
    let answers = [rootfs.has("/file").is_err(), rootfs.file("/file").is_err()];
    drop(files);
    assert_eq!(answers, [true, true]);
}

/// The kernel does not follow a `..` while anything of the host is renamed.
#[test]
fn renames_elsewhere_keep_nobody_out() {
    let folder = Folder::new("renames");
    let rootfs = open(&folder.directory("root"));
    symlink("../../..", folder.path("root/up")).unwrap();
    let names = [folder.write("one", ""), folder.path("two")];
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                std::fs::rename(&names[0], &names[1]).unwrap();
                std::fs::rename(&names[1], &names[0]).unwrap();
            }
        });
        let all: Result<Vec<_>, _> = (0..20_000).map(|_| target(&rootfs, "/up/a", false)).collect();
        over.store(true, Ordering::Relaxed);
        assert_eq!(all.map(|all| all.len()), Ok(20_000));
    });
}

#[test]
fn the_hosts_root_is_no_containers() {
    let folder = Folder::new("host-root");
    symlink("/", folder.path("root")).unwrap();
    for path in ["/", "/proc/self/root", &folder.path("root")] {
        let surroundings = Surroundings { private: BTreeSet::new(), shared: BTreeSet::new(), owner: None };
        let error = Rootfs::open(path, surroundings).unwrap_err().to_string();
        assert!(error.contains("the container's root is the host's"), "{path}: {error}");
    }
}

#[test]
fn what_is_missing_is_made_and_named_in_order() {
    let folder = Folder::new("made");
    let rootfs = open(&folder.directory("root"));
    let made = target(&rootfs, "/usr/lib64/libcuda.so.1", false).unwrap();
    let paths: Vec<&str> = made.iter().map(|made| made.path.as_str()).collect();
    assert_eq!(paths, ["/usr", "/usr/lib64", "/usr/lib64/libcuda.so.1"]);
    assert!(target(&rootfs, "/usr/lib64/libcuda.so.1", false).unwrap().is_empty(), "made twice");
    assert_eq!(std::fs::metadata(folder.path("root/usr/lib64/libcuda.so.1")).unwrap().len(), 0);
}

#[test]
fn a_last_link_is_followed_inside_and_refused_when_it_dangles() {
    let folder = Folder::new("last");
    let root = folder.directory("root");
    folder.write("root/real", "image");
    symlink("/real", folder.path("root/link")).unwrap();
    symlink("/proc/self/exe", folder.path("root/magic")).unwrap();
    let rootfs = open(&root);
    assert!(target(&rootfs, "/link", false).unwrap().is_empty());
    assert!(target(&rootfs, "/magic", false).unwrap_err().contains("symbolic link to nothing"));
    assert!(target(&rootfs, "/a/..", false).is_err());
    assert!(target(&rootfs, "/", false).is_ok(), "the root itself is there");
}

#[test]
fn the_images_own_dev_is_not_a_dev() {
    let folder = Folder::new("dev");
    let root = folder.directory("root");
    folder.directory("root/dev");
    assert!(open(&root).own_dev().unwrap_err().to_string().contains("is not its own"));
    std::fs::remove_dir(folder.path("root/dev")).unwrap();
    symlink("/dev", folder.path("root/dev")).unwrap();
    assert!(open(&root).own_dev().is_err());
}

const MOUNTS: &str = r#"
mkdir -p $FOLDER/host $FOLDER/root/dev $FOLDER/root/volume $FOLDER/root/own
mount --bind $FOLDER/root $FOLDER/root
mount --bind /dev $FOLDER/root/dev
mount --bind $FOLDER/host $FOLDER/root/volume
exec "$@"
"#;

/// In a mount namespace of its own: the host's `/dev` and a host's directory are mounted in the root.
#[test]
fn mounts_of_the_host_are_left_alone() {
    if let Some(words) = scene::role() {
        let host = MountInfo::read().unwrap();
        let mount = |point: &str| {
            let status = std::process::Command::new("mount").args(["-t", "tmpfs", "t", point]).status();
            assert!(status.unwrap().success());
        };
        let root = format!("{}/root", words[0]);
        mount(&format!("{root}/own"));
        let surroundings = || {
            let private = MountInfo::read().unwrap().private_beside(&host);
            Surroundings { private, shared: BTreeSet::new(), owner: None }
        };
        let rootfs = Rootfs::open(&root, surroundings()).unwrap();
        assert!(rootfs.own_dev().unwrap_err().to_string().contains("is not its own"));
        let error = target(&rootfs, "/volume/a/b", false).unwrap_err();
        assert!(error.contains("on a file system that is the host's too"), "{error}");
        assert_eq!(target(&rootfs, "/own/a", false).unwrap().len(), 1);
        mount(&format!("{root}/dev"));
        assert!(Rootfs::open(&root, surroundings()).unwrap().own_dev().is_ok());
        return;
    }
    let folder = Folder::new("mounts");
    let shell = MOUNTS.replace("$FOLDER", &folder.path(""));
    scene::run_child("rootfs::mounts_of_the_host_are_left_alone", &[&folder.path("")], &shell);
    assert_eq!(std::fs::read_dir(folder.path("host")).unwrap().count(), 0);
}

#[test]
fn files_are_made_as_the_containers_root() {
    if let Some(words) = scene::role() {
        let surroundings = Surroundings {
            private: BTreeSet::new(),
            shared: BTreeSet::new(),
            owner: Some((100_000, 100_001)),
        };
        let rootfs = Rootfs::open(&words[0], surroundings).unwrap();
        target(&rootfs, "/a/b", false).unwrap();
        assert!(rustix::process::geteuid().is_root());
        return;
    }
    let folder = Folder::new("owner");
    let root = folder.directory("root");
    std::os::unix::fs::chown(&root, Some(100_000), Some(100_001)).unwrap();
    scene::run_child("rootfs::files_are_made_as_the_containers_root", &[&root], r#"exec "$@""#);
    for below in ["root/a", "root/a/b"] {
        let found = std::fs::metadata(folder.path(below)).unwrap();
        assert_eq!((found.uid(), found.gid()), (100_000, 100_001));
    }
}

/// A user may mount what he likes below a directory of any name, by FUSE for one, and all see it.
#[test]
fn no_name_of_a_mount_hides_the_others() {
    if scene::role().is_some() {
        let info = MountInfo::read().unwrap();
        assert!(info.mounts().any(|mount| mount.kind == "proc"));
        let me = gpupol_hook::process::Process::open(std::process::id()).unwrap().unwrap();
        assert_eq!(me.mounts().unwrap(), info);
        return;
    }
    let folder = Folder::new("names");
    let shell = "d=$(printf '$F/x\\377'); mkdir \"$d\"; mount -t tmpfs x \"$d\"; exec \"$@\"";
    let shell = shell.replace("$F", &folder.path(""));
    scene::run_child("rootfs::no_name_of_a_mount_hides_the_others", &["x"], &shell);
}
