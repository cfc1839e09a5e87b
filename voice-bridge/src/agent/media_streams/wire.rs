//! The messages of the protocol as JSON: Media Streams, and what this project adds to it.
//! `docs/agents/media-streams.md` is the page for whoever writes the other end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::ExtensionEntry;

/// What we send.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Sent<'a> {
    Connected {
        protocol: &'static str,
        version: &'static str,
    },
    Start {
        start: Start<'a>,
    },
    Media {
        media: HeardMedia,
    },
    Dtmf {
        dtmf: HeardDigit,
    },
    Mark {
        mark: HeardMark<'a>,
    },
    Transfer {
        transfer: TransferState<'a>,
    },
    Closing {
        closing: Closing<'a>,
    },
    Error {
        error: Complaint<'a>,
    },
    Stop {
        stop: Stop<'a>,
    },
}

/// A message as it goes on the wire: all but `connected` carry a number and the stream.
#[derive(Debug, Serialize)]
pub struct Envelope<'a> {
    #[serde(flatten)]
    pub sent: Sent<'a>,
    #[serde(rename = "sequenceNumber", skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    #[serde(rename = "streamSid", skip_serializing_if = "Option::is_none")]
    pub stream: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Start<'a> {
    pub stream_sid: &'a str,
    pub account_sid: &'a str,
    pub call_sid: &'a str,
    pub tracks: [&'static str; 1],
    pub media_format: MediaFormat,
    pub custom_parameters: BTreeMap<&'a str, &'a str>,
    /// Ours: whom the caller can be transferred to.
    pub extensions: Vec<Extension<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat {
    pub encoding: &'static str,
    pub sample_rate: u32,
    pub channels: u8,
}

#[derive(Debug, Serialize)]
pub struct Extension<'a> {
    pub extension: &'a str,
    pub name: &'a str,
    pub owner: &'a str,
    pub aliases: &'a [String],
}

impl<'a> From<&'a ExtensionEntry> for Extension<'a> {
    fn from(entry: &'a ExtensionEntry) -> Self {
        Extension {
            extension: &entry.extension,
            name: &entry.display_name,
            owner: &entry.owner,
            aliases: &entry.aliases,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct HeardMedia {
    pub track: &'static str,
    pub chunk: String,
    /// Milliseconds since the start of the stream.
    pub timestamp: String,
    pub payload: String,
}

#[derive(Debug, Serialize)]
pub struct HeardDigit {
    pub track: &'static str,
    pub digit: char,
}

#[derive(Debug, Serialize)]
pub struct HeardMark<'a> {
    pub name: &'a str,
    /// Ours: the mark was thrown away by a clear, not played.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cleared: bool,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransferState<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'a str>,
    /// `started`, `refused`, `progress`, `failed` or `completed`.
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<Extension<'a>>,
}

#[derive(Debug, Serialize)]
pub struct Closing<'a> {
    pub why: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub struct Complaint<'a> {
    pub message: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stop<'a> {
    pub account_sid: &'a str,
    pub call_sid: &'a str,
    /// Ours: how the call ended.
    pub reason: &'a str,
}

/// What the agent's server sends. Fields that are not named here are ignored.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Received {
    /// Audio to play.
    Media { media: SaidMedia },
    /// To be told when all before it has been played.
    Mark { mark: SaidMark },
    /// Stop playing.
    Clear,
    /// Hand the caller over.
    Transfer { target: String },
    /// End the call.
    Hangup {
        #[serde(default)]
        reason: Option<String>,
    },
    /// A line for the transcript.
    Transcript { speaker: String, text: String },
    /// A tool the agent used.
    Tool {
        name: String,
        #[serde(default)]
        arguments: serde_json::Value,
        #[serde(default)]
        result: serde_json::Value,
    },
    /// Keys to press.
    Dtmf { digits: String },
    /// A message the caller left.
    Message {
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        duration_ms: u64,
    },
    /// Whatever a later version may bring.
    #[serde(other)]
    Unknown,
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct SaidMedia {
    /// µ-law at 8 kHz in base64, without any header.
    pub payload: String,
}

#[derive(Debug, PartialEq, Deserialize)]
pub struct SaidMark {
    pub name: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_of_existing_media_streams_servers_are_understood() {
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}"#;
        assert_eq!(
            serde_json::from_str::<Received>(media).unwrap(),
            Received::Media {
                media: SaidMedia {
                    payload: "//8=".to_owned()
                }
            }
        );
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"end"}}"#;
        assert!(matches!(
            serde_json::from_str(mark).unwrap(),
            Received::Mark { mark } if mark.name == "end"
        ));
        let clear = r#"{"event":"clear","streamSid":"MZ1"}"#;
        assert_eq!(
            serde_json::from_str::<Received>(clear).unwrap(),
            Received::Clear
        );
        let other = r#"{"event":"weather","sun":true}"#;
        assert_eq!(
            serde_json::from_str::<Received>(other).unwrap(),
            Received::Unknown
        );
    }

    #[test]
    fn media_is_written_as_the_field_reads_it() {
        let envelope = Envelope {
            sent: Sent::Media {
                media: HeardMedia {
                    track: "inbound",
                    chunk: "1".to_owned(),
                    timestamp: "20".to_owned(),
                    payload: "//8=".to_owned(),
                },
            },
            sequence: Some("2".to_owned()),
            stream: Some("MZ1"),
        };
        let written = serde_json::to_value(&envelope).unwrap();
        let expected = serde_json::json!({
            "event": "media", "sequenceNumber": "2", "streamSid": "MZ1",
            "media": {"track": "inbound", "chunk": "1", "timestamp": "20", "payload": "//8="},
        });
        assert_eq!(written, expected);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = serde_json::from_str::<Received>(&text);
        }
    }
}
