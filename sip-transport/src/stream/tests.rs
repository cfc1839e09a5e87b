//! One connection over an in-memory pipe under a paused clock: framing, deadlines, keepalives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sip_core::endpoint::{Flow, Transport};
use sip_core::message::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, timeout};

use super::connection::{Closed, Connection};
use super::{StreamConfig, StreamEvent};
use crate::counters::Counters;
use crate::guard::{GuardConfig, SharedGuard};
use crate::observer::DropReason;
use crate::shared::Shared;

#[tokio::test(start_paused = true)]
async fn a_stream_in_pieces_of_one_byte_gives_whole_messages() {
    let mut wire = Wire::accepted();
    let two = [message("one"), message("two")].concat();
    for byte in two {
        wire.peer.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(wire.hear().await, message("one"));
    assert_eq!(wire.hear().await, message("two"));
}

#[tokio::test(start_paused = true)]
async fn many_messages_in_one_piece_come_out_in_order() {
    let mut wire = Wire::accepted();
    let all: Vec<_> = (0..50).map(|n| message(&n.to_string())).collect();
    wire.peer.write_all(&all.concat()).await.unwrap();
    for one in all {
        assert_eq!(wire.hear().await, one);
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_with_a_pong_between_messages() {
    let mut wire = Wire::accepted();
    wire.send(message("answer"));
    wire.peer.write_all(b"\r\n\r\n").await.unwrap();
    let mut got = vec![0; message("answer").len() + 2];
    wire.peer.read_exact(&mut got).await.unwrap();
    let (first, second) = (message("answer"), b"\r\n".to_vec());
    assert!(got == [first.clone(), second.clone()].concat() || got == [second, first].concat());
    assert_eq!(wire.counters.counts().keepalives, 1);
}

#[tokio::test(start_paused = true)]
async fn who_connects_and_says_nothing_is_shown_out() {
    let wire = Wire::accepted();
    let start = Instant::now();
    let closed = wire.task.await.unwrap();
    assert_eq!(closed.dropped, Some(DropReason::TooSlow));
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_drips_in_must_be_whole_in_time() {
    let mut wire = Wire::accepted();
    wire.peer.write_all(&message("quick")).await.unwrap();
    wire.hear().await;
    let start = Instant::now();
    for byte in message("slow") {
        if wire.peer.write_all(&[byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let closed = wire.task.await.unwrap();
    assert_eq!(closed.dropped, Some(DropReason::TooSlow));
    assert!(
        start.elapsed() < Duration::from_secs(13),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_in_mid_message_is_counted() {
    let mut wire = Wire::accepted();
    wire.peer
        .write_all(b"OPTIONS sip:a SIP/2.0\r\nVia: ")
        .await
        .unwrap();
    drop(wire.peer);
    let closed = wire.task.await.unwrap();
    assert_eq!(closed.dropped, Some(DropReason::Unfinished));
    assert!(
        closed.cause.contains("middle of a message"),
        "{}",
        closed.cause
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_sending_half_closes_is_still_answered() {
    let mut wire = Wire::accepted();
    wire.peer.write_all(&message("last words")).await.unwrap();
    wire.peer.shutdown().await.unwrap();
    assert_eq!(wire.hear().await, message("last words"));
    wire.send(message("answer"));
    let mut got = Vec::new();
    wire.peer.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, message("answer"));
    assert_eq!(wire.task.await.unwrap().dropped, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_sip_is_handed_over_as_broken_and_closed() {
    let mut wire = Wire::accepted();
    let broken = "INVITE sip:a SIP/2.0\r\nCall-ID: x\r\nContent-Length: many\r\n\r\n";
    wire.peer.write_all(broken.as_bytes()).await.unwrap();
    match wire.events.recv().await.unwrap() {
        StreamEvent::Broken { error, .. } => assert_eq!(error.call_id().as_deref(), Some("x")),
        _ => panic!("not the error"),
    }
    assert_eq!(wire.counters.counts().dropped(DropReason::Unframable), 1);
    wire.send(Bytes::from_static(b"SIP/2.0 400 Bad Request\r\n\r\n"));
    let mut got = Vec::new();
    wire.peer.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"SIP/2.0 400 Bad Request\r\n\r\n");
    wire.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_beyond_the_limit_is_not_collected() {
    let mut wire = Wire::accepted();
    let large = "INVITE sip:a SIP/2.0\r\nContent-Length: 10000000\r\n\r\n";
    wire.peer.write_all(large.as_bytes()).await.unwrap();
    assert!(matches!(
        wire.events.recv().await,
        Some(StreamEvent::Broken { .. })
    ));
    assert_eq!(wire.counters.counts().dropped(DropReason::TooLarge), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_over_its_budget_is_slowed_down_and_loses_nothing() {
    let guard = GuardConfig {
        rate: 10,
        burst: 5,
        ..GuardConfig::default()
    };
    let mut wire = Wire::new(StreamConfig::default(), guard, false);
    let all: Vec<_> = (0..25).map(|n| message(&n.to_string())).collect();
    wire.peer.write_all(&all.concat()).await.unwrap();
    let start = Instant::now();
    for one in all {
        assert_eq!(wire.hear().await, one);
    }
    // Five at once, the other twenty at ten per second.
    assert_eq!(start.elapsed().as_millis() / 100, 20);
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_is_busy_holds_the_peer_back_and_loses_nothing() {
    let mut wire = Wire::accepted();
    let all: Vec<_> = (0..500).map(|n| message(&n.to_string())).collect();
    let (sender, expected) = (all.concat(), all.clone());
    let (mut reader, mut writer) = tokio::io::split(wire.peer);
    let writing = tokio::spawn(async move { writer.write_all(&sender).await });
    sleep(Duration::from_secs(60)).await;
    assert!(
        !writing.is_finished(),
        "500 messages fit nowhere on the way"
    );
    for one in expected {
        match wire.events.recv().await.unwrap() {
            StreamEvent::Message { bytes, .. } => assert_eq!(bytes, one),
            _ => panic!("not a message"),
        }
    }
    writing.await.unwrap().unwrap();
    wire.queue.send(message("still open").into()).unwrap();
    let mut got = vec![0; message("still open").len()];
    reader.read_exact(&mut got).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_given_up() {
    let wire = Wire::new(StreamConfig::default(), GuardConfig::default(), true);
    for _ in 0..200 {
        wire.send(message("unread"));
    }
    let closed = wire.task.await.unwrap();
    assert_eq!(closed.dropped, Some(DropReason::NotReading));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_no_longer_counts_against_the_queue() {
    let mut wire = Wire::accepted();
    wire.send(message("one"));
    assert_ne!(wire.queued.load(Ordering::Relaxed), 0);
    let mut got = vec![0; message("one").len()];
    wire.peer.read_exact(&mut got).await.unwrap();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(wire.queued.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_ours_is_kept_alive_and_given_up_when_pongs_stop() {
    let mut wire = Wire::new(StreamConfig::default(), GuardConfig::default(), true);
    let mut ping = [0; 4];
    for _ in 0..3 {
        let start = Instant::now();
        wire.peer.read_exact(&mut ping).await.unwrap();
        assert_eq!((&ping, start.elapsed().as_secs()), (b"\r\n\r\n", 100));
        wire.peer.write_all(b"\r\n").await.unwrap();
    }
    let start = Instant::now();
    let closed = wire.task.await.unwrap();
    assert!(closed.cause.contains("keepalive"), "{}", closed.cause);
    assert_eq!(start.elapsed().as_secs(), 110);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_pings_is_left_alone_until_it_is_idle() {
    let wire = Wire::new(StreamConfig::default(), GuardConfig::default(), true);
    let Wire { mut peer, task, .. } = wire;
    let start = Instant::now();
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).await.map(|_| all)
    });
    let closed = task.await.unwrap();
    assert_eq!(start.elapsed(), StreamConfig::default().idle);
    assert_eq!(closed.dropped, None);
    assert_eq!(reading.await.unwrap().unwrap().len(), 17 * 4);
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_is_never_idle() {
    let mut wire = Wire::accepted();
    for n in 0..5 {
        wire.peer.write_all(&message(&n.to_string())).await.unwrap();
        wire.hear().await;
        advance(Duration::from_secs(29 * 60)).await;
    }
    assert!(!wire.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn dropping_the_queue_closes_after_the_last_write() {
    let wire = Wire::accepted();
    for _ in 0..10 {
        wire.send(message("bye"));
    }
    let Wire {
        mut peer,
        queue,
        task,
        ..
    } = wire;
    drop(queue);
    let mut got = Vec::new();
    peer.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), 10 * message("bye").len());
    assert_eq!(task.await.unwrap().cause, "closed by us");
}

/// A connection and its peer's end.
struct Wire {
    peer: DuplexStream,
    events: mpsc::Receiver<StreamEvent>,
    queue: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
    counters: Arc<Counters>,
    task: JoinHandle<Closed>,
}

impl Wire {
    fn accepted() -> Self {
        Self::new(StreamConfig::default(), GuardConfig::default(), false)
    }

    fn new(streams: StreamConfig, guard: GuardConfig, ours: bool) -> Self {
        let (peer, stream) = tokio::io::duplex(4096);
        let (sender, events) = mpsc::channel(8);
        let (queue, outgoing) = mpsc::unbounded_channel();
        let (queued, counters) = (Arc::new(AtomicUsize::new(0)), Arc::new(Counters::default()));
        let connection = Connection {
            flow: Flow {
                transport: Transport::Tcp,
                local: "192.0.2.1:5060".parse().unwrap(),
                remote: "192.0.2.9:40000".parse().unwrap(),
                connection: 1,
            },
            shared: Arc::new(Shared {
                limits: Limits::default(),
                streams,
                guard: SharedGuard::new(&guard),
                counters: counters.clone(),
                observers: Vec::new(),
            }),
            events: sender,
            queue: outgoing,
            queued: queued.clone(),
            ours,
        };
        Self {
            peer,
            events,
            queue,
            queued,
            counters,
            task: tokio::spawn(connection.run(stream)),
        }
    }

    fn send(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        self.queue.send(bytes).unwrap();
    }

    async fn hear(&mut self) -> Vec<u8> {
        let event = timeout(Duration::from_secs(5), self.events.recv()).await;
        match event.expect("nothing came").expect("connection ended") {
            StreamEvent::Message { bytes, .. } => bytes.to_vec(),
            _ => panic!("not a message"),
        }
    }
}

fn message(body: &str) -> Vec<u8> {
    format!(
        "MESSAGE sip:a SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
