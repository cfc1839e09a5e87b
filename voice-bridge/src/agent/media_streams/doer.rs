//! Does what the agent's server asks for: plays, marks, clears, transfers, hangs up.
//! It reads no faster than the play-out queue takes audio; TCP holds the server back meanwhile.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use rtp_media::codec::Codec;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::connect::Socket;
use super::converse::{Left, Note, lost};
use super::wire::Received;
use crate::agent::{
    AgentError, CallEnd, CallOver, Frame, MessageTaken, Mouth, ToolUse, TransferRefused,
    TransferRequest,
};
use crate::speech::RATE;
use crate::transcript::Speaker;

/// How long the far end may say nothing at all, not even answer a ping.
const SILENCE: Duration = Duration::from_secs(45);
/// Messages that make no sense are pointed out to the agent; after so many it is left.
const MISTAKES: u32 = 20;
/// Lines, tools and messages for the record in one call; further ones are refused.
const RECORDS: u32 = 5000;
/// The longest mark, target or reason.
const MAX_NAME: usize = 256;
/// The longest message that is not audio.
const MAX_TEXT: usize = 64 * 1024;
/// Audio is handed on in pieces of 100 ms.
const PIECE: usize = (RATE / 10) as usize;

/// Does what the agent asks for.
pub struct Doer {
    stream: SplitStream<Socket>,
    mouth: Mouth,
    notes: mpsc::Sender<Note>,
    mistakes: u32,
    records: u32,
}

impl Doer {
    /// Reads nothing before [`run`](Self::run).
    pub fn new(stream: SplitStream<Socket>, mouth: Mouth, notes: mpsc::Sender<Note>) -> Doer {
        Doer {
            stream,
            mouth,
            notes,
            mistakes: 0,
            records: 0,
        }
    }

    /// The stream, for whoever waits for its end.
    pub fn stream(&mut self) -> &mut SplitStream<Socket> {
        &mut self.stream
    }

    /// Reads and acts until the far end leaves or the call is over.
    pub async fn run(&mut self) -> Result<Left, AgentError> {
        loop {
            // Not while the far end is held back: then it is we who do not read.
            let message = match timeout(SILENCE, self.stream.next()).await {
                Ok(message) => message,
                Err(_) => {
                    return Err(AgentError::Timeout {
                        what: "answer our pings",
                        after: SILENCE,
                    });
                }
            };
            let done = match message {
                Some(Ok(Message::Text(text))) => self.read(text.as_str()).await?,
                Some(Ok(Message::Binary(_))) => self.mistake("a binary message".to_owned())?,
                Some(Ok(Message::Close(frame))) => return closed(frame),
                Some(Ok(_)) => Ok(()),
                Some(Err(error)) => return Err(lost(&error)),
                None => {
                    return Err(AgentError::Lost {
                        cause: "closed without a word".to_owned(),
                    });
                }
            };
            if done == Err(CallOver) {
                return Ok(Left::Call(CallEnd::HungUp));
            }
        }
    }

    async fn read(&mut self, text: &str) -> Result<Result<(), CallOver>, AgentError> {
        match serde_json::from_str(text) {
            Ok(received @ Received::Media { .. }) => self.act(received).await,
            Ok(_) if text.len() > MAX_TEXT => self.mistake(format!(
                "a message other than media of more than {MAX_TEXT} bytes"
            )),
            Ok(received) => self.act(received).await,
            Err(error) => self.mistake(format!("a message that cannot be read: {error}")),
        }
    }

