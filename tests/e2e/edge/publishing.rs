//! Who may publish: by default whoever has the token that the operator makes; or what the stream says instead.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use ssefleet_crds::names;
use ssefleet_tests::{
    Must, cluster,
    publisher::Shows,
    stream::{REACTION, STARTUP, Stream, condition, is},
    wait,
};

use super::{one_node, token::secret};

#[tokio::test]
async fn publishing_takes_the_token_that_the_operator_makes_and_keeps() {
    let cluster = cluster().await;
    let here = cluster.namespace("publish").await;
    let stream = here.apply(one_node(&json!({}))).await;
    stream.ready().await;

    let told = publish(&stream, Shows::Nothing).await.expect_err("published without a token");
    assert!(told.starts_with("401 "), "{told}");
    let told = publish(&stream, Shows::Token(secret())).await.expect_err("published with a wrong token");
    assert!(told.starts_with("401 "), "{told}");
    publish(&stream, own(&stream)).await.must("publish with the token");

    // A Secret without its key is told, and a deleted one made again, with another token.
    let name = names::publish(&stream.name);
    let before = token(&stream).await;
    here.edit_secret(&name, json!({"data": {"token": null}})).await;
    let incomplete = |stream: &ssefleet_crds::SseStream| {
        condition(stream, "Degraded").is_some_and(|condition| condition.reason == "SecretIncomplete")
    };
    let told = stream.until("its Secret is not whole", STARTUP, incomplete).await;
    let message = &condition(&told, "Degraded").must("read the condition").message;
    assert!(message.contains("has no key token") && message.contains("delete the Secret"), "{message}");
    let secrets = stream.api::<Secret>();
    secrets.delete(&name, &kube::api::DeleteParams::default()).await.must("delete the Secret");
    wait::until(&secrets, &name, "there is a new token", STARTUP, |secret| {
        secret.is_some_and(|secret| secret.data.as_ref().is_some_and(|data| data.contains_key("token")))
    })
    .await;
    assert_ne!(token(&stream).await, before);
    stream.ready().await;
}

#[tokio::test]
async fn a_stream_may_name_the_token_itself_and_then_the_operators_is_gone() {
    let cluster = cluster().await;
    let here = cluster.namespace("own-token").await;
    let mine = secret();
    here.create_secret("mine", &[("tokens", &format!("{}\n{mine}\n", secret()))]).await;
    let stream = here.apply(one_node(&json!({}))).await;
    stream.ready().await;
    stream.edit_spec(json!({"auth": {"publish": {"tokenSecretRef": {"name": "mine", "key": "tokens"}}}})).await;
    stream.ready().await;
    stream.until_pruned::<Secret>(&names::publish(&stream.name)).await;
    stream.nodes(1).await;
    publish(&stream, Shows::Token(mine)).await.must("publish with one of the tokens");
    let told = publish(&stream, Shows::Nothing).await.expect_err("published without a token");
    assert!(told.starts_with("401 "), "{told}");

    stream.edit_spec(json!({"auth": {"publish": {"tokenSecretRef": {"name": "other"}}}})).await;
    let told = stream.until("its Secret is missing", REACTION, |stream| is(stream, "Degraded", "True")).await;
    let message = &condition(&told, "Degraded").must("read the condition").message;
    assert!(message.starts_with("spec.auth.publish.tokenSecretRef: there is no Secret other"), "{message}");
}

fn own(stream: &Stream) -> Shows {
    Shows::TokenOf(names::publish_token(&stream.name))
}

async fn publish(stream: &Stream, shows: Shows) -> Result<Vec<String>, String> {
    let event: Value = json!({"topic": "number", "data": "1"});
    stream.publisher_with(shows).publish(&event).await
}

async fn token(stream: &Stream) -> Vec<u8> {
    let secret = stream.api::<Secret>().get(&names::publish(&stream.name)).await.must("read the token");
    secret.data.and_then(|mut data| data.remove("token")).must("read the token").0
}
