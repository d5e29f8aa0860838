//! `spec.auth`: who may subscribe, and who may publish.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    broker::SecretKey,
    units::{Duration, seconds},
};

/// Who may subscribe, and who may publish.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// Subscribers must show a JSON Web Token (RFC 7519). Without it, whoever reaches the stream may subscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,

    /// What publishers must show. Default in a cluster: the token in the Secret `NAME-publish`, which the operator
    /// makes. `sse-node serve` on a laptop lets anyone publish unless it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

/// What publishers must show. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.tokenSecretRef) != has(self.jwt)").message("auth.publish needs exactly one of tokenSecretRef and jwt"))]
pub struct Publish {
    /// The Secret that holds the token of `Authorization: Bearer TOKEN`: one, or several on lines of their own, of
    /// which each will do, so that one can be changed for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret_ref: Option<SecretKey>,

    /// A JSON Web Token, whose `topicsClaim` lists the topics that it may publish to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// Which JSON Web Tokens are good.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.keys.all(k, !has(k.secretRef)) || self.algorithms.all(a, a.startsWith('HS'))").message("keys with a secretRef are shared secrets, for HS256, HS384 and HS512 only: a public key taken for a shared secret would let anyone sign"),
    validation = Rule::new("self.keys.all(k, has(k.secretRef)) || self.algorithms.all(a, !a.startsWith('HS'))").message("HS256, HS384 and HS512 need keys with a secretRef; publicKeyRef and jwks are for RS, PS, ES and EdDSA")
)]
pub struct Jwt {
    /// The keys that tokens may be signed with. Several at once let one be changed for another: add the new one, and
    /// take the old one out when its tokens are over. Streams that a removed key let in are ended.
    #[schemars(length(min = 1, max = 16))]
    pub keys: Vec<Key>,

    /// The signature algorithms that are accepted, whatever a token's own head says.
    #[schemars(length(min = 1, max = 8))]
    pub algorithms: Vec<Algorithm>,

    /// What `iss` must be. Default: anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub issuer: Option<String>,

    /// What `aud` must be, or hold. Default: a token that is meant for an audience is refused, as it is not meant for
    /// this stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2000))]
    pub audience: Option<String>,

    /// How far clocks may differ when `exp` and `nbf` are compared. A Go duration. Default 10s.
    #[serde(default = "default_leeway")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('0s') && duration(self) <= duration('5m')").message("leeway must be from 0s to 5m"))]
    pub leeway: Duration,

    /// The time claims that a token must have. Those that it has are always checked. Default: exp.
    #[serde(default = "default_required_claims")]
    #[schemars(length(max = 2))]
    pub required_claims: Vec<TimeClaim>,

    /// Where a token is looked for; the first place that has one counts. Default: the header Authorization (after
    /// `Bearer `), then the query parameter token.
    #[serde(default = "default_token_sources")]
    #[schemars(length(min = 1, max = 8))]
    pub token_sources: Vec<TokenSource>,

    /// The claim that lists the topics which a token grants: a list, or a string of words; each a topic, `prefix*`,
    /// or `*` for all. A token without it is granted none. Empty: every good token is granted all topics.
    /// Default topics.
    #[serde(default = "default_topics_claim")]
    #[schemars(length(max = 200))]
    pub topics_claim: String,
}

/// One key, or the keys at a URL. Exactly one of secretRef, publicKeyRef and jwks.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.secretRef), has(self.publicKeyRef), has(self.jwks)].filter(x, x).size() == 1").message("each of auth's keys needs exactly one of secretRef, publicKeyRef and jwks"),
    validation = Rule::new("!has(self.kid) || !has(self.jwks)").message("a jwks has its own kids: leave kid out")
)]
pub struct Key {
    /// Only for tokens with this `kid`. Default: for any token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub kid: Option<String>,

    /// The Secret that holds a shared secret, its bytes as they are, for HS256, HS384 and HS512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKey>,

    /// The Secret that holds a public key, PEM: SubjectPublicKeyInfo, or a certificate's public key by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_ref: Option<SecretKey>,

