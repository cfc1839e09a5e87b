//! The other end of an agent's desk, as tests need it: a line that plays what is said in its own
//! time, answers transfers as told, and remembers everything.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use voice_bridge::agent::{
    Agent, AgentError, CallEnd, CallInfo, DeskRequest, DeskServer, Directory, ExtensionEntry,
    Heard, MessageTaken, ToolUse, TransferId, TransferRefused, desk,
};
use voice_bridge::transcript::Speaker;

/// What happened on the line.
#[derive(Debug, Default, Clone)]
pub struct Happened {
    /// All audio that was played.
    pub played: Vec<i16>,
    pub clears: usize,
    pub transfers: Vec<String>,
    pub hung_up: Option<String>,
    pub digits: Vec<String>,
    pub transcript: Vec<(Speaker, String)>,
    pub tools: Vec<ToolUse>,
    pub messages: Vec<MessageTaken>,
    pub voices: Vec<String>,
}

/// How a line answers a transfer.
pub type Exchange = fn(&str) -> Result<TransferId, TransferRefused>;

/// A call with an agent on it.
pub struct Line {
    happened: Arc<Mutex<Happened>>,
    heard: mpsc::UnboundedSender<Heard>,
    pub agent: JoinHandle<Result<(), AgentError>>,
    bridge: JoinHandle<()>,
}

impl Line {
    /// Puts the agent on a call; every transfer is started.
    pub fn with(agent: Box<dyn Agent>, call: CallInfo) -> Line {
        Line::answering(agent, call, |target| {
            Ok(TransferId::new(format!("transfer to {target}")))
        })
    }

    pub fn answering(agent: Box<dyn Agent>, call: CallInfo, exchange: Exchange) -> Line {
        let (desk, server) = desk(call);
        let happened = Arc::new(Mutex::new(Happened::default()));
        let (heard, to_tell) = mpsc::unbounded_channel();
        Line {
            agent: tokio::spawn(agent.converse(desk)),
            bridge: tokio::spawn(bridge(server, to_tell, Arc::clone(&happened), exchange)),
            happened,
            heard,
        }
    }

    pub fn happened(&self) -> Happened {
        self.happened.lock().unwrap().clone()
    }

    pub fn tell(&self, heard: Heard) {
        self.heard.send(heard).unwrap();
    }

    pub fn keys(&self, keys: &str) {
        for key in keys.chars() {
            self.tell(Heard::Key(key));
        }
    }

    /// Waits until something has happened, at most 30 s.
    pub async fn until(&self, what: &str, mut true_of: impl FnMut(&Happened) -> bool) -> Happened {
        for _ in 0..3000 {
            let happened = self.happened();
            if true_of(&happened) {
                return happened;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never happened: {what}; but {:?}", self.summary());
    }

    pub fn summary(&self) -> String {
        let mut happened = self.happened();
        let played = std::mem::take(&mut happened.played).len();
        format!("{happened:?} with {played} samples played")
    }

    /// Ends the call and returns what the agent came to.
    pub async fn end(self, end: CallEnd) -> Result<(), AgentError> {
        let _ = self.heard.send(Heard::Ended(end));
        let agent = tokio::time::timeout(Duration::from_secs(10), self.agent).await;
        self.bridge.abort();
        agent.expect("the agent stays after the call").unwrap()
    }
}

/// A call to an office with these extensions.
pub fn call(extensions: &[(&str, &str)]) -> CallInfo {
    let mut call = CallInfo::new("call_01TEST", "+27821234567", "+27872500100");
    call.agent_id = "agent_7".to_owned();
    call.sip_call_id = "abc@pbx".to_owned();
    call.extensions = Arc::new(
        extensions
            .iter()
            .map(|(number, name)| ExtensionEntry::new(*number, *name))
            .collect::<Directory>(),
    );
    call
}

/// Root mean square.
pub fn level(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

enum Queued {
    Audio(Vec<i16>),
    Mark(String),
}

async fn bridge(
    mut server: DeskServer,
    mut to_tell: mpsc::UnboundedReceiver<Heard>,
    happened: Arc<Mutex<Happened>>,
    exchange: Exchange,
) {
    let mut queue: std::collections::VecDeque<Queued> = std::collections::VecDeque::new();
    let mut busy_until: Option<Instant> = None;
    loop {
        // Plays what is due.
        while busy_until.is_none_or(|until| until <= Instant::now()) {
            match queue.pop_front() {
                Some(Queued::Audio(samples)) => {
                    let length = Duration::from_secs_f64(samples.len() as f64 / 8000.0);
                    busy_until = Some(busy_until.unwrap_or_else(Instant::now) + length);
                    happened.lock().unwrap().played.extend(samples);
                }
                Some(Queued::Mark(name)) => {
                    let _ = server.send(Heard::Mark(name));
                }
                None => {
                    busy_until = None;
                    break;
                }
            }
        }
        let played = async {
            match busy_until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let request = tokio::select! {
            request = server.recv() => request,
            heard = to_tell.recv() => {
                let Some(heard) = heard else { return };
                let _ = server.send(heard);
                continue;
            }
            () = played => continue,
        };
        let mut happened = happened.lock().unwrap();
        match request {
            None => return,
            Some(DeskRequest::Say(frame)) => {
                assert_eq!(frame.rate, 8000);
                queue.push_back(Queued::Audio(frame.samples));
            }
            Some(DeskRequest::Mark(name)) => queue.push_back(Queued::Mark(name)),
            Some(DeskRequest::Clear) => {
                happened.clears += 1;
                busy_until = None;
                for queued in queue.drain(..) {
                    if let Queued::Mark(name) = queued {
                        let _ = server.send(Heard::MarkCleared(name));
                    }
                }
            }
            Some(DeskRequest::Transfer { request, reply }) => {
                let _ = reply.send(exchange(&request.target));
                happened.transfers.push(request.target);
            }
            Some(DeskRequest::HangUp(reason)) => happened.hung_up = Some(reason),
            Some(DeskRequest::Digits(digits)) => happened.digits.push(digits),
            Some(DeskRequest::Transcript { speaker, text }) => {
                happened.transcript.push((speaker, text));
            }
            Some(DeskRequest::Tool(tool)) => happened.tools.push(tool),
            Some(DeskRequest::Message(message)) => happened.messages.push(message),
            Some(DeskRequest::Voice(name)) => happened.voices.push(name),
            Some(other) => panic!("unknown request {other:?}"),
        }
    }
}
