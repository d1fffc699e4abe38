//! CUDA's libraries of a newer driver, in a directory that discovery is told of. They are real libraries, with the note that
//! NVIDIA's have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gpupol::topology::discover::{self, Options};
use gpupol::topology::{CudaCompat, Fact, Topology};

use crate::simulation::Simulation;
use crate::{recorded, tree};

const DIRECTORY: &str = "/usr/local/cuda-13.1/compat";
const VERSION: &str = "590.44.01";
const NOTE: &str = r#"{"Format":1,"CUDA Version":"13.1","Driver":[570,535,550],"Device":[1,2,7]}"#;

/// A recorded host that has the directory.
fn host(name: &str) -> Simulation {
    let host = Simulation::of(name, &recorded("t4-1x-cloud"));
    fs::create_dir_all(host.root().join(DIRECTORY.trim_start_matches('/'))).unwrap();
    host
}

fn at(host: &Simulation, name: &str) -> PathBuf {
    host.root().join(DIRECTORY.trim_start_matches('/')).join(name)
}

/// A library with that soname, and the note if there is one.
fn library(path: &Path, soname: &str, note: Option<&str>) {
    let text = note.map(|note| {
        let note = note.replace('"', "\\\"");
        format!(
            ".section .note.cuda.fwd_compatibility,\"a\",@note\n.balign 4\n.long 2f-1f\n.long 4f-3f\n.long 1\n\
             1: .asciz \"NVIDIA Corporation\"\n2: .balign 4\n3: .asciz \"{note}\"\n4: .balign 4\n"
        )
    });
    let source = path.with_extension("s");
    fs::write(&source, text.unwrap_or_default()).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-nostdlib"])
        .arg(format!("-Wl,-soname,{soname}"))
        .arg(&source)
        .arg("-o")
        .arg(path)
        .status()
        .unwrap();
    assert!(built.success());
    fs::remove_file(source).unwrap();
}

fn libraries(host: &Simulation, note: Option<&str>) {
    for (name, number) in
        [("libcuda", 1), ("libcudadebugger", 1), ("libnvidia-ptxjitcompiler", 1), ("libnvidia-nvvm", 4)]
    {
        let file = format!("{name}.so.{VERSION}");
        let soname = format!("{name}.so.{number}");
        library(&at(host, &file), &soname, note);
        std::os::unix::fs::symlink(&file, at(host, &soname)).unwrap();
    }
    // What is not for CUDA, of another version, or no library.
    library(&at(host, &format!("libnvidia-ml.so.{VERSION}")), "libnvidia-ml.so.1", None);
    library(&at(host, "libnvidia-ptxjitcompiler.so.580.65.06"), "libnvidia-ptxjitcompiler.so.1", None);
    tree::file(&host.root(), &format!("{DIRECTORY}/libnvidia-tileiras.so.{VERSION}"), "no library");
}

fn found(host: &Simulation) -> Result<Topology, discover::DiscoverError> {
    discover::discover(&Options { cuda_compat: Some(DIRECTORY.into()), ..host.options() })
}

#[test]
fn the_libraries_of_the_directory_are_recorded_with_what_they_say() {
    let host = host("compat");
    libraries(&host, Some(NOTE));
    let found = found(&host).unwrap();
    let compat = found.cuda_compat.as_ref().unwrap();
    let CudaCompat { version, cuda, branches, files } = compat;
    assert_eq!((version.as_str(), cuda), (VERSION, &Fact::Known("13.1".to_owned())));
    assert_eq!(branches, &Fact::Known(vec![535, 550, 570]));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|file| (file.path.rsplit('/').next().unwrap(), file.soname.as_deref().unwrap()))
        .collect();
    assert_eq!(
        files,
        [
            ("libcuda.so.590.44.01", "libcuda.so.1"),
            ("libcudadebugger.so.590.44.01", "libcudadebugger.so.1"),
            ("libnvidia-nvvm.so.590.44.01", "libnvidia-nvvm.so.4"),
            ("libnvidia-ptxjitcompiler.so.590.44.01", "libnvidia-ptxjitcompiler.so.1"),
        ]
    );
    assert_eq!(compat.obstacle(&found), None);
}

#[test]
fn without_the_note_nothing_is_known_of_older_drivers() {
    let host = host("compat-without-note");
    libraries(&host, None);
    let compat = found(&host).unwrap().cuda_compat.unwrap();
    assert_eq!((compat.cuda, compat.branches), (Fact::Absent, Fact::Absent));
}

#[test]
fn a_directory_without_them_is_an_error() {
    let host = host("compat-empty");
    let said = found(&host).unwrap_err().to_string();
    assert!(said.contains(DIRECTORY) && said.contains("libcuda.so.VERSION"), "{said}");
    libraries(&host, Some(NOTE));
    library(&at(&host, "libcuda.so.580.65.06"), "libcuda.so.1", None);
    let said = found(&host).unwrap_err().to_string();
    assert!(said.contains("several versions"), "{said}");
    let options = Options { cuda_compat: Some("cuda/compat".into()), ..host.options() };
    let said = discover::discover(&options).unwrap_err().to_string();
    assert!(said.contains("no absolute path"), "{said}");
}

#[test]
fn a_note_that_is_torn_permits_nothing() {
    for (number, note) in ["", "{", "{}", "[1]", r#"{"Driver":"all"}"#].into_iter().enumerate() {
        let host = host(&format!("compat-torn-{number}"));
        libraries(&host, Some(note));
        let topology = found(&host).unwrap();
        let compat = topology.cuda_compat.as_ref().unwrap();
        let damaged = || "its note of older drivers is damaged".to_owned();
        assert_eq!((&compat.cuda, &compat.branches), (&Fact::Unknown(damaged()), &Fact::Unknown(damaged())));
        assert!(compat.obstacle(&topology).is_some_and(|why| why.contains("unknown")), "{note}");
    }
}