    async fn act(&mut self, received: Received) -> Result<Result<(), CallOver>, AgentError> {
        Ok(match received {
            Received::Media { media } => match BASE64.decode(media.payload) {
                Ok(payload) => self.play(&payload).await,
                Err(error) => return self.mistake(format!("media.payload: {error}")),
            },
            Received::Mark { mark } if mark.name.len() > MAX_NAME => {
                return self.mistake(format!("mark.name: longer than {MAX_NAME} bytes"));
            }
            Received::Mark { mark } => self.mouth.mark(mark.name).await,
            Received::Clear => {
                self.mouth.clear();
                Ok(())
            }
            Received::Transfer { target } if target.len() > MAX_NAME => {
                return self.mistake(format!("target: longer than {MAX_NAME} bytes"));
            }
            Received::Transfer { target } => self.transfer(target).await,
            Received::Hangup { reason } => {
                let reason = reason.as_deref().unwrap_or("the agent hung up");
                self.mouth
                    .hang_up(reason.chars().take(MAX_NAME).collect::<String>());
                Ok(())
            }
            Received::Transcript { .. } | Received::Tool { .. } | Received::Message { .. }
                if !self.may_record() =>
            {
                return self.mistake(format!("more than {RECORDS} entries for the record"));
            }
            Received::Transcript { speaker, text } => match Speaker::from_label(&speaker) {
                Some(speaker) => self.mouth.transcript(speaker, &text).await,
                None => return self.mistake("transcript.speaker: not agent or caller".to_owned()),
            },
            Received::Tool {
                name,
                arguments,
                result,
            } => {
                let tool = ToolUse {
                    name,
                    arguments,
                    result,
                };
                self.mouth.tool(tool).await
            }
            Received::Dtmf { digits } => {
                let keys = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D' | 'w');
                if digits.is_empty() || digits.len() > 64 || !digits.chars().all(keys) {
                    return self.mistake("dtmf.digits: 1 to 64 of 0-9 * # A-D w".to_owned());
                }
                self.mouth.say_digits(digits).await
            }
            Received::Message { text, duration_ms } => {
                let message = MessageTaken {
                    text,
                    duration: Duration::from_millis(duration_ms),
                };
                self.mouth.message_taken(message).await
            }
            Received::Unknown => Ok(()),
        })
    }

    /// Hands a payload on in pieces, so that a long one can be cleared and held back midway.
    async fn play(&mut self, payload: &[u8]) -> Result<(), CallOver> {
        for piece in payload.chunks(PIECE) {
            let mut samples = Vec::with_capacity(piece.len());
            Codec::Pcmu.decode(piece, &mut samples);
            self.mouth.say(Frame::new(samples, RATE)).await?;
        }
        Ok(())
    }

    async fn transfer(&mut self, target: String) -> Result<(), CallOver> {
        let asked = self
            .mouth
            .transfer(TransferRequest::to(target.clone()))
            .await;
        let note = match asked {
            Ok(id) => Note::Started { id, target },
            Err(TransferRefused::CallOver) => return Err(CallOver),
            Err(refused) => Note::Refused { target, refused },
        };
        // The other half is there as long as this one.
        let _ = self.notes.send(note).await;
        Ok(())
    }

    fn may_record(&mut self) -> bool {
        self.records = self.records.saturating_add(1);
        self.records <= RECORDS
    }

    /// Notes a mistake of the far end and tells it, as long as it makes only a few.
    fn mistake(&mut self, what: String) -> Result<Result<(), CallOver>, AgentError> {
        self.mistakes = self.mistakes.saturating_add(1);
        if self.mistakes >= MISTAKES {
            return Err(AgentError::Protocol { cause: what });
        }
        let call = self.mouth.call();
        tracing::warn!(
            call_id = %call.call_id, sip_call_id = %call.sip_call_id, cause = %what,
            "agent sent what cannot be used"
        );
        // When nobody takes the answers there are enough of them on the way.
        let _ = self.notes.try_send(Note::Mistake(what));
        Ok(Ok(()))
    }
}

fn closed(frame: Option<CloseFrame>) -> Result<Left, AgentError> {
    // RFC 6455 7.4.1: 1000 is a job done, 1001 a server that goes away; no code is 1005.
    match frame {
        None => Ok(Left::Agent),
        Some(frame) if u16::from(frame.code) == 1000 => Ok(Left::Agent),
        Some(frame) => Err(AgentError::Lost {
            cause: format!("closed with {} {}", u16::from(frame.code), frame.reason),
        }),
    }
}
