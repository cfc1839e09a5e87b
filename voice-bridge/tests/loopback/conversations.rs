//! An agent at work on a real call: what it says is heard, and how its calls end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use refer_transfer::{Outcome, TransferResult};
use sip_core::Status;
use voice_bridge::agent::{
    Agent, AgentError, CallEnd, CallInfo, ClosingCause, Desk, Directory, ExtensionEntry, Heard,
    TransferFailure, TransferId, TransferRequest, TransferStep,
};
use voice_bridge::call::{
    CallObserver, CallReport, Conversation, ConversationStart, TransferRules, TransferStart,
};
use voice_bridge::speech::Voice;
use voice_bridge::transcript::Speaker;
use voice_bridge::{CallEvent, EndCause, EndedBy, LimitReached, Limits, Phone};

use crate::stage::{end, event, hear_tone, phone, talk, tone, within};

type Script = Box<dyn FnOnce(Desk) -> BoxFuture<'static, Result<(), AgentError>> + Send>;

/// An agent that does what the test says.
struct Scripted(Script);

impl Agent for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn converse(self: Box<Self>, desk: Desk) -> BoxFuture<'static, Result<(), AgentError>> {
        (self.0)(desk)
    }
}

fn agent<F>(script: impl FnOnce(Desk) -> F + Send + 'static) -> Box<dyn Agent>
where
    F: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    Box::new(Scripted(Box::new(move |desk| Box::pin(script(desk)))))
}

/// Writes down what it is shown.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl CallObserver for Diary {
    fn answered(&self, start: &ConversationStart<'_>) {
        self.note(format!("answered by {}", start.agent));
    }

    fn transfer_requested(&self, transfer: &TransferStart<'_>) {
        self.note(format!(
            "{} to {} ({})",
            transfer.id, transfer.target, transfer.forwarded
        ));
    }

    fn transfer_progress(&self, id: &TransferId, status: Status) {
        self.note(format!("{id} {status}"));
    }

    fn transfer_done(&self, id: &TransferId, outcome: &Outcome) {
        self.note(format!("{id} {}", outcome.label()));
    }

    fn transcript(&self, speaker: Speaker, text: &str) {
        self.note(format!("{}: {text}", speaker.label()));
    }

    fn key(&self, digit: char) {
        self.note(format!("key {digit}"));
    }

    fn closing(&self, limit: LimitReached) {
        self.note(format!("closing: {}", limit.label()));
    }

    fn agent_failed(&self, agent: &str, error: &AgentError, replaced: bool) {
        self.note(format!("{agent} failed: {} ({replaced})", error.label()));
    }

    fn ended(&self, report: &CallReport) {
        self.note(format!("ended: {}", report.cause.label()));
    }
}

fn info() -> CallInfo {
    let mut info = CallInfo::new("call_1", "+27821234567", "+27872500100");
    let entries = [
        ExtensionEntry::new("101", "Sales"),
        ExtensionEntry::new("102", "Support"),
    ];
    info.extensions = Arc::new(Directory::new(entries));
    info
}

/// Brings an agent and a caller together; the conversation's report comes from the task.
async fn meet(
    a: &Phone,
    b: &mut Phone,
    conversation: Conversation,
) -> (voice_bridge::Call, tokio::task::JoinHandle<CallReport>) {
    let (caller, callee) = talk(a, b).await;
    (caller, tokio::spawn(callee.run(conversation)))
}

fn rules() -> TransferRules {
    TransferRules::to_domain("pbx.example.com")
}

#[tokio::test]
async fn an_agent_is_heard_hears_keys_and_hangs_up() {
    let (a, mut b) = (phone().await, phone().await);
    let diary = Arc::new(Diary::default());
    let script = agent(async |mut desk: Desk| {
        desk.transcript(Speaker::Agent, "beep").await.unwrap();
        for frame in tone(500.0, 50) {
            desk.say(frame).await.unwrap();
        }
        desk.mark("beeped").await.unwrap();
        let mut marked = false;
        while let Some(heard) = desk.next().await {
            match heard {
                Heard::Mark(name) => marked = name == "beeped",
                Heard::Key('7') => {
                    assert!(marked, "the key was pressed after the beep");
                    desk.hang_up("seven was pressed");
                }
                Heard::Ended(end) => assert_eq!(end, CallEnd::HungUp),
                _ => {}
            }
        }
        Ok(())
    });
    let observer = Arc::clone(&diary) as Arc<dyn CallObserver>;
    let conversation = Conversation::new(script, info()).observer(observer);
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    hear_tone(&mut caller, 500.0).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    caller.send_digits("7").unwrap();
    let ending = end(&mut caller).await;
    assert!(ending.reason.unwrap().contains("seven was pressed"));
    let report = within("the report", report).await.unwrap();
    assert_eq!(
        report.cause,
        EndCause::HungUp("seven was pressed".to_owned())
    );
    assert_eq!(report.ended_by, EndedBy::Us);
    assert_eq!(report.status, Some(Status::OK));
    assert!(report.spoken.agent && report.spoken.caller);
    assert!(report.media.unwrap().packets_out > 40);
    assert!(report.talked >= Duration::from_secs(1));
    let lines = diary.lines();
    assert_eq!(
        lines,
        [
            "answered by scripted",
            "agent: beep",
            "key 7",
            "ended: hung_up"
        ],
    );
}

