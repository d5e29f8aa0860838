//! How the API shows itself to Kubernetes' API server: by certificates of an authority of its own. The authority is
//! made once, by whichever replica is first, and kept in a Secret of the operator's namespace; its certificate is the
//! `caBundle` of the APIServices. Certificates are made from it by each replica for itself, last a month and are renewed
//! all the time, in memory: so nothing needs to be rotated in step.
//!
//! The operator does this and not the chart, as Helm would make a new key whenever it cannot look at the cluster, as in
//! `helm template` and with most GitOps tools, and keep a copy of it in the release.

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    jiff::{Span, Timestamp, ToSpan, civil::Date, tz::TimeZone},
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use super::{Error, Place, api::VERSIONS, front_proxy::Identity};
use crate::NAME;

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
const SUBJECT: &str = "ssefleet custom metrics";
const YEARS: i16 = 10;

/// Signs the API's certificates.
pub struct Authority {
    /// PEM.
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The one in the Secret; the first who finds none makes it.
    pub async fn kept(client: &Client, place: &Place) -> Result<Self, Error> {
        let api = Api::<Secret>::namespaced(client.clone(), &place.namespace);
        let name = &place.service;
        let failed =
            |verb| move |source| Error::Kube { verb, what: format!("the Secret {name}"), source: Box::new(source) };
        if let Some(secret) = api.get_opt(name).await.map_err(failed("read"))? {
            return Self::of(name, &secret);
        }
        let made = Self::secret(name)?;
        let params = PostParams { field_manager: Some(NAME.into()), ..Default::default() };
        match api.create(&params, &made).await {
            Ok(kept) => Self::of(name, &kept),
            // Another replica was first.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Self::of(name, &api.get(name).await.map_err(failed("read"))?)
            }
            Err(source) => Err(failed("create")(source)),
        }
    }

    fn of(name: &str, secret: &Secret) -> Result<Self, Error> {
        let data = secret.data.as_ref();
        let text = |key| data.and_then(|data| data.get(key)).and_then(|value| String::from_utf8(value.0.clone()).ok());
        let bad = || Error::BadSecret(name.to_owned());
        let key = KeyPair::from_pem(&text(KEY).ok_or_else(bad)?).map_err(|_| bad())?;
        Ok(Self { certificate: text(CERTIFICATE).ok_or_else(bad)?, issuer: Issuer::new(params()?, key) })
    }

    /// A new one.
    fn secret(name: &str) -> Result<Secret, Error> {
        let key = KeyPair::generate()?;
        let certificate = params()?.self_signed(&key)?.pem();
        let mut secret = Secret { type_: Some("Opaque".into()), ..Default::default() };
        secret.metadata.name = Some(name.into());
        let data = [(CERTIFICATE, certificate), (KEY, key.serialize_pem())];
        secret.data = Some(data.map(|(name, text)| (name.to_owned(), ByteString(text.into_bytes()))).into());
        Ok(secret)
    }

    /// A certificate for the Service's name.
    pub fn issue(&self, service: &str, namespace: &str) -> Result<Identity, Error> {
        let names = vec![format!("{service}.{namespace}.svc")];
        self.sign(names, service, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's, as the front proxy has one.
    #[cfg(test)]
    pub fn issue_client(&self, name: &str) -> Result<Identity, Error> {
        self.sign(Vec::new(), name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, names: Vec<String>, common: &str, usage: ExtendedKeyUsagePurpose) -> Result<Identity, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(common);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        lasts(&mut params, 30.days());
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            chain: vec![CertificateDer::from(certificate.der().to_vec())],
            key: PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
        })
    }

    /// Tells Kubernetes' API server which authority to believe. Writes only what differs.
    pub async fn announce(&self, client: &Client) -> Result<(), Error> {
        let api = Api::<APIService>::all(client.clone());
        let bundle = ByteString(self.certificate.clone().into_bytes());
        for version in VERSIONS {
            let name = format!("{version}.{}", super::api::GROUP);
            let failed =
                |verb, source| Error::Kube { verb, what: format!("the APIService {name}"), source: Box::new(source) };
            let found = api.get(&name).await.map_err(|source| failed("read", source))?;
            if found.spec.and_then(|spec| spec.ca_bundle).as_ref() != Some(&bundle) {
                let patch = Patch::Merge(json!({"spec": {"caBundle": bundle}}));
                let params = PatchParams { field_manager: Some(NAME.into()), ..Default::default() };
                api.patch(&name, &params, &patch).await.map_err(|source| failed("patch", source))?;
            }
        }
        Ok(())
    }
}

/// Of the authority itself. Those of an issuer need only be the same in name.
fn params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = name(SUBJECT);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    lasts(&mut params, YEARS.years());
    Ok(params)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// From yesterday on, as clocks differ.
fn lasts(params: &mut CertificateParams, long: Span) {
    let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
    let day = |date: Date| date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs());
    params.not_before = day(today.saturating_sub(1.day()));
    params.not_after = day(today.saturating_add(long));
}

#[cfg(test)]
pub(super) fn made() -> (Authority, String) {
    let authority = Authority::of("test", &Authority::secret("test").unwrap()).unwrap();
    let certificate = authority.certificate.clone();
    (authority, certificate)
}
