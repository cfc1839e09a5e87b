//! The desk an agent sits at: what it says goes down one lane, what it hears comes up another.
//! Both ends share one bounded state; neither can block or flood the other.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::{
    CallInfo, DeskRequest, Frame, Heard, MessageTaken, ToolUse, TransferId, TransferRefused,
    TransferRequest,
};
use crate::pace::{Lane, Spoken};
use crate::transcript::{Speaker, bounded};

/// Caller's audio that may wait unheard: 200 ms in frames of 20 ms.
const AUDIO_WAITING: usize = 10;
/// Keys, marks and news that may wait unheard. An agent that lets so many pile up is not there.
const NEWS_WAITING: usize = 1024;
/// Requests other than speech that may wait for the bridge; more make the agent wait.
const REQUESTS_WAITING: usize = 64;

/// Makes a desk for one call: the agent's end and the bridge's end.
pub fn desk(call: CallInfo) -> (Desk, DeskServer) {
    let shared = Arc::new(Shared {
        call,
        state: Mutex::default(),
        agent_ends: AtomicUsize::new(2),
        room: Notify::new(),
        asked: Notify::new(),
        told: Notify::new(),
    });
    let desk = Desk {
        mouth: Mouth {
            shared: Arc::clone(&shared),
        },
        ears: Ears {
            shared: Arc::clone(&shared),
        },
    };
    (desk, DeskServer { shared })
}

/// An agent's end of the desk: [`Ears`] and [`Mouth`] in one.
///
/// Dropping it tells the bridge that the agent has left the call.
#[derive(Debug)]
pub struct Desk {
    mouth: Mouth,
    ears: Ears,
}

impl Desk {
    /// Ears and mouth apart, for an agent that listens and speaks in two places at once.
    pub fn split(self) -> (Ears, Mouth) {
        (self.ears, self.mouth)
    }

    /// The next thing heard; `None` once the bridge's end is gone and everything was told.
    /// Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        self.ears.next().await
    }
}

/// All that a [`Mouth`] can do, a desk can do.
impl std::ops::Deref for Desk {
    type Target = Mouth;

    fn deref(&self) -> &Mouth {
        &self.mouth
    }
}

/// The listening half of a desk.
#[derive(Debug)]
pub struct Ears {
    shared: Arc<Shared>,
}

impl Ears {
    /// The next thing heard; `None` once the bridge's end is gone and everything was told.
    /// Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard> {
        wait_for(&self.shared.told, || {
            let mut state = self.shared.lock();
            match state.take_heard() {
                Some(heard) => Some(Some(heard)),
                None if state.bridge_gone => Some(None),
                None => None,
            }
        })
        .await
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.shared.lock().ears_gone = true;
        self.shared.agent_end_gone();
    }
}

/// The speaking half of a desk. Clones speak with the same mouth.
#[derive(Debug)]
pub struct Mouth {
    shared: Arc<Shared>,
}

impl Mouth {
    /// What is known of the call.
    pub fn call(&self) -> &CallInfo {
        &self.shared.call
    }

    /// Says 20 ms of audio after all that was said before.
    ///
    /// Waits while more than a second of audio is on its way to the play-out queue, which itself
    /// holds minutes: so an agent may speak faster than real time, and nothing is dropped.
    ///
    /// # Errors
    /// The call is over.
    pub async fn say(&self, frame: Frame) -> Result<(), CallOver> {
        self.speak(Spoken::Audio(frame)).await
    }

    /// Asks to be told ([`Heard::Mark`]) when all that was said before has been played.
    ///
    /// # Errors
    /// The call is over.
    pub async fn mark(&self, name: impl Into<String>) -> Result<(), CallOver> {
        self.speak(Spoken::Mark(name.into())).await
    }

    /// Stops speaking at once; marks not yet reached come back as [`Heard::MarkCleared`].
    pub fn clear(&self) {
        let mut state = self.shared.lock();
        for name in state.lane.clear() {
            state.tell(Heard::MarkCleared(name));
        }
        state.clear_asked = true;
        drop(state);
        self.shared.told.notify_waiters();
        self.shared.room.notify_waiters();
        self.shared.asked.notify_waiters();
    }

    /// Hands the caller over. The answer comes as soon as the transfer is started or refused;
    /// what becomes of it is told as [`Heard::Transfer`].
    ///
    /// # Errors
    /// The target is unknown, or the call cannot be transferred now.
    pub async fn transfer(&self, request: TransferRequest) -> Result<TransferId, TransferRefused> {
        let (reply, answer) = oneshot::channel();
        self.ask(DeskRequest::Transfer { request, reply })
            .await
            .map_err(|CallOver| TransferRefused::CallOver)?;
        answer.await.unwrap_or(Err(TransferRefused::CallOver))
    }

