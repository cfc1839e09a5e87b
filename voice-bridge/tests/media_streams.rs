//! The media streams agent against a real WebSocket server: what it sends, does and survives.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may panic, and says when it skips"
)]

mod line;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use line::{Line, call, level};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use voice_bridge::agent::{
    Agent, AgentError, CallEnd, ClosingCause, ExtensionEntry, Frame, Heard, MediaStreamsConfig,
    TransferFailure, TransferId, TransferNews, TransferRefused, TransferStep, media_streams,
};
use voice_bridge::transcript::Speaker;

/// The far end: a server for one connection.
struct Server {
    socket: WebSocketStream<TcpStream>,
    /// All messages but audio, as they came.
    seen: Vec<Value>,
    audio: Vec<u8>,
}

impl Server {
    async fn send(&mut self, message: Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    /// Reads until a message of this event comes.
    async fn until(&mut self, event: &str) -> Value {
        let waiting = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(text.as_str()).unwrap();
                        let this = message["event"].as_str().unwrap().to_owned();
                        if this == "media" {
                            let payload = message["media"]["payload"].as_str().unwrap();
                            self.audio.extend(BASE64.decode(payload).unwrap());
                        } else {
                            self.seen.push(message.clone());
                        }
                        if this == event {
                            return message;
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("waited for {event}, came {other:?}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap_or_else(|_| panic!("no {event} came"))
    }
}

/// An agent that is connected to a server, on a call.
async fn conversation(exchange: line::Exchange) -> (Line, Server) {
    let (line, server, _) = connection(exchange, |_| {}).await;
    (line, server)
}

async fn connection(
    exchange: line::Exchange,
    configure: impl FnOnce(&mut MediaStreamsConfig),
) -> (Line, Server, Request) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = MediaStreamsConfig::new(format!(
        "ws://{}/stream?token=t0p",
        listener.local_addr().unwrap()
    ));
    configure(&mut config);
    let call = call(&[("101", "Sales"), ("102", "Support")]);
    let mut agent = media_streams(config);
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut asked = None;
        #[allow(clippy::result_large_err, reason = "the shape is the library's")]
        let look = |request: &Request, response: Response| {
            asked = Some(request.clone());
            Ok::<Response, ErrorResponse>(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, look)
            .await
            .unwrap();
        (socket, asked.unwrap())
    };
    let (prepared, (socket, request)) = tokio::join!(agent.prepare(&call), accepting);
    prepared.unwrap();
    let server = Server {
        socket,
        seen: Vec::new(),
        audio: Vec::new(),
    };
    (Line::answering(agent, call, exchange), server, request)
}

fn started(target: &str) -> Result<TransferId, TransferRefused> {
    Ok(TransferId::new(format!("transfer to {target}")))
}

#[tokio::test]
async fn a_stream_opens_with_connected_and_start_and_ends_with_stop() {
    let (line, mut server, request) = connection(started, |config| {
        config.headers = vec![("authorization".to_owned(), "Bearer s3cret".to_owned())];
        config.parameters = [("firstMessage".to_owned(), "Hi".to_owned())].into();
    })
    .await;
    assert_eq!(request.uri().path_and_query().unwrap(), "/stream?token=t0p");
    assert_eq!(request.headers()["authorization"], "Bearer s3cret");

    server.until("start").await;
    assert_eq!(
        server.seen,
        [
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
            json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "stream_01TEST",
                "start": {
                    "streamSid": "stream_01TEST", "accountSid": "", "callSid": "call_01TEST",
                    "tracks": ["inbound"],
                    "mediaFormat": {
                        "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1,
                    },
                    "customParameters": {
                        "from": "+27821234567", "to": "+27872500100", "agentId": "agent_7",
                        "sipCallId": "abc@pbx", "firstMessage": "Hi",
                    },
                    "extensions": [
                        {"extension": "101", "name": "Sales", "owner": "", "aliases": []},
                        {"extension": "102", "name": "Support", "owner": "", "aliases": []},
                    ],
                },
            }),
        ]
    );
    let ended = tokio::spawn(line.end(CallEnd::CallerLeft));
    let stop = server.until("stop").await;
    assert_eq!(stop["stop"]["callSid"], "call_01TEST");
    assert_eq!(stop["stop"]["reason"], "caller_left");
    assert!(matches!(
        server.socket.next().await,
        Some(Ok(Message::Close(_)))
    ));
    while server.socket.next().await.is_some() {}
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_caller_is_heard_and_keys_come_through() {
    let (line, mut server) = conversation(started).await;
    for n in 0..5 {
        line.tell(Heard::Audio(Frame::new(vec![1000 * n; 160], 8000)));
    }
    line.keys("5#");
    server.until("dtmf").await;
    assert_eq!(server.audio.len(), 5 * 160);
    let levels: Vec<i16> = server
        .audio
        .chunks(160)
        .map(|chunk| rtp_media::codec::g711::ulaw_decode(chunk[0]))
        .collect();
    for (n, heard) in (0..5).zip(levels) {
        assert!((1000 * n - heard).abs() < 100, "{n}: {heard}");
    }
    let hash = server.until("dtmf").await;
    assert_eq!(
        hash["dtmf"],
        json!({"track": "inbound_track", "digit": "#"})
    );
    assert_eq!(
        hash["sequenceNumber"], "8",
        "counted over all messages but connected"
    );
    server.socket.close(None).await.unwrap();
    line.agent.await.unwrap().unwrap();
}

/// µ-law of a square wave, in base64.
fn speech(seconds: f64) -> Value {
    let samples = (seconds * 8000.0) as usize;
    let wave: Vec<u8> = (0..samples)
        .map(|n| rtp_media::codec::g711::ulaw_encode(if n % 20 < 10 { 6000 } else { -6000 }))
        .collect();
    json!({"event": "media", "streamSid": "stream_01TEST", "media": {"payload": BASE64.encode(wave)}})
}

#[tokio::test]
async fn what_the_agent_says_is_played_and_its_mark_comes_after_it() {
    let (line, mut server) = conversation(started).await;
    let began = Instant::now();
    // An odd length: no multiple of a frame.
    server.send(speech(0.5137)).await;
    server
        .send(json!({"event": "mark", "streamSid": "x", "mark": {"name": "said"}}))
        .await;
    let mark = server.until("mark").await;
    assert_eq!(mark["mark"], json!({"name": "said"}));
    let took = began.elapsed().as_secs_f32();
    assert!((0.45..3.0).contains(&took), "{took}");
    let happened = line.happened();
    assert_eq!(happened.played.len(), 4109);
    assert!(level(&happened.played) > 5000.0);
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn clear_stops_the_speech_and_gives_the_marks_back() {
    let (line, mut server) = conversation(started).await;
    server.send(speech(30.0)).await;
    server
        .send(json!({"event": "mark", "mark": {"name": "never"}}))
        .await;
    line.until("speech", |h| h.played.len() > 800).await;
    server.send(json!({"event": "clear"})).await;
    let mark = server.until("mark").await;
    assert_eq!(mark["mark"], json!({"name": "never", "cleared": true}));
    let played = line.happened().played.len();
    assert!(played < 8000 * 5, "{played} of 240000 were played");
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn an_agent_far_ahead_of_real_time_loses_nothing_and_can_still_clear() {
    let (line, mut server) = conversation(started).await;
    let sent = Instant::now();
    for _ in 0..30 {
        server.send(speech(10.0)).await;
    }
    server.send(json!({"event": "clear"})).await;
    server.send(speech(0.2)).await;
    server
        .send(json!({"event": "mark", "mark": {"name": "after"}}))
        .await;
    let mark = server.until("mark").await;
    assert_eq!(mark["mark"]["name"], "after");
    assert!(sent.elapsed() < Duration::from_secs(5));
    assert_eq!(line.happened().clears, 1);
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn a_transfer_is_told_from_its_start_to_its_failure_and_to_the_next() {
    let (line, mut server) = conversation(started).await;
    server
        .send(json!({"event": "transfer", "target": "Sales"}))
        .await;
    let id = "transfer to Sales";
    let message = server.until("transfer").await;
    let expected = json!({"id": id, "target": "Sales", "state": "started"});
    assert_eq!(message["transfer"], expected);
    let news = |step| {
        let id = TransferId::new(id);
        line.tell(Heard::Transfer(TransferNews { id, step }));
    };
    news(TransferStep::Progress(180));
    let message = server.until("transfer").await;
    assert_eq!(
        message["transfer"],
        json!({"id": id, "state": "progress", "sipCode": 180})
    );
    news(TransferStep::Failed {
        failure: TransferFailure::Busy,
        code: Some(486),
        reason: "Busy Here".to_owned(),
    });
    let message = server.until("transfer").await;
    assert_eq!(
        message["transfer"],
        json!({"id": id, "state": "failed", "cause": "busy", "sipCode": 486, "reason": "Busy Here"})
    );
    news(TransferStep::Done);
    let message = server.until("transfer").await;
    assert_eq!(message["transfer"], json!({"id": id, "state": "completed"}));
    assert_eq!(line.happened().transfers, ["Sales"]);
    line.end(CallEnd::Transferred).await.unwrap();
}

#[tokio::test]
async fn an_unknown_target_comes_back_with_the_nearest() {
    let (line, mut server) = conversation(|target| {
        Err(TransferRefused::UnknownTarget {
            target: target.to_owned(),
            nearest: vec![ExtensionEntry::new("101", "Sales")],
        })
    })
    .await;
    server
        .send(json!({"event": "transfer", "target": "Sails"}))
        .await;
    let message = server.until("transfer").await;
    assert_eq!(
        message["transfer"],
        json!({
            "target": "Sails", "state": "refused", "cause": "unknown_target",
            "reason": "no extension is called \"Sails\"",
            "nearest": [{"extension": "101", "name": "Sales", "owner": "", "aliases": []}],
        })
    );
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn the_record_gets_what_the_agent_says_of_the_call() {
    let (line, mut server) = conversation(started).await;
    server
        .send(json!({"event": "transcript", "speaker": "caller", "text": "Hi there"}))
        .await;
    server
        .send(
            json!({"event": "tool", "name": "book", "arguments": {"at": "10:00"}, "result": true}),
        )
        .await;
    server
        .send(json!({"event": "message", "text": "call me", "duration_ms": 4000}))
        .await;
    server.send(json!({"event": "dtmf", "digits": "12#"})).await;
    server
        .send(json!({"event": "hangup", "reason": "all done"}))
        .await;
    let happened = line.until("hang-up", |h| h.hung_up.is_some()).await;
    assert_eq!(
        happened.transcript,
        [(Speaker::Caller, "Hi there".to_owned())]
    );
    assert_eq!(happened.tools[0].name, "book");
    assert_eq!(happened.tools[0].arguments, json!({"at": "10:00"}));
    assert_eq!(happened.messages[0].text.as_deref(), Some("call me"));
    assert_eq!(happened.messages[0].duration, Duration::from_secs(4));
    assert_eq!(happened.digits, ["12#"]);
    assert_eq!(happened.hung_up.as_deref(), Some("all done"));
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn the_agent_is_told_before_the_call_is_ended() {
    let (line, mut server) = conversation(started).await;
    line.tell(Heard::Closing {
        why: ClosingCause::MaxDuration,
        message: Some("Goodbye.".to_owned()),
    });
    let message = server.until("closing").await;
    assert_eq!(
        message["closing"],
        json!({"why": "max_duration", "message": "Goodbye."})
    );
    line.end(CallEnd::HungUp).await.unwrap();
}

#[tokio::test]
async fn mistakes_are_pointed_out_and_too_many_end_the_conversation() {
    let (line, mut server) = conversation(started).await;
    server.send(json!({"event": "weather", "sun": true})).await;
    server
        .send(json!({"event": "media", "media": {"payload": "not base64!"}}))
        .await;
    let error = server.until("error").await;
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.starts_with("media.payload: "), "{text}");
    server.send(json!({"event": "dtmf", "digits": "12x"})).await;
    server.until("error").await;
    server
        .send(json!({"event": "mark", "mark": {"name": "m".repeat(300)}}))
        .await;
    server.until("error").await;
    server
        .send(json!({"event": "transcript", "speaker": "god", "text": "let there"}))
        .await;
    server.until("error").await;
    server
        .send(json!({"event": "tool", "name": "t".repeat(70_000)}))
        .await;
    server.until("error").await;
    for _ in 0..20 {
        let _ = server.socket.send(Message::text("{nonsense")).await;
    }
    let error = line.agent.await.unwrap().unwrap_err();
    assert_eq!(error.label(), "protocol");
    assert_eq!(error.blame(), "agent");
}

#[tokio::test]
async fn a_message_without_end_is_refused() {
    let (line, mut server) = conversation(started).await;
    let _ = server.socket.send(Message::text("x".repeat(2 << 20))).await;
    let error = line.agent.await.unwrap().unwrap_err();
    assert_eq!(error.label(), "protocol", "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error() {
    let (line, mut server) = conversation(started).await;
    server.until("start").await;
    drop(server);
    let error = line.agent.await.unwrap().unwrap_err();
    assert_eq!(error.label(), "lost", "{error}");

    let (line, mut server) = conversation(started).await;
    server.until("start").await;
    let frame = CloseFrame {
        code: 1011.into(),
        reason: "model crashed".into(),
    };
    server.socket.close(Some(frame)).await.unwrap();
    let error = line.agent.await.unwrap().unwrap_err();
    assert_eq!(error.label(), "lost");
    assert!(error.to_string().contains("1011 model crashed"), "{error}");
}

#[tokio::test]
async fn an_agent_that_leaves_in_good_order_is_heard_to_the_end() {
    let (line, mut server) = conversation(started).await;
    server.send(speech(1.0)).await;
    server.socket.close(None).await.unwrap();
    let began = Instant::now();
    line.until("all of it", |h| h.played.len() == 8000).await;
    line.agent.await.unwrap().unwrap();
    assert!(began.elapsed() > Duration::from_millis(500), "not cut off");
}

#[tokio::test]
async fn an_agent_that_leaves_during_its_transfer_does_not_undo_it() {
    let (line, mut server) = conversation(started).await;
    server
        .send(json!({"event": "transfer", "target": "101"}))
        .await;
    server.socket.close(None).await.unwrap();
    line.until("the transfer", |h| h.transfers == ["101"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!line.agent.is_finished(), "it waits for the outcome");
    line.tell(Heard::Transfer(TransferNews {
        id: TransferId::new("transfer to 101"),
        step: TransferStep::Failed {
            failure: TransferFailure::NoAnswer,
            code: None,
            reason: "nobody picked up".to_owned(),
        },
    }));
    // The caller is still there and nobody speaks: this brings the fallback.
    let error = line.agent.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("nobody picked up"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_or_says_no_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let call = call(&[]);
    let url = format!("ws://{address}/secret-path?token=t0p");

    // Accepted by the kernel, answered by nobody.
    let mut hanging = media_streams(MediaStreamsConfig::new(&url));
    let error = hanging.prepare(&call).await.unwrap_err();
    assert!(matches!(error, AgentError::Timeout { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "agent did not accept our connection within 5 s"
    );
    drop(listener);

    let mut gone = media_streams(MediaStreamsConfig::new(&url));
    let error = gone.prepare(&call).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("agent at ws://{address} could not be reached")),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_handshake_that_is_refused_is_told_with_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    let error = media_streams(MediaStreamsConfig::new(url))
        .prepare(&call(&[]))
        .await
        .unwrap_err();
    assert_eq!(error.label(), "refused");
    assert!(error.to_string().contains("403 Forbidden"), "{error}");
}

#[test]
fn an_address_that_cannot_work_is_refused_before_any_call() {
    for url in [
        "http://agent.example/",
        "agent.example",
        "ws://",
        "ws:// space/",
        "",
    ] {
        let error = MediaStreamsConfig::new(url).check().unwrap_err();
        assert_eq!(error.label(), "address", "{url}: {error}");
        assert_eq!(error.blame(), "configuration");
    }
    let mut config = MediaStreamsConfig::new("wss://agent.example/path?key=secret");
    config.check().unwrap();
    config.headers = vec![("x-key".to_owned(), "secret\r\n".to_owned())];
    let error = config.check().unwrap_err().to_string();
    assert!(
        error.contains("x-key") && !error.contains("secret"),
        "{error}"
    );
    assert!(!format!("{config:?}").contains("secret"));
}

#[tokio::test]
async fn wss_checks_the_certificate_and_then_speaks() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server_config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server_config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The first client does not trust us and goes away.
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            return socket.next().await.unwrap().unwrap();
        }
    });
    let call = call(&[]);
    let mut distrustful = media_streams(MediaStreamsConfig::new(&url));
    let error = distrustful.prepare(&call).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let trusting = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = MediaStreamsConfig::new(&url);
    config.tls = Some(Arc::new(trusting));
    let mut agent: Box<dyn Agent> = media_streams(config);
    agent.prepare(&call).await.unwrap();
    let line = Line::with(agent, call);
    let first = tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
    assert!(first.to_text().unwrap().contains("connected"));
    drop(line);
}
