//! A server's end and what the next one makes of it.

use std::time::Duration;

use smartalex_server::calls::CallResult;
use smartalex_server::serve::{ServeError, Server};

use crate::calls::closing;
use crate::harness::{Directory, Received, Receiver, Running};

/// Runs `work` in a runtime that is then torn away from under it, as `kill -9` does: no task
/// gets to say anything.
fn and_be_killed<F: Future<Output = ()> + 'static>(work: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work());
        runtime.shutdown_background();
    });
    thread.join().unwrap();
}

#[tokio::test]
async fn a_call_of_a_killed_server_is_failed_and_told_after_the_restart() {
    let (directory, receiver) = (Directory::new(), Receiver::start().await);
    let (config, url) = (directory.config(), receiver.url());
    let (tell, told) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || {
        and_be_killed(move || async move {
            let server = Running::with(config).await;
            server.hook(&url, &["call.failed", "call.ended"]).await;
            let call = server.open_call(None).await;
            call.answered().await.unwrap();
            tell.send((call.id().clone(), server.key.clone())).unwrap();
            // Nothing of it may be dropped in order.
            std::mem::forget((call, server));
        });
    })
    .await
    .unwrap();
    let (id, key) = told.recv().unwrap();
    let mut server = Running::with(directory.config()).await;
    server.key = key;
    let shown = server.get(&format!("/v1/calls/{id}")).await.data();
    assert_eq!(shown["call_status"], "failed");
    let reason = shown["sip"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("the server stopped during the call"),
        "{reason}"
    );
    let listed = server.get("/v1/calls?status=failed").await.json();
    assert_eq!(listed["data"][0]["id"], id.as_str());
    let received = receiver.wait_for(1).await;
    assert_eq!(received[0].event(), "call.failed");
    assert_eq!(received[0].json()["data"]["id"], id.as_str());
    // And not a second time when it starts once more.
    server.server.shutdown().await;
    let server = Running::with(directory.config()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.received().len(), 1);
    server.server.shutdown().await;
}

#[tokio::test]
async fn what_a_killed_server_had_not_delivered_is_delivered_by_the_next() {
    let (directory, receiver) = (Directory::new(), Receiver::start().await);
    // It hangs in the first attempt, with the lease taken, when it is killed.
    receiver.delay(Duration::from_secs(60));
    let (config, url) = (directory.config(), receiver.url());
    let seen = receiver.clone();
    tokio::task::spawn_blocking(move || {
        and_be_killed(move || async move {
            let server = Running::with(config).await;
            server
                .hook(&url, &["call.started", "call.answered", "call.ended"])
                .await;
            let call = server.open_call(None).await;
            call.answered().await.unwrap();
            call.close(closing(CallResult::Completed)).await.unwrap();
            seen.wait_for(1).await;
            std::mem::forget(server);
        });
    })
    .await
    .unwrap();
    receiver.delay(Duration::ZERO);
    let server = Running::with(directory.config()).await;
    let received = receiver.wait_for(4).await;
    let events: Vec<String> = received.iter().map(Received::event).collect();
    let expected = [
        "call.started",
        "call.started",
        "call.answered",
        "call.ended",
    ];
    assert_eq!(events, expected);
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    server.server.shutdown().await;
}

#[tokio::test]
async fn a_drain_waits_for_calls_and_not_longer_than_it_may() {
    let directory = Directory::new();
    let mut config = directory.config();
    config.limits.drain_timeout = Duration::from_secs(30);
    let server = Running::with(config).await;
    let app = server.app().clone();
    let call = server.open_call(None).await;
    let running = tokio::spawn(server.server.run());
    app.drain.begin();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.is_finished());
    call.close(closing(CallResult::Completed)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_stop_ends_the_server_with_calls() {
    let server = Running::start().await;
    let app = server.app().clone();
    let _call = server.open_call(None).await;
    let running = tokio::spawn(server.server.run());
    app.drain.begin();
    app.drain.stop();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_taken_port_and_a_foreign_key_are_named() {
    let directory = Directory::new();
    let server = Running::with(directory.config()).await;
    let mut config = directory.config();
    config.http.listen = server.server.http();
    let error = Server::start(config.clone()).await.unwrap_err();
    assert!(matches!(error, ServeError::Http { .. }));
    let text = error.to_string();
    assert!(text.contains(&config.http.listen.to_string()), "{text}");
    assert!(text.contains("SMARTALEX_HTTP__LISTEN"), "{text}");
    server.server.shutdown().await;
    std::fs::remove_file(&config.secrets.key_file).unwrap();
    let error = Server::start(directory.config()).await.unwrap_err();
    assert!(error.to_string().contains("master key"), "{error}");
}