    /// Ends the call now, whatever is still to be played. To finish a sentence first, wait for
    /// its mark.
    pub fn hang_up(&self, reason: impl Into<String>) {
        let mut state = self.shared.lock();
        state.hang_up_asked.get_or_insert(reason.into());
        drop(state);
        self.shared.asked.notify_waiters();
    }

    /// Presses keys towards the other side: `0`–`9`, `*`, `#`, `A`–`D`.
    ///
    /// # Errors
    /// The call is over.
    pub async fn say_digits(&self, digits: impl Into<String>) -> Result<(), CallOver> {
        self.ask(DeskRequest::Digits(digits.into())).await
    }

    /// Adds a line to the transcript, cut to [`crate::transcript::MAX_LINE`] bytes.
    ///
    /// # Errors
    /// The call is over.
    pub async fn transcript(&self, speaker: Speaker, text: &str) -> Result<(), CallOver> {
        self.ask(DeskRequest::Transcript {
            speaker,
            text: bounded(text).to_owned(),
        })
        .await
    }

    /// Records the use of a tool.
    ///
    /// # Errors
    /// The call is over.
    pub async fn tool(&self, tool: ToolUse) -> Result<(), CallOver> {
        self.ask(DeskRequest::Tool(tool)).await
    }

    /// Records that the caller left a message.
    ///
    /// # Errors
    /// The call is over.
    pub async fn message_taken(&self, message: MessageTaken) -> Result<(), CallOver> {
        self.ask(DeskRequest::Message(message)).await
    }

    /// Records which voice speaks from now on.
    ///
    /// # Errors
    /// The call is over.
    pub async fn voice(&self, name: impl Into<String>) -> Result<(), CallOver> {
        self.ask(DeskRequest::Voice(name.into())).await
    }

    async fn speak(&self, spoken: Spoken) -> Result<(), CallOver> {
        let mut spoken = Some(spoken);
        wait_for(&self.shared.room, || {
            let mut state = self.shared.lock();
            if state.bridge_gone {
                return Some(Err(CallOver));
            }
            if state.lane.is_full() {
                return None;
            }
            if let Some(spoken) = spoken.take() {
                state.lane.push(spoken);
            }
            Some(Ok(()))
        })
        .await?;
        self.shared.asked.notify_waiters();
        Ok(())
    }

    async fn ask(&self, request: DeskRequest) -> Result<(), CallOver> {
        let mut request = Some(request);
        wait_for(&self.shared.room, || {
            let mut state = self.shared.lock();
            if state.bridge_gone {
                return Some(Err(CallOver));
            }
            if state.requests.len() >= REQUESTS_WAITING {
                return None;
            }
            state.requests.extend(request.take());
            Some(Ok(()))
        })
        .await?;
        self.shared.asked.notify_waiters();
        Ok(())
    }
}

impl Clone for Mouth {
    fn clone(&self) -> Self {
        self.shared.agent_ends.fetch_add(1, Ordering::Relaxed);
        Mouth {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.shared.agent_end_gone();
    }
}

/// The bridge's end of the desk.
///
/// Dropping it ends the call for the agent: what it says is refused, and after what it was told
/// already its ears return `None`.
#[derive(Debug)]
pub struct DeskServer {
    shared: Arc<Shared>,
}

impl DeskServer {
    /// The next request, speech included; `None` once the agent has left and all it asked for
    /// was handed out. Cancel-safe.
    ///
    /// A clear comes before everything else, other requests before speech, and a hang-up after
    /// the requests that were made before it.
    pub async fn recv(&mut self) -> Option<DeskRequest> {
        self.take(true).await
    }

    /// As [`recv`](Self::recv), but leaves speech and marks where they are: for as long as the
    /// play-out queue has no room. The agent is held back meanwhile.
    pub async fn recv_urgent(&mut self) -> Option<DeskRequest> {
        self.take(false).await
    }

