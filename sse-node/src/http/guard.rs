//! Who may end streams, or look at who reads what: whoever shows the token of the stream's admin Secret, as the operator
//! does, and who is on this machine, which in a pod is who came by `kubectl port-forward`. Probes and figures are for all.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hyper::{Request, StatusCode, header};
use ssefleet_crds::names;

use super::respond::{self, Response};
use crate::auth::{self, Tokens};

/// What whoever reaches the port may ask.
const OPEN: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/stats"];

/// Lets in, or refuses.
pub struct Guard {
    /// The file of the token. It need not be there: then only this machine is let in.
    token: PathBuf,
    /// The Secret that it is from.
    secret: String,
}

impl Guard {
    pub fn new(stream: &str, secrets: &Path) -> Self {
        let secret = names::admin_token(stream);
        Self { token: auth::secret_file(secrets, &secret), secret: secret.name }
    }

    /// The answer to who is refused.
    pub fn check<B>(&self, request: &Request<B>, peer: SocketAddr) -> Result<(), Box<Response>> {
        if OPEN.contains(&request.uri().path()) || self.has_token(request) {
            return Ok(());
        }
        // Some page in a browser on this machine.
        if ["origin", "sec-fetch-site"].iter().any(|name| request.headers().contains_key(*name)) {
            return Err(respond::problem(StatusCode::FORBIDDEN, "this is not for web pages").into());
        }
        if peer.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let why = format!(
            "this is answered to this machine, so use kubectl port-forward to the pod; or to who shows the token of the Secret {} as Authorization: Bearer",
            self.secret
        );
        let mut response = respond::problem(StatusCode::UNAUTHORIZED, &why);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        Err(response.into())
    }

    /// The file is read each time, so that a token that was taken out of it is good for nothing from then on.
    fn has_token<B>(&self, request: &Request<B>) -> bool {
        let mut fields = request.headers().get_all(header::AUTHORIZATION).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        let Some((scheme, token)) = field.to_str().ok().and_then(|field| field.split_once(' ')) else { return false };
        scheme.eq_ignore_ascii_case("bearer")
            && auth::read_secret(&self.token)
                .and_then(|content| Tokens::read(&content))
                .is_some_and(|t| t.have(token.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: &str = "192.0.2.1:9";
    const NEAR: &str = "[::ffff:127.0.0.1]:9";

    fn asked(guard: &Guard, peer: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let answer = guard.check(&request.body(()).unwrap(), peer.parse().unwrap());
        answer.err().map_or(200, |refused| refused.status().as_u16())
    }

    #[test]
    fn the_token_opens_to_whoever_shows_it_and_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::new("quotes", folder.path());
        let shows = |token: &str| asked(&guard, FAR, "/drain", &[("authorization", token)]);
        assert_eq!(shows("Bearer "), 401, "there is no token yet");
        std::fs::create_dir(folder.path().join("quotes-admin")).unwrap();
        let file = folder.path().join("quotes-admin/token");
        std::fs::write(&file, "one\ntwo\n").unwrap();
        assert_eq!(
            ["Bearer one", "bearer two", "Bearer three", "Bearer ", "Basic one", "one"].map(shows),
            [200, 200, 401, 401, 401, 401]
        );
        assert_eq!(
            asked(&guard, FAR, "/drain", &[("authorization", "Bearer one"), ("authorization", "Bearer one")]),
            401
        );
        std::fs::write(&file, "two").unwrap();
        assert_eq!(["Bearer one", "Bearer two"].map(shows), [401, 200]);
        std::fs::write(&file, "").unwrap();
        assert_eq!(["Bearer two", "Bearer "].map(shows), [401, 401]);
    }

    #[test]
    fn without_it_this_machine_is_let_in_and_pages_are_not() {
        let guard = Guard::new("quotes", Path::new("no-secrets"));
        assert_eq!(asked(&guard, NEAR, "/connections", &[]), 200);
        assert_eq!(asked(&guard, NEAR, "/connections", &[("origin", "null")]), 403);
        assert_eq!(asked(&guard, FAR, "/connections", &[]), 401);
        for path in OPEN {
            assert_eq!(asked(&guard, FAR, path, &[("origin", "null")]), 200);
        }
        assert_eq!(asked(&guard, FAR, "/something/new", &[]), 401);
    }
}
