//! Secrets as files, NAME/KEY in a folder, looked at each second.
//!
//! What has changed counts once two looks have found the same: an editor that empties a file before it writes it must
//! not end the streams of its key.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use ssefleet_crds::broker::SecretKey;

/// Files and what they hold. None: it can't be read.
pub type Contents = BTreeMap<PathBuf, Option<Arc<[u8]>>>;

/// Where the file of a Secret's key is.
pub fn path(folder: &Path, secret: &SecretKey) -> PathBuf {
    folder.join(&secret.name).join(&secret.key)
}

/// The largest file that is read, in bytes: a Secret has no more.
const MAX: u64 = 1 << 20;

/// What a file holds. None: it can't be read, or is larger than a Secret may be.
pub fn content(path: &Path) -> Option<Arc<[u8]>> {
    let fits = std::fs::metadata(path).ok()?.len() <= MAX;
    fits.then(|| std::fs::read(path).ok().map(Into::into))?
}

/// Reads files.
pub fn read(paths: impl IntoIterator<Item = PathBuf>) -> Contents {
    paths.into_iter().map(|path| (path.clone(), content(&path))).collect()
}

/// What the files held when it was last believed, and what the last look found.
#[derive(Default)]
pub struct Followed {
    believed: Contents,
    found: Contents,
}

impl Followed {
    pub fn new(contents: Contents) -> Self {
        Self { believed: contents.clone(), found: contents }
    }

    pub fn believed(&self) -> &Contents {
        &self.believed
    }

    /// Another look. True if it changes what is believed.
    pub fn look(&mut self, found: Contents) -> bool {
        let settled = found == self.found;
        self.found = found;
        if !settled || self.found == self.believed {
            return false;
        }
        self.believed = self.found.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_was_seen_twice() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let look = || read([file.clone(), folder.path().join("none")]);
        std::fs::write(&file, "old").unwrap();
        let mut followed = Followed::new(look());
        assert_eq!(followed.believed()[&file].as_deref(), Some(&b"old"[..]));
        assert!(!followed.look(look()));
        std::fs::write(&file, "").unwrap();
        assert!(!followed.look(look()), "half written");
        std::fs::write(&file, "new").unwrap();
        assert!(!followed.look(look()));
        assert!(followed.look(look()));
        assert!(!followed.look(look()));
        assert_eq!(followed.believed()[&file].as_deref(), Some(&b"new"[..]));
    }
}
