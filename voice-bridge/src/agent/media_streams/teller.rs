//! Tells the agent's server what happens in the call: audio, keys, marks, transfers, the end.
//! A server that does not read holds nobody up for long: then it counts as lost.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rtp_media::codec::Codec;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::MediaStreamsConfig;
use super::connect::Socket;
use super::converse::{Note, lost};
use super::wire::{
    Closing, Complaint, Envelope, Extension, HeardDigit, HeardMark, HeardMedia, MediaFormat, Sent,
    Start, Stop, TransferState,
};
use crate::agent::{
    AgentError, CallEnd, CallInfo, Ears, Frame, Heard, Mouth, TransferId, TransferNews,
    TransferRefused, TransferStep,
};
use crate::speech::{RATE, resample};

/// How often the far end is pinged.
const PING: Duration = Duration::from_secs(15);
/// How long one message to the far end may wait for it to read.
const WRITE: Duration = Duration::from_secs(10);
/// How long the farewell may take.
const CLOSE: Duration = Duration::from_millis(1500);
/// The mark behind the last words of an agent that has left.
const LAST_WORDS: &str = "smartalex: last words";

/// Tells the agent what happens in the call.
pub struct Teller {
    sink: SplitSink<Socket, Message>,
    ears: Ears,
    noted: mpsc::Receiver<Note>,
    stream_sid: String,
    sequence: u64,
    chunk: u64,
    began: Instant,
    /// The transfer under way.
    transferring: Option<TransferId>,
}

impl Teller {
    /// Nothing is sent before [`start`](Self::start).
    pub fn new(
        sink: SplitSink<Socket, Message>,
        ears: Ears,
        noted: mpsc::Receiver<Note>,
        call: &CallInfo,
    ) -> Teller {
        Teller {
            sink,
            ears,
            noted,
            stream_sid: stream_sid(call),
            sequence: 0,
            chunk: 0,
            began: Instant::now(),
            transferring: None,
        }
    }

    /// Sends the messages that open a stream.
    pub async fn start(
        &mut self,
        call: &CallInfo,
        config: &MediaStreamsConfig,
    ) -> Result<(), AgentError> {
        self.send(Sent::Connected {
            protocol: "Call",
            version: "1.0.0",
        })
        .await?;
        let stream_sid = self.stream_sid.clone();
        let own = [
            ("from", call.from.as_str()),
            ("to", &call.to),
            ("agentId", &call.agent_id),
            ("trunkId", &call.trunk_id),
            ("sipCallId", &call.sip_call_id),
        ];
        let configured = config.parameters.iter();
        let custom_parameters = configured
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(own.into_iter().filter(|(_, value)| !value.is_empty()))
            .collect();
        self.send(Sent::Start {
            start: Start {
                stream_sid: &stream_sid,
                account_sid: &call.trunk_id,
                call_sid: &call.call_id,
                tracks: ["inbound"],
                media_format: MediaFormat {
                    encoding: "audio/x-mulaw",
                    sample_rate: RATE,
                    channels: 1,
                },
                custom_parameters,
                extensions: call
                    .extensions
                    .entries()
                    .iter()
                    .map(Extension::from)
                    .collect(),
            },
        })
        .await
    }

