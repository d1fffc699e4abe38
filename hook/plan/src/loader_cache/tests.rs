use std::collections::BTreeSet;
use std::process::Command;

use super::*;

fn paths(cache: &[u8]) -> Vec<&str> {
    libraries(cache).map(|library| library.path).collect()
}

const LIBRARIES: [&str; 2] = ["/usr/lib64/libcuda.so.1", "/usr/lib/libcuda.so.1"];

/// The names and paths of [`LIBRARIES`], and where each of both begins, counted from `from`.
fn strings(from: usize) -> (Vec<u8>, Vec<[u32; 2]>) {
    let mut bytes = Vec::new();
    let mut places = Vec::new();
    for path in LIBRARIES {
        let name = u32::try_from(from + bytes.len()).unwrap();
        bytes.extend(b"libcuda.so.1\0");
        places.push([name, u32::try_from(from + bytes.len()).unwrap()]);
        bytes.extend(path.as_bytes());
        bytes.push(0);
    }
    (bytes, places)
}

fn newer() -> Vec<u8> {
    let (strings, places) = strings(48 + 2 * 24);
    let mut cache = b"glibc-ld.so.cache1.1".to_vec();
    let length = u32::try_from(strings.len()).unwrap();
    // How many, the length of the strings, the byte order, where extensions begin, and three words for later.
    cache.extend([2, length, 2, 0, 0, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    for [name, path] in places {
        // Flags, the name, the path, a kernel's version, and 64 bits of hardware capabilities.
        cache.extend([FLAGS_64, name, path, 0, 0, 0].iter().flat_map(|word: &u32| word.to_le_bytes()));
    }
    cache.extend(strings);
    cache
}

fn older(behind: &[u8]) -> Vec<u8> {
    let (strings, places) = strings(0);
    let mut cache = b"ld.so-1.7.0\0".to_vec();
    cache.extend(2_u32.to_le_bytes());
    for [name, path] in places {
        cache.extend([FLAGS_32, name, path].iter().flat_map(|word: &u32| word.to_le_bytes()));
    }
    cache.extend(if behind.is_empty() { &strings } else { behind });
    cache
}

#[test]
fn all_three_forms_are_read() {
    assert_eq!(paths(&newer()), LIBRARIES);
    assert_eq!(paths(&older(&[])), LIBRARIES);
    assert_eq!(paths(&older(&newer())), LIBRARIES);
    let first = |cache: &[u8]| libraries(cache).next().map(|found| (found.name.to_owned(), found.flags));
    assert_eq!(first(&newer()), Some(("libcuda.so.1".to_owned(), FLAGS_64)));
    assert_eq!(first(&older(&[])), Some(("libcuda.so.1".to_owned(), FLAGS_32)));
}

#[test]
fn what_is_torn_or_points_elsewhere_has_fewer_paths_and_no_others() {
    for whole in [newer(), older(&[]), older(&newer())] {
        for end in 0..whole.len() {
            let found = paths(&whole[..end]);
            assert!(found.iter().all(|path| LIBRARIES.contains(path)), "{found:?}");
        }
        for at in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0xff;
            let _ = paths(&wrong);
        }
    }
    assert_eq!(paths(b"glibc-ld.so.cache1.1\xff\xff\xff\xff"), [""; 0]);
    assert_eq!(paths(b"not a cache"), [""; 0]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what is compared lies on this host")]
fn the_cache_of_this_host_is_read_as_its_own_program_reads_it() {
    let printed = Command::new("/sbin/ldconfig").arg("-p").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let expected: BTreeSet<(&str, bool, &str)> = printed.lines().filter_map(printed_library).collect();
    let cache = std::fs::read("/etc/ld.so.cache").unwrap();
    assert!(!expected.is_empty());
    let found = libraries(&cache).map(|found| (found.name, found.flags == FLAGS_64, found.path));
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}

/// A line such as `libc.so.6 (libc6,x86-64) => /lib/x86_64-linux-gnu/libc.so.6`.
fn printed_library(line: &str) -> Option<(&str, bool, &str)> {
    let (library, path) = line.split_once(" => ")?;
    let (name, words) = library.trim().split_once(" (")?;
    Some((name, words.contains("libc6,x86-64") || words.contains("libc6,AArch64"), path))
}

#[test]
fn a_text_that_is_no_path_is_not_searched_to_its_end() {
    let mut cache = newer();
    let path = u32::try_from(cache.len()).unwrap();
    for entry in 0..2 {
        let place = 48 + 24 * entry + 8;
        cache[place..place + 4].copy_from_slice(&path.to_le_bytes());
    }
    cache.extend([b'/'; 4095]);
    cache.push(0);
    assert_eq!(paths(&cache).len(), 2, "as long as a path can be");
    cache.insert(cache.len() - 1, b'/');
    assert!(paths(&cache).is_empty());
}
