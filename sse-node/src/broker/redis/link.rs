//! One connection, shared by all who send commands that answer at once: made when needed, with the credentials of
//! that moment, and forgotten when it fails.

use std::time::Duration;

use ssefleet_crds::part::Part;
use tokio::sync::Mutex;

use super::{connection::Connection, primary::Route};
use crate::broker::{BrokerError, Trouble};

/// One connection, shared.
pub struct Shared {
    route: Route,
    answer_within: Duration,
    /// The connection and how many there were before it.
    current: Mutex<(u64, Option<Connection>)>,
}

impl Shared {
    pub fn new(route: Route, answer_within: Duration) -> Self {
        Self { route, answer_within, current: Mutex::new((0, None)) }
    }

    /// The connection and its number. A new one is greeted before anyone else gets it.
    pub async fn get(
        &self,
        greet: impl AsyncFnOnce(&mut Connection) -> Result<(), BrokerError>,
    ) -> Result<(u64, Connection), BrokerError> {
        // Whoever comes while one connects waits for the same connection.
        let mut current = self.current.lock().await;
        if let (number, Some(connection)) = &*current {
            return Ok((*number, connection.clone()));
        }
        let mut connection = self.route.connect(self.answer_within).await?;
        greet(&mut connection).await.map_err(unready)?;
        current.0 += 1;
        current.1 = Some(connection.clone());
        Ok((current.0, connection))
    }

    /// Forgets it after an error that another connection may not have.
    pub fn forget_if(&self, error: &BrokerError, number: u64) {
        if error.is_of_the_connection() {
            self.forget(number);
        }
    }

    /// Makes the next one connect anew.
    fn forget(&self, number: u64) {
        // Held only while another connects, who then replaces what is to be forgotten.
        if let Ok(mut current) = self.current.try_lock()
            && current.0 == number
        {
            current.1 = None;
        }
    }
}

/// An error of a connection that never came about: nothing was sent on it.
fn unready(error: BrokerError) -> BrokerError {
    match error {
        BrokerError::Away(error) => BrokerError::Unready(Trouble::new(Part::Tcp, error.to_string())),
        other => other,
    }
}