#[tokio::test]
async fn an_agent_transfers_the_caller_by_name() {
    let (a, mut b) = (phone().await, phone().await);
    let diary = Arc::new(Diary::default());
    let script = agent(async |mut desk: Desk| {
        let unknown = desk.transfer(TransferRequest::to("nobody")).await;
        assert!(unknown.is_err());
        let id = desk.transfer(TransferRequest::to("sales")).await.unwrap();
        let mut done = false;
        while let Some(heard) = desk.next().await {
            match heard {
                Heard::Transfer(news) => {
                    assert_eq!(news.id, id);
                    done |= news.step == TransferStep::Done;
                }
                Heard::Ended(end) => {
                    assert_eq!(end, CallEnd::Transferred);
                    assert!(done);
                }
                _ => {}
            }
        }
        Ok(())
    });
    let observer = Arc::clone(&diary) as Arc<dyn CallObserver>;
    let conversation = Conversation::new(script, info())
        .observer(observer)
        .transfers(rules());
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    let refer = event(&mut caller, "the REFER", |event| match event {
        CallEvent::Refer(refer) => Some(refer),
        _ => None,
    })
    .await;
    assert_eq!(refer.target().to_string(), "sip:101@pbx.example.com");
    refer.accept().finish(Status::OK);
    end(&mut caller).await;
    let report = within("the report", report).await.unwrap();
    assert_eq!(report.cause, EndCause::Transferred);
    assert!(report.transferred());
    let lines = diary.lines();
    assert_eq!(lines[1], "t1 to sip:101@pbx.example.com (false)");
    assert_eq!(lines.last().unwrap(), "ended: transferred");
    assert!(lines.contains(&"t1 transferred".to_owned()));
}

#[tokio::test]
async fn a_target_that_is_offline_is_followed_by_the_forwarding_number() {
    let (a, mut b) = (phone().await, phone().await);
    let script = agent(async |mut desk: Desk| {
        desk.transfer(TransferRequest::to("102")).await.unwrap();
        let mut steps = Vec::new();
        while let Some(heard) = desk.next().await {
            if let Heard::Transfer(news) = heard {
                if let TransferStep::Failed { failure, .. } = &news.step {
                    assert_eq!(*failure, TransferFailure::Busy);
                    desk.hang_up("nobody is there");
                }
                steps.push(news.step);
            }
        }
        assert!(steps.contains(&TransferStep::Progress(181)), "{steps:?}");
        Ok(())
    });
    let mut rules = rules();
    rules.forward_to = Some("0800123".to_owned());
    let conversation = Conversation::new(script, info()).transfers(rules);
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    for frame in tone(300.0, 1_000) {
        caller.say(frame).unwrap();
    }
    let refer = |event| match event {
        CallEvent::Refer(refer) => Some(refer),
        _ => None,
    };
    let first = event(&mut caller, "the first REFER", refer).await;
    first.accept().finish(Status::TEMPORARILY_UNAVAILABLE);
    let second = event(&mut caller, "the second REFER", refer).await;
    assert_eq!(second.target().to_string(), "sip:0800123@pbx.example.com");
    second.accept().finish(Status::BUSY_HERE);
    let report = within("the report", report).await.unwrap();
    let results: Vec<_> = report
        .transfers
        .iter()
        .map(|(_, outcome)| outcome.result)
        .collect();
    assert_eq!(results, [TransferResult::Offline, TransferResult::Busy]);
    assert!(!report.transferred());
}

