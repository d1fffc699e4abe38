//! Reading an edit: the fields of all kinds at once, of which each kind takes its own and leaves none.
//!
//! The executor has this code in it, and that of one reader is a fraction of that of one for each kind.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Bind, DeviceNode, Edit, Env, File, Gid, MountOption, Tmpfs};
use crate::capability::Capability;

/// What an edit may have, by its names in a document.
#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Fields {
    kind: String,
    capabilities: Option<BTreeSet<Capability>>,
    compat32: Option<bool>,
    optional: Option<bool>,
    hides: Option<bool>,
    listening: Option<String>,
    host_path: Option<String>,
    container_path: Option<String>,
    major: Option<u32>,
    minor: Option<u32>,
    file_mode: Option<u32>,
    permissions: Option<String>,
    options: Option<BTreeSet<MountOption>>,
    content: Option<String>,
    name: Option<String>,
    value: Option<String>,
    gid: Option<u32>,
}

impl TryFrom<Fields> for Edit {
    type Error = &'static str;

    fn try_from(mut fields: Fields) -> Result<Self, Self::Error> {
        let edit =
            fields.edit().ok_or("an edit of an unknown kind, or one that lacks a field of its kind")?;
        let nothing = fields == Fields::default();
        nothing.then_some(edit).ok_or("an edit with a field that is of another kind")
    }
}

impl Fields {
    /// Takes what an edit of this kind has.
    fn edit(&mut self) -> Option<Edit> {
        let capabilities = self.capabilities.take().unwrap_or_default();
        Some(match core::mem::take(&mut self.kind).as_str() {
            "device-node" => Edit::DeviceNode(DeviceNode {
                capabilities,
                host_path: self.host_path.take()?,
                container_path: self.container_path.take()?,
                major: self.major.take()?,
                minor: self.minor.take()?,
                file_mode: self.file_mode.take()?,
                permissions: self.permissions.take()?,
            }),
            "bind" => Edit::Bind(Bind {
                capabilities,
                compat32: self.compat32.take().unwrap_or_default(),
                optional: self.optional.take().unwrap_or_default(),
                listening: self.listening.take(),
                host_path: self.host_path.take()?,
                container_path: self.container_path.take()?,
                options: self.options.take()?,
            }),
            "tmpfs" => Edit::Tmpfs(Tmpfs {
                capabilities,
                hides: self.hides.take().unwrap_or_default(),
                container_path: self.container_path.take()?,
                file_mode: self.file_mode.take()?,
                options: self.options.take()?,
            }),
            "file" => Edit::File(File {
                capabilities,
                container_path: self.container_path.take()?,
                content: self.content.take()?,
                file_mode: self.file_mode.take()?,
            }),
            "env" => Edit::Env(Env {
                capabilities,
                optional: self.optional.take().unwrap_or_default(),
                name: self.name.take()?,
                value: self.value.take()?,
            }),
            "gid" => Edit::Gid(Gid { capabilities, gid: self.gid.take()? }),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Edit;

    /// An edit of each kind, with everything that it may have.
    fn one_of_each() -> [Value; 6] {
        [
            json!({"kind": "device-node", "capabilities": ["video"], "hostPath": "/a", "containerPath": "/dev/a",
                "major": 1, "minor": 2, "fileMode": 438, "permissions": "rw"}),
            json!({"kind": "bind", "capabilities": ["video"], "compat32": true, "optional": true, "listening": "c",
                "hostPath": "/a", "containerPath": "{libdir}/a", "options": ["ro", "nosuid"]}),
            json!({"kind": "tmpfs", "capabilities": ["video"], "hides": true, "containerPath": "/a", "fileMode": 365,
                "options": ["ro"]}),
            json!({"kind": "file", "capabilities": ["video"], "containerPath": "/a/b", "content": "c",
                "fileMode": 292}),
            json!({"kind": "env", "capabilities": ["video"], "optional": true, "name": "A", "value": "b"}),
            json!({"kind": "gid", "capabilities": ["video"], "gid": 44}),
        ]
    }

    fn read(edit: &Value) -> Result<Edit, String> {
        serde_json::from_value(edit.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_is_read_as_it_is_written() {
        for edit in one_of_each() {
            assert_eq!(serde_json::to_value(read(&edit).unwrap()).unwrap(), edit);
        }
    }

    #[test]
    fn what_is_not_of_its_kind_is_refused() {
        let all = one_of_each();
        let fields = all.iter().flat_map(|edit| edit.as_object().unwrap());
        for (name, value) in fields.filter(|(name, _)| *name != "kind") {
            for edit in &all {
                let mut more = edit.clone();
                let had = more.as_object_mut().unwrap().insert(name.clone(), value.clone()).is_some();
                assert_eq!(read(&more).is_ok(), had, "{name} in {edit}");
            }
        }
        for (at, value) in [("kind", json!("symlink")), ("kind", json!("")), ("uid", json!(0))] {
            let mut edit = all[1].clone();
            edit[at] = value;
            assert!(read(&edit).is_err(), "{edit}");
        }
    }

    #[test]
    fn what_is_missing_is_refused() {
        let may_be_absent = ["capabilities", "compat32", "optional", "listening", "hides"];
        for edit in one_of_each() {
            for name in edit.as_object().unwrap().keys() {
                let mut less = edit.clone();
                less.as_object_mut().unwrap().remove(name);
                assert_eq!(
                    read(&less).is_ok(),
                    may_be_absent.contains(&name.as_str()),
                    "{edit} without {name}"
                );
            }
        }
    }
}