    /// Tells the agent something. Never waits: audio that nobody takes is dropped after 200 ms,
    /// the oldest first.
    ///
    /// # Errors
    /// The agent has left, or has not listened for so long that 1,024 pieces of news wait.
    pub fn send(&self, heard: Heard) -> Result<(), Undelivered> {
        let mut state = self.shared.lock();
        if state.ears_gone {
            return Err(Undelivered::AgentLeft);
        }
        if !state.tell(heard) {
            return Err(Undelivered::AgentDeaf);
        }
        drop(state);
        self.shared.told.notify_waiters();
        Ok(())
    }

    /// How many frames of the caller's audio the agent did not take in time.
    pub fn dropped_audio(&self) -> u64 {
        self.shared.lock().dropped_audio
    }

    async fn take(&mut self, speech: bool) -> Option<DeskRequest> {
        let request = wait_for(&self.shared.asked, || {
            let mut state = self.shared.lock();
            match state.take_request(speech) {
                Some(request) => Some(Some(request)),
                None if self.shared.agent_ends.load(Ordering::Acquire) == 0
                    && (speech || state.lane.is_empty()) =>
                {
                    Some(None)
                }
                None => None,
            }
        })
        .await;
        self.shared.room.notify_waiters();
        request
    }
}

impl Drop for DeskServer {
    fn drop(&mut self) {
        self.shared.lock().bridge_gone = true;
        self.shared.told.notify_waiters();
        self.shared.room.notify_waiters();
    }
}

/// The call has ended: what was asked can no longer be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the call is over")]
pub struct CallOver;

/// Why the agent could not be told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It has dropped its end of the desk.
    #[error("the agent has left the call")]
    AgentLeft,
    /// It does not listen: 1,024 pieces of news wait for it.
    #[error("the agent does not listen")]
    AgentDeaf,
}

#[derive(Debug)]
struct Shared {
    call: CallInfo,
    state: Mutex<State>,
    /// Ears and mouths alive; the agent has left when there are none.
    agent_ends: AtomicUsize,
    /// Woken when the lane or the requests have room again.
    room: Notify,
    /// Woken when there is something for the bridge.
    asked: Notify,
    /// Woken when there is something for the agent.
    told: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while holding the lock; were it so, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agent_end_gone(&self) {
        if self.agent_ends.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.asked.notify_waiters();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    lane: Lane,
    requests: VecDeque<DeskRequest>,
    clear_asked: bool,
    hang_up_asked: Option<String>,
    /// Audio and news wait apart, so that either can be bounded in its own way; the number
    /// tells the order they happened in.
    audio: VecDeque<(u64, Frame)>,
    news: VecDeque<(u64, Heard)>,
    happened: u64,
    dropped_audio: u64,
    ears_gone: bool,
    bridge_gone: bool,
}

impl State {
    fn tell(&mut self, heard: Heard) -> bool {
        self.happened = self.happened.wrapping_add(1);
        match heard {
            Heard::Audio(frame) => {
                if self.audio.len() >= AUDIO_WAITING {
                    self.audio.pop_front();
                    self.dropped_audio = self.dropped_audio.saturating_add(1);
                }
                self.audio.push_back((self.happened, frame));
                true
            }
            news if self.news.len() < NEWS_WAITING => {
                self.news.push_back((self.happened, news));
                true
            }
            _ => false,
        }
    }

    fn take_heard(&mut self) -> Option<Heard> {
        let audio_first = match (self.audio.front(), self.news.front()) {
            (Some((audio, _)), Some((news, _))) => audio < news,
            (audio, _) => audio.is_some(),
        };
        if audio_first {
            self.audio.pop_front().map(|(_, frame)| Heard::Audio(frame))
        } else {
            self.news.pop_front().map(|(_, news)| news)
        }
    }

    fn take_request(&mut self, speech: bool) -> Option<DeskRequest> {
        if std::mem::take(&mut self.clear_asked) {
            return Some(DeskRequest::Clear);
        }
        if let Some(request) = self.requests.pop_front() {
            return Some(request);
        }
        if let Some(reason) = self.hang_up_asked.take() {
            return Some(DeskRequest::HangUp(reason));
        }
        if !speech {
            return None;
        }
        Some(match self.lane.pop()? {
            Spoken::Audio(frame) => DeskRequest::Say(frame),
            Spoken::Mark(name) => DeskRequest::Mark(name),
        })
    }
}

/// Waits until `ready` gives something, looking again after each wake-up.
async fn wait_for<T>(notify: &Notify, mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        // Registered before looking, so a wake-up between looking and waiting is not lost.
        let mut woken = pin!(notify.notified());
        woken.as_mut().enable();
        if let Some(value) = ready() {
            return value;
        }
        woken.as_mut().await;
    }
}