#[tokio::test]
async fn an_operator_steers_the_call_from_outside() {
    let (a, mut b) = (phone().await, phone().await);
    let script = agent(async |mut desk: Desk| {
        while desk.next().await.is_some() {}
        Ok(())
    });
    let conversation = Conversation::new(script, info()).transfers(rules());
    let steering = conversation.steering();
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    assert!(steering.send_digits("5").await);
    let key = event(&mut caller, "the key", |event| match event {
        CallEvent::Digit(digit) => Some(digit),
        _ => None,
    });
    assert_eq!(key.await, '5');
    let id = steering.transfer("Support").await.unwrap();
    assert_eq!(id.as_str(), "t1");
    assert!(steering.transfer("Sales").await.is_err(), "one at a time");
    assert!(steering.hang_up("operator").await);
    let report = within("the report", report).await.unwrap();
    assert_eq!(report.cause, EndCause::HungUp("operator".to_owned()));
    assert!(!steering.hang_up("again").await, "it is over");
}

#[tokio::test]
async fn a_silent_call_is_closed_with_the_closing_message() {
    let (a, mut b) = (phone().await, phone().await);
    let diary = Arc::new(Diary::default());
    let script = agent(async |mut desk: Desk| {
        while let Some(heard) = desk.next().await {
            if let Heard::Closing { why, message } = heard {
                assert_eq!(why, ClosingCause::Silence);
                assert_eq!(message.as_deref(), Some("Goodbye."));
                for frame in tone(700.0, 30) {
                    desk.say(frame).await.unwrap();
                }
                // And then it says nothing more, nor hangs up.
            }
        }
        Ok(())
    });
    let limits = Limits {
        silence: Some(Duration::from_millis(500)),
        closing: Duration::from_secs(1),
        ..Limits::default()
    };
    let conversation = Conversation::new(script, info())
        .limits(limits)
        .closing_message(Some("Goodbye.".to_owned()))
        .observer(Arc::clone(&diary) as Arc<dyn CallObserver>);
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    hear_tone(&mut caller, 700.0).await;
    end(&mut caller).await;
    let report = within("the report", report).await.unwrap();
    assert_eq!(report.cause, EndCause::Limit(LimitReached::Silence));
    assert!(diary.lines().contains(&"closing: silence".to_owned()));
}

#[tokio::test]
async fn an_agent_that_leaves_is_heard_to_the_end() {
    let (a, mut b) = (phone().await, phone().await);
    let script = agent(async |desk: Desk| {
        for frame in tone(500.0, 60) {
            desk.say(frame).await.unwrap();
        }
        Ok(())
    });
    let (mut caller, report) = meet(&a, &mut b, Conversation::new(script, info())).await;
    let mut heard = 0;
    while let Some(frame) = within("audio", caller.hear()).await {
        heard += usize::from(crate::stage::share_of(500.0, &frame.samples) > 0.8);
    }
    assert!(heard > 50, "{heard} of 60 frames");
    let report = within("the report", report).await.unwrap();
    assert_eq!(
        report.cause,
        EndCause::HungUp("the agent was done".to_owned())
    );
}

#[tokio::test]
async fn the_fallback_speaks_when_an_agent_fails() {
    let (a, mut b) = (phone().await, phone().await);
    let diary = Arc::new(Diary::default());
    let script = agent(async |_desk: Desk| {
        Err(AgentError::Lost {
            cause: "it was a test".to_owned(),
        })
    });
    let conversation = Conversation::new(script, info())
        .fallback(Voice::bundled())
        .observer(Arc::clone(&diary) as Arc<dyn CallObserver>);
    let (mut caller, report) = meet(&a, &mut b, conversation).await;
    within("a voice", async {
        let mut loud = 0;
        while loud < 10 {
            let frame = caller.hear().await.expect("the call is up");
            loud += usize::from(frame.samples.iter().any(|s| s.unsigned_abs() > 500));
        }
    })
    .await;
    caller.hang_up().await.unwrap();
    let report = within("the report", report).await.unwrap();
    assert_eq!(report.cause, EndCause::PeerHungUp);
    assert_eq!(report.ended_by, EndedBy::Peer);
    assert_eq!(report.agent, "fallback");
    assert!(report.agent_failure.unwrap().contains("it was a test"));
    assert!(
        diary
            .lines()
            .contains(&"scripted failed: lost (true)".to_owned())
    );
}

#[tokio::test]
async fn an_agent_without_a_fallback_ends_the_call_when_it_breaks() {
    let (a, mut b) = (phone().await, phone().await);
    let script = agent(async |_desk: Desk| -> Result<(), AgentError> { panic!("on purpose") });
    let (mut caller, report) = meet(&a, &mut b, Conversation::new(script, info())).await;
    end(&mut caller).await;
    let report = within("the report", report).await.unwrap();
    assert!(
        matches!(report.cause, EndCause::AgentFailed(_)),
        "{:?}",
        report.cause
    );
}
