//! What a server wants to see: user and password, from files that may change at any time.

use std::path::PathBuf;

use redis::RedisConnectionInfo;

use crate::broker::BrokerError;

/// A user name and a password. Not shown by anything.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Words {
    username: Option<String>,
    password: Option<String>,
}

impl Words {
    pub fn read(username: Option<&PathBuf>, password: Option<&PathBuf>) -> Result<Self, BrokerError> {
        Ok(Self { username: word(username)?, password: word(password)? })
    }

    pub fn info(&self, db: i64) -> RedisConnectionInfo {
        // The library would tell its name by CLIENT SETINFO, which a user of the nodes' own need not be allowed.
        let mut info = RedisConnectionInfo::default().set_db(db).set_skip_set_lib_name();
        if let Some(username) = &self.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        info
    }
}

fn word(path: Option<&PathBuf>) -> Result<Option<String>, BrokerError> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| BrokerError::Secret { path: path.display().to_string(), error })?;
        Ok(text.trim_end().to_owned())
    };
    path.map(read).transpose()
}