    /// A JSON Web Key Set (RFC 7517), fetched by each node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Jwks>,
}

/// A JSON Web Key Set, fetched by each node.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.url.startsWith('https://') || (has(self.allowHttp) && self.allowHttp)").message("jwks.url must begin with https://: whoever can change an answer on its way could sign tokens; allowHttp: true says that you know"))]
pub struct Jwks {
    /// Where the key set is.
    #[schemars(length(max = 2000))]
    #[x_kube(validation = Rule::new("isURL(self) && self.matches('^https?://[^@]+$')").message("jwks.url must be a URL such as https://login.example.com/.well-known/jwks.json, without a user name"))]
    pub url: String,

    /// The Secret that holds the certificate authority of the server, PEM. Default: the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKey>,

    /// Lets `url` begin with `http://`. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_http: bool,
}

/// A signature algorithm, RFC 7518 3.1 and RFC 8037.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "they are the names of the RFCs")]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// A claim of RFC 7519 4.1 that bounds a token in time.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub enum TimeClaim {
    /// When the token is over.
    Exp,
    /// When the token begins to be good.
    Nbf,
}

/// A place where a token may be. Exactly one of its members.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.header), has(self.query), has(self.cookie)].filter(x, x).size() == 1").message("each of tokenSources needs exactly one of header, query and cookie"))]
pub struct TokenSource {
    /// A header field. Of Authorization, what stands after `Bearer `; of another, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')").message("the header of a token source must be a header field's name, for example Authorization"))]
    pub header: Option<String>,

    /// A query parameter. It ends up in the logs of proxies: prefer another where clients can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')").message("the query of a token source must be a parameter's name, for example token"))]
    pub query: Option<String>,

    /// A cookie. Browsers send it with every request, from any page: set cors.allowedOrigins, and SameSite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_-]+$')").message("the cookie of a token source must be a cookie's name, for example session"))]
    pub cookie: Option<String>,
}

fn default_leeway() -> Duration {
    seconds(10)
}

fn default_required_claims() -> Vec<TimeClaim> {
    vec![TimeClaim::Exp]
}

fn default_token_sources() -> Vec<TokenSource> {
    let header = TokenSource { header: Some("Authorization".into()), ..TokenSource::default() };
    let query = TokenSource { query: Some("token".into()), ..TokenSource::default() };
    vec![header, query]
}

fn default_topics_claim() -> String {
    "topics".into()
}

impl Jwt {
    /// The keys of Secrets that it refers to, each with the field that does.
    fn secret_refs(&self) -> impl Iterator<Item = (String, &SecretKey)> {
        self.keys.iter().enumerate().flat_map(|(i, key)| {
            let ca = key.jwks.as_ref().and_then(|jwks| jwks.ca_secret_ref.as_ref());
            let refs = [("secretRef", &key.secret_ref), ("publicKeyRef", &key.public_key_ref)];
            let refs = refs.into_iter().filter_map(|(field, secret)| Some((field, secret.as_ref()?)));
            refs.chain(ca.map(|ca| ("jwks.caSecretRef", ca)))
                .map(move |(field, secret)| (format!("keys[{i}].{field}"), secret))
        })
    }
}

impl Auth {
    /// The keys of Secrets that it refers to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretKey> {
        self.secret_refs().map(|(_, secret)| secret)
    }

    /// The same, each with the field that refers to it, below `spec`.
    pub fn secret_refs(&self) -> impl Iterator<Item = (String, &SecretKey)> {
        let publish = self.publish.as_ref();
        let token = publish.and_then(|publish| publish.token_secret_ref.as_ref());
        let jwts =
            [("auth.jwt", self.jwt.as_ref()), ("auth.publish.jwt", publish.and_then(|publish| publish.jwt.as_ref()))];
        jwts.into_iter()
            .filter_map(|(at, jwt)| Some((at, jwt?)))
            .flat_map(|(at, jwt)| jwt.secret_refs().map(move |(field, secret)| (format!("{at}.{field}"), secret)))
            .chain(token.map(|token| ("auth.publish.tokenSecretRef".to_owned(), token)))
    }
}
