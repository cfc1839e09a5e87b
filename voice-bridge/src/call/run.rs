//! The conversation of an agent with a caller: the desk on one side, the call on the other.
//! One loop in one task; the agent runs in another, so that neither can hold up the other.

mod farewell;
mod transfers;

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use refer_transfer::Outcome;
use tokio::task::{JoinError, JoinHandle};

use self::transfers::LiveTransfer;
use super::conversation::{Conversation, TransferRules};
use super::ending::{EndCause, Ending};
use super::observer::{CallObserver, CallReport, ConversationStart, Spoken};
use super::{Call, CallEvent};
use crate::agent::{
    Agent, AgentError, CallInfo, ClosingCause, DeskRequest, DeskServer, Heard, TransferId,
    TransferNews, TransferStep, desk,
};
use crate::fallback;
use crate::limits::{Ear, LimitReached, Limits, Watch};
use crate::speech::Voice;

impl Call {
    /// Lets an agent converse with the peer until the call is over, and reports.
    ///
    /// The agent is told everything and asked for nothing: it may fail, fall silent or leave, and
    /// the call still comes to a proper end within its limits. When it fails, the fallback speaks;
    /// when it leaves, the call is hung up once all it said has been played.
    pub async fn run(self, conversation: Conversation) -> CallReport {
        Runner::new(self, conversation).run().await
    }
}

type AgentTask = JoinHandle<Result<(), AgentError>>;

struct Runner {
    call: Call,
    info: CallInfo,
    rules: TransferRules,
    closing_message: Option<String>,
    limits: Limits,
    fallback: Option<Voice>,
    observer: Arc<dyn CallObserver>,
    orders: tokio::sync::mpsc::Receiver<DeskRequest>,
    desk: DeskServer,
    /// There may be requests at the desk: those of an agent that has left are still honoured.
    desk_open: bool,
    /// The agent at work; `None` once it has left.
    agent: Option<AgentTask>,
    agent_name: String,
    agent_failure: Option<String>,
    voice: Option<String>,
    watch: Watch,
    /// Audio has come at all.
    heard: bool,
    /// When the last word was sent.
    played: Option<Instant>,
    caller_ear: Ear,
    agent_ear: Ear,
    spoken: Spoken,
    message_taken: bool,
    unheard: u64,
    /// A limit was reached: the call is hung up at this time at the latest.
    closing: Option<(LimitReached, Instant)>,
    /// The agent has left: the call is hung up when all was played, or at this time.
    leaving: Option<Instant>,
    transfer: Option<LiveTransfer>,
    transfers: Vec<(TransferId, Outcome)>,
    forwarded: bool,
    hang_up: Option<EndCause>,
    ended: Option<Ending>,
}

/// What the loop was woken by.
enum Wake {
    Event(Option<CallEvent>),
    Request(Option<DeskRequest>),
    Order(DeskRequest),
    AgentLeft(Result<Result<(), AgentError>, JoinError>),
    Time,
}

impl Runner {
    fn new(call: Call, conversation: Conversation) -> Self {
        let now = now();
        let agent_name = conversation.agent.name().to_owned();
        let (desk, agent) = employ(conversation.agent, conversation.info.clone());
        Self {
            call,
            info: conversation.info,
            rules: conversation.transfers,
            closing_message: conversation.closing_message,
            watch: Watch::new(conversation.limits.clone(), now),
            limits: conversation.limits,
            fallback: conversation.fallback,
            observer: conversation.observer,
            orders: conversation.orders,
            desk,
            desk_open: true,
            agent: Some(agent),
            agent_name,
            agent_failure: None,
            voice: None,
            heard: false,
            played: None,
            caller_ear: Ear::new(),
            agent_ear: Ear::new(),
            spoken: Spoken::default(),
            message_taken: false,
            unheard: 0,
            closing: None,
            leaving: None,
            transfer: None,
            transfers: Vec::new(),
            forwarded: false,
            hang_up: None,
            ended: None,
        }
    }

    async fn run(mut self) -> CallReport {
        let began = now();
        self.observer.answered(&ConversationStart {
            call_id: self.call.call_id(),
            agent: &self.agent_name,
            codec: self.call.codec(),
        });
        tracing::info!(
            call_id = self.call.call_id(),
            agent = self.agent_name,
            "conversation begins"
        );
        while self.ended.is_none() && self.hang_up.is_none() {
            let wake = self.wake().await;
            match wake {
                Wake::Event(Some(event)) => self.happened(event).await,
                Wake::Event(None) => self.ended = Some(Ending::of(EndCause::ShutDown, None)),
                Wake::Request(Some(request)) => self.requested(request).await,
                // The agent's end of the desk is gone; its task tells why.
                Wake::Request(None) => {
                    self.desk_open = false;
                    self.join().await;
                }
                Wake::Order(order) => self.requested(order).await,
                Wake::AgentLeft(result) => self.left(result),
                Wake::Time => {}
            }
            self.look_at_the_clock();
        }
        self.finish(began).await
    }

