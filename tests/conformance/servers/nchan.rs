//! Nchan, a module of nginx: a server of streams that others have written.

use std::{net::SocketAddr, path::Path};

use super::nginx;
use crate::processes::{Process, free_address};

pub struct Nchan {
    pub address: SocketAddr,
    _process: Process,
}

const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

impl Nchan {
    pub async fn start() -> Self {
        assert!(Path::new(MODULE).exists(), "there is no Nchan here; run tests/prerequisites nginx nchan");
        let address = free_address();
        // As able as it can be: with a history, heartbeats, and a page that may read.
        let server = format!(
            "server {{
               listen {address};
               location = /events {{
                 nchan_subscriber eventsource;
                 nchan_channel_id stream;
                 nchan_subscriber_first_message newest;
                 nchan_eventsource_ping_interval 1;
                 nchan_access_control_allow_origin https://app.example.com;
                 nchan_access_control_allow_credentials on;
               }}
               location = /publish {{
                 nchan_publisher;
                 nchan_channel_id stream;
                 nchan_message_buffer_length 1000;
                 nchan_message_timeout 1h;
               }}
             }}"
        );
        let process = nginx::start("Nchan", address, &format!("load_module {MODULE};\n"), &server).await;
        Self { address, _process: process }
    }
}
