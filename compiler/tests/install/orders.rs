//! Installing and uninstalling in every order, and broken off anywhere.

use proptest::prelude::*;

use crate::memory::{Memory, configured, wishes};

/// Whatever was there, an installation that is broken off after any of its steps can be undone, and be made after all.
#[test]
fn broken_off_anywhere() {
    for which in [0, 0b1_1111_1111, 0b0_1010_1010] {
        let host = configured(which);
        for (name, wish) in wishes() {
            let engine = wish.word();
            let changes = host.install(None, wish.clone()).unwrap();
            let mut whole = host.clone();
            whole.apply(&changes);
            let back = whole.uninstall(name, engine).unwrap();
            for steps in 0..=changes.len() {
                let mut broken = host.clone();
                broken.apply(&changes[..steps]);
                again(&broken, &whole, name, &wish, &format!("{name}, {steps} steps"));
                undone(&broken, &host, name, engine);
            }
            for steps in 0..=back.len() {
                let mut broken = whole.clone();
                broken.apply(&back[..steps]);
                undone(&broken, &host, name, engine);
            }
        }
    }
}

/// The same of an installation that takes the place of another form, whose files it has not all.
#[test]
fn another_form_broken_off_anywhere() {
    for which in [0, 0b1_1111_1111] {
        let host = configured(which);
        for (name, first) in wishes() {
            let engine = first.word();
            let mut old = host.clone();
            old.apply(&old.install(Some(name), first).unwrap());
            for (_, second) in wishes().into_iter().filter(|(_, second)| second.word() == engine) {
                let Ok(changes) = old.install(Some(name), second.clone()) else { continue };
                for steps in 0..=changes.len() {
                    let mut broken = old.clone();
                    broken.apply(&changes[..steps]);
                    undone(&broken, &host, name, engine);
                    broken.apply(&broken.install(Some(name), second.clone()).unwrap());
                    assert_eq!(
                        broken.install(Some(name), second.clone()).unwrap(),
                        [],
                        "{name}, {steps} steps"
                    );
                    undone(&broken, &host, name, engine);
                }
            }
        }
    }
}

/// Installed after all, it is as if nothing had happened; only that directories are nobody's which it had made before the record.
fn again(broken: &Memory, whole: &Memory, name: &str, wish: &gpupol::installation::engine::Wish, what: &str) {
    let mut host = broken.clone();
    host.apply(&host.install(None, wish.clone()).unwrap());
    let record = format!("/etc/gpupol/installed/{name}.json");
    let (mut found, mut expected) = (host.clone(), whole.clone());
    for host in [&mut found, &mut expected] {
        host.write(&record, "", 0o644);
    }
    assert_eq!(found, expected, "{what}");
    assert_eq!(host.install(None, wish.clone()).unwrap(), [], "{what}");
}

/// Without a record nothing but directories can be there; with one, all of it goes.
fn undone(broken: &Memory, before: &Memory, name: &str, engine: &str) {
    let mut host = broken.clone();
    if host.text(&format!("/etc/gpupol/installed/{name}.json")).is_some() {
        host.apply(&host.uninstall(name, engine).unwrap());
    }
    assert_eq!(host.without_directories(), before.without_directories(), "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Installed in any order, again and again and in other forms; uninstalled in any order: all is as it was.
    #[test]
    fn in_any_order(which in 0_u32..512, on in prop::collection::vec(0_usize..12, 1..8), off in any::<prop::sample::Index>()) {
        let before = configured(which);
        let mut host = before.clone();
        let mut installed: Vec<(&str, &str)> = Vec::new();
        for at in on {
            let (name, wish) = wishes().swap_remove(at);
            let engine = wish.word();
            let changes = host.install(None, wish.clone()).unwrap();
            host.apply(&changes);
            prop_assert_eq!(host.install(None, wish).unwrap(), []);
            installed.retain(|(known, _)| *known != name);
            installed.push((name, engine));
        }
        while !installed.is_empty() {
            let (name, engine) = installed.remove(off.index(installed.len()));
            host.apply(&host.uninstall(name, engine).unwrap());
        }
        prop_assert_eq!(host, before);
    }
}
