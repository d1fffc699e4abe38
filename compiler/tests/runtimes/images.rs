//! Images with a real C library, and a made driver whose libraries can really be opened.
//!
//! Debian's image is unpacked from Debian's own packages of the C library, musl's is what musl needs alone. The opener
//! asks the image's loader for libraries by name and says whose it got.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::needs;

/// Where Debian's loader looks on this machine.
pub(crate) const MULTIARCH: &str = "/usr/lib/x86_64-linux-gnu";

/// The packages of Debian's image: the C library with its loader, `ldconfig`, and what says that it is Debian.
const PACKAGES: [&str; 3] = ["libc6", "libc-bin", "base-files"];

/// Where the opener lies in an image.
pub(crate) const OPENER: &str = "/opener";

/// Whether `/bin` and `/lib` are links below `/usr`, as since Debian 12, or directories of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usr {
    /// Links.
    Merged,
    /// Directories.
    Apart,
}

/// Makes a rootfs Debian's, in which the opener and everything of the bundle's own lie beside.
pub(crate) fn debian(rootfs: &Path, usr: Usr) {
    if usr == Usr::Merged {
        merge_usr(rootfs);
    }
    for package in packages() {
        let archive = rootfs.join("package.tar");
        fs::write(&archive, package).expect("the bundle is ours");
        run(Command::new("tar")
            .args(["--keep-directory-symlink", "--no-same-owner", "-xf"])
            .arg(&archive)
            .arg("-C")
            .arg(rootfs));
        fs::remove_file(archive).expect("the bundle is ours");
    }
    let opener = rootfs.join("opener");
    compile(Path::new("cc"), "opener.c", &["-ldl"], &opener);
    cache(rootfs);
}

/// Makes a rootfs that of a system whose C library is musl.
pub(crate) fn musl(rootfs: &Path) {
    let loader = Path::new("/lib/ld-musl-x86_64.so.1");
    fs::create_dir_all(rootfs.join("lib")).expect("the bundle is ours");
    fs::copy(loader, rootfs.join("lib/ld-musl-x86_64.so.1")).expect("musl-tools has its loader");
    compile(&needs::program("musl-gcc", "musl-tools"), "opener.c", &[], &rootfs.join("opener"));
}

/// Writes the image's `/etc/ld.so.cache` with its own `ldconfig`.
pub(crate) fn cache(rootfs: &Path) {
    run(Command::new("/sbin/ldconfig").arg("-r").arg(rootfs));
}

/// A library of that soname that is not the driver's.
pub(crate) fn library_of_image(path: &Path, soname: &str) {
    fs::create_dir_all(path.parent().expect("it has one")).expect("the bundle is ours");
    library(path, soname, "the image");
}

/// Puts a program into a rootfs that leaves a trace where it is run.
pub(crate) fn trap(path: &Path) {
    let _ = fs::remove_file(path);
    fs::write(path, "#!/bin/sh\necho \"$0\" >>/executed\n").expect("the bundle is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the bundle is ours");
}

/// A library that leaves a trace on this machine wherever it is loaded.
pub(crate) fn preload(path: &Path, trace: &Path) {
    let trace = format!("-DTRACE=\"{}\"", trace.display());
    compile(Path::new("cc"), "preload.c", &["-shared", "-fPIC", &trace], path);
}

/// The driver files of a recorded host, all of which lie below a directory of this machine: libraries as real ones that
/// say their own file's name, the rest as lines of text.
pub(crate) fn driver(dir: &Path) -> Value {
    let record = include_str!("../../../examples/topologies/t4-1x-cloud.json");
    let record: Value = serde_json::from_str(record).expect("a recorded host is JSON");
    let mut files = record["driverFiles"].clone();
    for file in files.as_array_mut().expect("a list") {
        let place = |path: &Value| dir.join(path.as_str().expect("a path").trim_start_matches('/'));
        let path = place(&file["path"]);
        fs::create_dir_all(path.parent().expect("it has one")).expect("the directory is ours");
        let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
        match file["kind"].as_str().expect("a kind") {
            "library" => library(&path, file["soname"].as_str().unwrap_or(&name), &name),
            _ => fs::write(&path, format!("made {name}\n")).expect("the directory is ours"),
        }
        let links = file["links"].as_array().cloned().unwrap_or_default();
        file["links"] = links.iter().map(|link| Value::from(place(link).display().to_string())).collect();
        file["path"] = path.display().to_string().into();
    }
    files
}

/// What the opener printed: for each name what it got, the library's own word or the loader's.
pub(crate) fn opened(printed: &str) -> BTreeMap<String, String> {
    assert!(printed.ends_with("end\n"), "the opener did not come to its end:\n{printed}");
    let pairs = printed.lines().filter_map(|line| line.split_once('|'));
    pairs.map(|(name, got)| (name.to_owned(), got.to_owned())).collect()
}

fn merge_usr(rootfs: &Path) {
    for name in ["bin", "lib", "lib64", "sbin"] {
        let (own, below) = (rootfs.join(name), rootfs.join("usr").join(name));
        fs::create_dir_all(&below).expect("the bundle is ours");
        for entry in fs::read_dir(&own).into_iter().flatten() {
            let path = entry.expect("the bundle is ours").path();
            fs::rename(&path, below.join(path.file_name().expect("it has one"))).expect("the bundle is ours");
        }
        let _ = fs::remove_dir(&own);
        symlink(format!("usr/{name}"), own).expect("the bundle is ours");
    }
}

/// The files of the packages as archives, fetched once.
fn packages() -> &'static [Vec<u8>] {
    static PACKAGES_HERE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PACKAGES_HERE.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("cargo's directory for tests is ours");
        run(Command::new("apt-get").args(["download", "-qq"]).args(PACKAGES).current_dir(&dir));
        let found = fs::read_dir(&dir).expect("cargo's directory for tests is ours");
        let found: Vec<PathBuf> = found.map(|entry| entry.expect("it can be read").path()).collect();
        assert_eq!(found.len(), PACKAGES.len(), "`apt-get download` fetched {found:?}");
        let archive = |package| run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(package));
        let archives = found.iter().map(archive).collect();
        fs::remove_dir_all(dir).expect("cargo's directory for tests is ours");
        archives
    })
}

fn library(path: &Path, soname: &str, made_by: &str) {
    let (soname, made_by) = (format!("-Wl,-soname,{soname}"), format!("-DMADE_BY=\"{made_by}\""));
    compile(Path::new("cc"), "library.c", &["-shared", "-fPIC", "-nostdlib", &soname, &made_by], path);
}

fn compile(compiler: &Path, source: &str, flags: &[&str], output: &Path) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runtimes").join(source);
    run(Command::new(compiler).arg("-O1").arg(source).args(flags).arg("-o").arg(output));
}

/// What a program printed that must succeed.
fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {said}", output.status);
    output.stdout
}
