//! Runs the receptionist's machine on a desk: its clock, its ears and its voice.
//! One task, nothing spawned: dropping the future ends everything it had begun.

use std::collections::VecDeque;
use std::future::pending;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::ear::Ear;
use super::machine::{Input, Machine, Output};
use crate::agent::{
    AgentError, CallOver, Desk, Ears, Frame, Heard, Mouth, TransferId, TransferRefused,
    TransferRequest,
};
use crate::speech::{RATE, Speech, Voice, beep};

/// How much audio is handed over at once.
const FRAME: usize = (RATE / 50) as usize;

/// Converses until the machine is done or the call is over.
pub async fn run(desk: Desk, machine: Machine, voice: Voice) -> Result<(), AgentError> {
    let (ears, mouth) = desk.split();
    let driver = Driver {
        ears,
        speaking: Speaking {
            mouth: mouth.clone(),
            voice,
            voice_told: None,
            waiting: VecDeque::new(),
            current: None,
        },
        mouth,
        machine,
        ear: Ear::default(),
        transfer: None,
        transferring: None,
    };
    // That the call is over is no fault of the agent.
    let _: Result<(), CallOver> = driver.run().await;
    Ok(())
}

type Answer = Result<TransferId, TransferRefused>;

struct Driver {
    ears: Ears,
    mouth: Mouth,
    machine: Machine,
    speaking: Speaking,
    ear: Ear,
    /// A transfer that was asked for and not yet started or refused.
    transfer: Option<BoxFuture<'static, Answer>>,
    /// The transfer under way: news of another one is old news.
    transferring: Option<TransferId>,
}

enum Happened {
    Heard(Option<Heard>),
    Answered(Answer),
    Spoke(Result<Speech, CallOver>),
    Due,
}

impl Driver {
    async fn run(mut self) -> Result<(), CallOver> {
        self.tell(Input::Start);
        loop {
            while let Some(output) = self.machine.poll_output() {
                if self.act(output).await? {
                    return Ok(());
                }
            }
            if self.machine.is_gone() {
                return Ok(());
            }
            match self.next().await {
                Happened::Heard(Some(heard)) => self.hear(heard),
                Happened::Heard(None) => self.tell(Input::Ended),
                Happened::Answered(answer) => {
                    self.transfer = None;
                    match answer {
                        Ok(id) => self.transferring = Some(id),
                        Err(refused) => self.tell(Input::Refused(refused)),
                    }
                }
                Happened::Spoke(speech) => self.speaking.done(speech?).await?,
                Happened::Due => self.tell(Input::Timeout),
            }
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(now(), input);
    }

    async fn next(&mut self) -> Happened {
        let due = self.machine.poll_timeout();
        tokio::select! {
            heard = self.ears.next() => Happened::Heard(heard),
            answer = or_never(&mut self.transfer) => Happened::Answered(answer),
            spoke = self.speaking.run() => Happened::Spoke(spoke),
            () = until(due) => Happened::Due,
        }
    }

    /// Does what the machine wants; true when the conversation is over.
    async fn act(&mut self, output: Output) -> Result<bool, CallOver> {
        match output {
            Output::Say { id, text } => self.speaking.waiting.push_back((id, Some(text))),
            Output::Beep(id) => self.speaking.waiting.push_back((id, None)),
            Output::Clear => {
                self.speaking.hush();
                self.mouth.clear();
            }
            Output::Transfer(extension) => {
                let mouth = self.mouth.clone();
                let asked = async move { mouth.transfer(TransferRequest::to(extension)).await };
                self.transfer = Some(Box::pin(asked));
                self.transferring = None;
            }
            Output::Transcript(speaker, text) => self.mouth.transcript(speaker, &text).await?,
            Output::Message(message) => self.mouth.message_taken(message).await?,
            Output::HangUp(why) => {
                self.mouth.hang_up(why);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Audio(frame) => {
                if self.ear.hears(&frame.samples) && self.machine.listens() {
                    self.tell(Input::Sound(frame.duration().min(Duration::from_secs(1))));
                }
            }
            Heard::Key(key) => self.tell(Input::Key(key)),
            Heard::Mark(mark) => match Mark::parse(&mark) {
                Some(Mark::Begin(id)) => self.tell(Input::Begun(id)),
                Some(Mark::End(id)) => self.tell(Input::Spoken(id)),
                None => {}
            },
            Heard::Transfer(news) => {
                let current = self.transferring.as_ref();
                if self.transfer.is_some() || current.is_none_or(|id| *id == news.id) {
                    self.tell(Input::Transfer(news.step));
                }
            }
            Heard::Closing { message, .. } => self.tell(Input::Closing(message)),
            Heard::Ended(_) => self.tell(Input::Ended),
            // What was cleared was cleared by us.
            Heard::MarkCleared(_) => {}
        }
    }
}

/// Utterances on their way to the caller, one after the other.
struct Speaking {
    mouth: Mouth,
    voice: Voice,
    /// The voice that was last reported to the record.
    voice_told: Option<String>,
    /// Utterances with their text; a beep has none.
    waiting: VecDeque<(u32, Option<String>)>,
    current: Option<BoxFuture<'static, Result<Speech, CallOver>>>,
}

impl Speaking {
    /// Speaks the next utterance; never returns when there is none. Cancel-safe.
    async fn run(&mut self) -> Result<Speech, CallOver> {
        if self.current.is_none() {
            self.current = self.waiting.pop_front().map(|(id, text)| {
                let utterance = say(self.mouth.clone(), self.voice.clone(), id, text);
                Box::pin(utterance) as BoxFuture<'static, _>
            });
        }
        or_never(&mut self.current).await
    }

    /// Takes note of who spoke.
    async fn done(&mut self, speech: Speech) -> Result<(), CallOver> {
        self.current = None;
        let name = &*speech.voice;
        if !name.is_empty() && self.voice_told.as_deref() != Some(name) {
            let call = self.mouth.call();
            tracing::info!(
                call_id = %call.call_id, sip_call_id = %call.sip_call_id, voice = name,
                "embedded agent speaks"
            );
            self.voice_told = Some(name.to_owned());
            self.mouth.voice(name).await?;
        }
        Ok(())
    }

    fn hush(&mut self) {
        self.waiting.clear();
        self.current = None;
    }
}

async fn say(
    mouth: Mouth,
    voice: Voice,
    id: u32,
    text: Option<String>,
) -> Result<Speech, CallOver> {
    let speech = match text {
        Some(text) => voice.speak(&text).await,
        None => Speech {
            samples: beep().into(),
            voice: "".into(),
        },
    };
    mouth.mark(Mark::Begin(id).name()).await?;
    for samples in speech.samples.chunks(FRAME) {
        mouth.say(Frame::new(samples.to_vec(), RATE)).await?;
    }
    mouth.mark(Mark::End(id).name()).await?;
    Ok(speech)
}

/// The marks around an utterance: that it begins is what puts it into the transcript.
enum Mark {
    Begin(u32),
    End(u32),
}

impl Mark {
    fn name(&self) -> String {
        match self {
            Mark::Begin(id) => format!("begin {id}"),
            Mark::End(id) => format!("end {id}"),
        }
    }

    fn parse(name: &str) -> Option<Mark> {
        let (kind, id) = name.split_once(' ')?;
        let id = id.parse().ok()?;
        match kind {
            "begin" => Some(Mark::Begin(id)),
            "end" => Some(Mark::End(id)),
            _ => None,
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

async fn or_never<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}