    async fn wake(&mut self) -> Wake {
        let due = self.due();
        // While the leg holds enough, the agent's speech waits in its lane, and the agent with it.
        let room = self.call.queued() < SPEECH_AHEAD;
        let Self {
            call,
            desk,
            desk_open,
            agent,
            orders,
            ..
        } = self;
        tokio::select! {
            event = call.next() => Wake::Event(event),
            request = async {
                if room { desk.recv().await } else { desk.recv_urgent().await }
            }, if *desk_open => Wake::Request(request),
            Some(order) = orders.recv() => Wake::Order(order),
            result = async {
                match agent.as_mut() {
                    Some(agent) => agent.await,
                    None => pending().await,
                }
            } => {
                *agent = None;
                Wake::AgentLeft(result)
            }
            () = until(due) => Wake::Time,
        }
    }

    /// When to look at the clock again.
    fn due(&self) -> Option<Instant> {
        let limit = match self.closing {
            Some((_, at)) => Some(at),
            // A caller who is being connected is not cut off for being quiet.
            None if self.transfer.is_some() => None,
            None => self.watch.poll_timeout(),
        };
        let soon = |needed: bool| needed.then(|| now().checked_add(SOON)).flatten();
        [
            limit,
            self.leaving,
            soon(self.leaving.is_some()),
            soon(self.call.queued() >= SPEECH_AHEAD),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn look_at_the_clock(&mut self) {
        let now = now();
        if let Some((limit, at)) = self.closing
            && at <= now
        {
            self.hang_up.get_or_insert(EndCause::Limit(limit));
        }
        if let Some(at) = self.leaving
            && (at <= now || (!self.desk_open && self.call.queued().is_zero()))
            && self.transfer.is_none()
        {
            let cause = match self.closing {
                Some((limit, _)) => EndCause::Limit(limit),
                None => EndCause::HungUp("the agent was done".to_owned()),
            };
            self.hang_up.get_or_insert(cause);
        }
        if self.closing.is_some() || self.transfer.is_some() {
            return;
        }
        let Some(limit) = self.watch.reached(now) else {
            return;
        };
        tracing::info!(
            call_id = self.call.call_id(),
            limit = limit.label(),
            "limit reached"
        );
        let why = match limit {
            LimitReached::Duration => ClosingCause::MaxDuration,
            LimitReached::Silence => ClosingCause::Silence,
            // Nobody is there to hear a closing message.
            LimitReached::NoAudio => {
                self.hang_up = Some(EndCause::Limit(limit));
                return;
            }
        };
        self.observer.closing(limit);
        self.closing = Some((limit, now + self.limits.closing));
        self.tell(Heard::Closing {
            why,
            message: self.closing_message.clone(),
        });
    }

    /// Something happened on the call.
    async fn happened(&mut self, event: CallEvent) {
        let now = now();
        match event {
            CallEvent::Heard(frame) => {
                // From its first packet on a leg tells 20 ms every 20 ms, be it only silence: that
                // packets have stopped is told apart.
                if !std::mem::replace(&mut self.heard, true) {
                    self.watch.audio(now, true);
                }
                if self.caller_ear.hears(&frame.samples) {
                    self.spoken.caller = true;
                    self.watch.sound(now);
                }
                self.tell(Heard::Audio(frame));
            }
            CallEvent::Digit(digit) => {
                self.spoken.caller = true;
                self.watch.sound(now);
                self.observer.key(digit);
                self.tell(Heard::Key(digit));
            }
            CallEvent::NoAudio(since) => {
                self.watch
                    .audio(now.checked_sub(since).unwrap_or(now), false);
            }
            CallEvent::AudioBack => self.watch.audio(now, true),
            CallEvent::Held(held) => self.watch.hold(now, held),
            CallEvent::MarkReached(name) => self.tell(Heard::Mark(name)),
            CallEvent::MarkCleared(name) => self.tell(Heard::MarkCleared(name)),
            CallEvent::TransferProgress(status) => {
                if let Some(transfer) = &self.transfer {
                    let id = transfer.id.clone();
                    self.observer.transfer_progress(&id, status);
                    self.news(id, TransferStep::Progress(status.code()));
                }
            }
            CallEvent::TransferDone(outcome) => self.transferred(outcome).await,
            CallEvent::TransferAmended(outcome) => self.amended(outcome),
            // Dropped, and so declined: our caller is not to be sent anywhere by the peer.
            CallEvent::Refer(refer) => drop(refer),
            CallEvent::Ended(ending) => self.ended = Some(ending),
            CallEvent::PlayedOut => self.played = Some(now),
            CallEvent::Established
            | CallEvent::HoldAnswered(_)
            | CallEvent::TransferSent { .. } => {}
        }
    }

    /// The agent, or somebody who steers, wants something.
    async fn requested(&mut self, request: DeskRequest) {
        match request {
            DeskRequest::Say(frame) => {
                if self.agent_ear.hears(&frame.samples) {
                    self.spoken.agent = true;
                    // It will be heard when all that is queued before it was played.
                    self.watch.sound(now() + self.call.queued());
                }
                if let Err(error) = self.call.say(frame) {
                    tracing::debug!(call_id = self.call.call_id(), %error, "not said");
                }
            }
            DeskRequest::Mark(name) => {
                if self.call.mark(&name).is_err() {
                    self.tell(Heard::MarkCleared(name));
                }
            }
            DeskRequest::Clear => {
                self.call.clear();
                self.watch.hush(now());
            }
            DeskRequest::Transfer { request, reply } => {
                let started = self.begin_transfer(&request.target, false).await;
                if let Err(refused) = &started {
                    tracing::info!(
                        call_id = self.call.call_id(),
                        target = request.target,
                        why = %refused,
                        "transfer refused"
                    );
                    self.observer.transfer_refused(&request.target, refused);
                }
                // Whoever asked may have left meanwhile; the transfer goes on.
                let _ = reply.send(started);
            }
            DeskRequest::HangUp(reason) => {
                let cause = match self.closing {
                    Some((limit, _)) => EndCause::Limit(limit),
                    None => EndCause::HungUp(reason),
                };
                self.hang_up.get_or_insert(cause);
            }
            DeskRequest::Digits(digits) => {
                if let Err(error) = self.call.send_digits(&digits) {
                    tracing::warn!(call_id = self.call.call_id(), %error, "keys not sent");
                }
            }
            DeskRequest::Transcript { speaker, text } => self.observer.transcript(speaker, &text),
            DeskRequest::Tool(tool) => self.observer.tool(&tool),
            DeskRequest::Message(message) => {
                self.message_taken = true;
                self.observer.message_taken(&message);
            }
            DeskRequest::Voice(name) => {
                tracing::info!(call_id = self.call.call_id(), voice = name, "voice");
                self.observer.voice(&name);
                self.voice = Some(name);
            }
        }
    }

    /// The agent's task is over.
    fn left(&mut self, result: Result<Result<(), AgentError>, JoinError>) {
        self.unheard = self.unheard.saturating_add(self.desk.dropped_audio());
        let error = match result {
            Ok(Ok(())) => {
                self.leaving = now().checked_add(LAST_WORDS);
                return;
            }
            Ok(Err(error)) => error,
            Err(broken) => AgentError::Lost {
                cause: format!("the agent's task broke: {broken}"),
            },
        };
        self.agent_failure = Some(error.to_string());
        let voice = self.fallback.take();
        self.observer
            .agent_failed(&self.agent_name, &error, voice.is_some());
        let Some(voice) = voice else {
            tracing::error!(call_id = self.call.call_id(), %error, "agent failed, nobody takes over");
            self.hang_up
                .get_or_insert(EndCause::AgentFailed(error.to_string()));
            return;
        };
        self.call.clear();
        let agent = fallback::agent(voice, &error);
        self.agent_name = agent.name().to_owned();
        let (desk, agent) = employ(agent, self.info.clone());
        self.desk = desk;
        self.desk_open = true;
        self.agent = Some(agent);
    }

    /// The agent dropped its desk: wait for its task, which is about to end or does no good.
    async fn join(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            match tokio::time::timeout(FAREWELL, &mut agent).await {
                Ok(result) => self.left(result),
                Err(_) => {
                    agent.abort();
                    self.left(Ok(Ok(())));
                }
            }
        }
    }

    fn news(&self, id: TransferId, step: TransferStep) {
        self.tell(Heard::Transfer(TransferNews { id, step }));
    }

    fn tell(&self, heard: Heard) {
        // An agent that has left, or is deaf, is found out by its task and by the limits.
        let _ = self.desk.send(heard);
    }
}

/// Seats an agent at a desk of its own.
fn employ(agent: Box<dyn Agent>, info: CallInfo) -> (DeskServer, AgentTask) {
    let (desk, server) = desk(info);
    (server, tokio::spawn(agent.converse(desk)))
}

/// Now, on tokio's clock, so that a paused one is obeyed.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

/// How much audio the leg takes in advance; then the agent is held back.
const SPEECH_AHEAD: Duration = Duration::from_secs(300);
/// How often a condition without an event of its own is looked at.
const SOON: Duration = Duration::from_millis(100);
/// How long what an agent said before it left may take to be played.
const LAST_WORDS: Duration = Duration::from_secs(60);
/// How long an agent may take to leave when the call is over.
const FAREWELL: Duration = Duration::from_secs(2);
