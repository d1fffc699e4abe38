//! What gpupol says of a computer with an engine, before anybody starts a container.

use serde_json::Value;

use crate::view::View;

/// The doctor has nothing to say of an engine that is installed.
pub(crate) fn sound(view: &View, engine: &str) {
    assert_eq!(findings(view, engine), Vec::<String>::new(), "{engine}");
}

/// The doctor finds what is missing, before any container fails to start, and ends with an error.
pub(crate) fn unsound(view: &View, engine: &str, missing: &str) {
    let found = findings(view, engine);
    assert!(found.iter().any(|message| message.contains(missing)), "{missing}: {found:?}");
    view.sh("! gpupol doctor > /dev/null 2>&1");
}

/// The doctor finds it, and it is no error: the guard contains what comes by it.
pub(crate) fn unsound_but_guarded(view: &View, engine: &str, beside: &str) {
    let found = findings(view, engine);
    assert!(found.len() == 1 && found[0].contains(beside), "{beside}: {found:?}");
}

/// Its findings, but for other engines of this host, and for its GPUs, which have no driver.
fn findings(view: &View, engine: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&view.sh("gpupol doctor --format json 2> /dev/null || true"))
        .expect("it is JSON");
    let found = document["findings"].as_array().expect("there is a list of them").iter();
    let found = found.map(|finding| {
        let text = |field: &str| finding[field].as_str().expect("it is text").to_owned();
        (text("code"), text("message"))
    });
    let is_others = |code: &str, message: &str| code == "GP9045" && !message.starts_with(engine);
    let found = found.filter(|(code, message)| code != "GP9062" && !is_others(code, message));
    found.map(|(_, message)| message).collect()
}

/// It is not taken out while a container runs that needs it to be stopped.
pub(crate) fn stays_installed(view: &View, engine: &str) {
    let said = view.sh(&format!("gpupol uninstall {engine} 2>&1 && exit 1 || true"));
    assert!(said.contains(&format!("came through `/usr/local/sbin/gpupol-runtime.{engine}`")), "{said}");
}