    /// Tells what is heard until the call is over.
    pub async fn run(&mut self) -> Result<CallEnd, AgentError> {
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = self.ears.next() => match heard {
                    None => return Ok(CallEnd::HungUp),
                    Some(Heard::Ended(end)) => return Ok(end),
                    Some(heard) => self.tell(heard).await?,
                },
                Some(note) = self.noted.recv() => self.note(note).await?,
                _ = ping.tick() => self.write(Message::Ping(Vec::new().into())).await?,
            }
        }
    }

    async fn tell(&mut self, heard: Heard) -> Result<(), AgentError> {
        match heard {
            Heard::Audio(frame) => self.media(frame).await,
            Heard::Key(digit) => {
                let track = "inbound_track";
                let dtmf = HeardDigit { track, digit };
                self.send(Sent::Dtmf { dtmf }).await
            }
            Heard::Mark(name) => self.mark(&name, false).await,
            Heard::MarkCleared(name) => self.mark(&name, true).await,
            Heard::Transfer(news) => self.transfer(&news).await,
            Heard::Closing { why, message } => {
                let closing = Closing {
                    why: why.label(),
                    message: message.as_deref(),
                };
                self.send(Sent::Closing { closing }).await
            }
            Heard::Ended(_) => Ok(()),
        }
    }

    async fn media(&mut self, frame: Frame) -> Result<(), AgentError> {
        let samples = match frame.rate {
            RATE => frame.samples,
            rate => resample(&frame.samples, rate, RATE),
        };
        let mut payload = Vec::with_capacity(samples.len());
        Codec::Pcmu.encode(&samples, &mut payload);
        self.chunk = self.chunk.wrapping_add(1);
        let media = HeardMedia {
            track: "inbound",
            chunk: self.chunk.to_string(),
            timestamp: self.began.elapsed().as_millis().to_string(),
            payload: BASE64.encode(payload),
        };
        self.send(Sent::Media { media }).await
    }

    async fn mark(&mut self, name: &str, cleared: bool) -> Result<(), AgentError> {
        let mark = HeardMark { name, cleared };
        self.send(Sent::Mark { mark }).await
    }

    async fn transfer(&mut self, news: &TransferNews) -> Result<(), AgentError> {
        let mut transfer = TransferState {
            id: Some(news.id.as_str()),
            ..TransferState::default()
        };
        match &news.step {
            TransferStep::Progress(code) => {
                transfer.state = "progress";
                transfer.sip_code = Some(*code);
            }
            TransferStep::Failed {
                failure,
                code,
                reason,
            } => {
                self.transferring = None;
                transfer.state = "failed";
                transfer.cause = Some(failure.label());
                transfer.sip_code = *code;
                transfer.reason = Some(reason);
            }
            TransferStep::Done => transfer.state = "completed",
        }
        self.send(Sent::Transfer { transfer }).await
    }

    async fn note(&mut self, note: Note) -> Result<(), AgentError> {
        match note {
            Note::Started { id, target } => {
                self.transferring = Some(id.clone());
                let transfer = TransferState {
                    id: Some(id.as_str()),
                    target: Some(&target),
                    state: "started",
                    ..TransferState::default()
                };
                self.send(Sent::Transfer { transfer }).await
            }
            Note::Refused { target, refused } => {
                let reason = refused.to_string();
                let nearest = match &refused {
                    TransferRefused::UnknownTarget { nearest, .. } => nearest.as_slice(),
                    _ => &[],
                };
                let transfer = TransferState {
                    target: Some(&target),
                    state: "refused",
                    cause: Some(refused.label()),
                    reason: Some(&reason),
                    nearest: nearest.iter().map(Extension::from).collect(),
                    ..TransferState::default()
                };
                self.send(Sent::Transfer { transfer }).await
            }
            Note::Mistake(message) => {
                let error = Complaint { message: &message };
                self.send(Sent::Error { error }).await
            }
        }
    }

    /// The call is over: says so, and closes in good order if the far end takes part.
    pub async fn farewell(
        &mut self,
        call: &CallInfo,
        end: &CallEnd,
        stream: &mut SplitStream<Socket>,
    ) {
        let stop = Stop {
            account_sid: &call.trunk_id,
            call_sid: &call.call_id,
            reason: end.label(),
        };
        let closing = async {
            self.send(Sent::Stop { stop }).await?;
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "the call is over".into(),
            };
            self.write(Message::Close(Some(frame))).await?;
            while let Some(Ok(_)) = stream.next().await {}
            Ok::<(), AgentError>(())
        };
        // The call is over: what goes wrong now harms nobody.
        let _ = timeout(CLOSE, closing).await;
    }

    /// The agent has left: what it said is still played, and its transfer goes on.
    pub async fn last_words(&mut self, mouth: &Mouth) -> Result<(), AgentError> {
        let _ = timeout(CLOSE, self.sink.close()).await;
        while let Ok(note) = self.noted.try_recv() {
            if let Note::Started { id, .. } = note {
                self.transferring = Some(id);
            }
        }
        if mouth.mark(LAST_WORDS).await.is_err() {
            return Ok(());
        }
        loop {
            match self.ears.next().await {
                None | Some(Heard::Ended(_)) => return Ok(()),
                Some(Heard::Mark(name) | Heard::MarkCleared(name))
                    if name == LAST_WORDS && self.transferring.is_none() =>
                {
                    return Ok(());
                }
                Some(Heard::Transfer(TransferNews {
                    step: TransferStep::Failed { reason, .. },
                    ..
                })) => {
                    return Err(AgentError::Lost {
                        cause: format!("it closed before its transfer failed: {reason}"),
                    });
                }
                Some(_) => {}
            }
        }
    }

    async fn send(&mut self, sent: Sent<'_>) -> Result<(), AgentError> {
        let numbered = !matches!(sent, Sent::Connected { .. });
        if numbered {
            self.sequence = self.sequence.wrapping_add(1);
        }
        let envelope = Envelope {
            sent,
            sequence: numbered.then(|| self.sequence.to_string()),
            stream: numbered.then_some(self.stream_sid.as_str()),
        };
        let json = serde_json::to_string(&envelope).map_err(|error| AgentError::Protocol {
            cause: format!("a message of ours cannot be written: {error}"),
        })?;
        self.write(Message::text(json)).await
    }

    async fn write(&mut self, message: Message) -> Result<(), AgentError> {
        match timeout(WRITE, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(AgentError::Timeout {
                what: "read our messages",
                after: WRITE,
            }),
        }
    }
}

/// Names the stream: the call's own unique part.
fn stream_sid(call: &CallInfo) -> String {
    let unique = call.call_id.strip_prefix("call_").unwrap_or(&call.call_id);
    format!("stream_{unique}")
}
