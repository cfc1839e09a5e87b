//! The people on the telephones: a caller who wants Sales, and those whose extensions ring.
//! Each sits at a phone of its own and knows nothing of the others but what it hears.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use sip_core::header::NameAddr;
use sip_core::status::Status;
use sip_core::uri::Uri;
use tokio::time::Instant;
use voice_bridge::{Call, CallEvent, Codecs, Line, OutgoingCall, Phone, Ringing};

use super::sound::{Tone, is_voice};
use super::steps::Step;
use super::story::{Story, seconds};
use super::{CALLER, DID};

/// Calls the DID at the PBX, listens to the agent, asks for Sales, talks to Sales, hangs up.
pub(super) async fn caller(story: &Story, line: &Line, pbx: SocketAddr) -> Result<(), String> {
    let from = line
        .local()
        .first()
        .map(|(_, addr)| Uri::sip_at(Some(CALLER), *addr))
        .ok_or("the caller's phone does not listen")?;
    let order = OutgoingCall::new(NameAddr::new(from), Uri::sip_at(Some(DID), pbx));
    story.remark(&format!("the caller {CALLER} dials {DID}"));
    let mut call = line
        .call(order)
        .await
        .map_err(|error| format!("the caller's call failed: {error}"))?;
    let mut ear = Ear::default();
    let talked = async {
        while let Some(event) = call.next().await {
            match event {
                CallEvent::Heard(frame) => ear.hear(story, &call, &frame),
                CallEvent::Ended(ending) => {
                    return Err(format!("the caller was cut off: {ending}"));
                }
                _ => {}
            }
            if ear.is_content(story) {
                return Ok(());
            }
        }
        Err("the caller's call vanished".to_owned())
    };
    let talked = talked.await;
    if talked.is_ok() && call.hang_up().await.is_ok() {
        story.saw(Step::CallerHangsUp, "");
    }
    tell_figures(story, "caller", &mut call, &ear.summary()).await;
    talked
}

/// What the caller has heard so far.
#[derive(Default)]
struct Ear {
    voice: Duration,
    sales: Duration,
    pressed: bool,
    content_since: Option<Instant>,
}

impl Ear {
    fn hear(&mut self, story: &Story, call: &Call, frame: &rtp_media::net::Frame) {
        if SALES.is_in(frame) && story.has(Step::ExtensionAnswers) {
            self.sales += frame.duration();
            if self.sales >= RECOGNISED {
                story.saw(Step::CallerHearsSales, &format!("a tone of {} Hz", SALES.0));
            }
        } else if is_voice(frame) {
            self.voice += frame.duration();
        }
        if !self.pressed && self.voice >= PATIENT {
            self.pressed = true;
            let heard = format!("{:.1} s of voice so far", self.voice.as_secs_f32());
            story.saw(Step::AgentHeard, &heard);
            match call.send_digits("1") {
                Ok(()) => story.saw(Step::KeyPressed, "telephone-event, RFC 4733"),
                Err(error) => story.trouble(format!("the caller could not press 1: {error}")),
            }
            tokio::spawn(CALLER_TONE.say(call.control()));
        }
    }

    /// Whether all that the caller wanted has happened, and a moment of talk.
    fn is_content(&mut self, story: &Story) -> bool {
        let content = [
            Step::CallerHearsSales,
            Step::SalesHearsCaller,
            Step::LegEnded,
        ];
        if content.iter().all(|step| story.has(*step)) {
            let since = *self.content_since.get_or_insert_with(Instant::now);
            return since.elapsed() >= TALK;
        }
        false
    }

    fn summary(&self) -> Vec<(&'static str, Duration)> {
        vec![
            ("voice_of_the_agent", self.voice),
            ("tone_of_101", self.sales),
        ]
    }
}

/// Lets the extensions' phones ring until their phone is shut down.
pub(super) async fn extensions(story: Story, phone: &mut Phone) {
    while let Some(ringing) = phone.accept().await {
        match &*ringing.to_number() {
            "101" => {
                tokio::spawn(sales(story.clone(), ringing));
            }
            "102" => ringing.refuse(Status::BUSY_HERE, "Busy Here"),
            "103" => {
                tokio::spawn(nobody(ringing));
            }
            "104" => ringing.refuse(Status::DECLINE, "Decline"),
            _ => ringing.refuse(Status::NOT_FOUND, "No such extension"),
        }
    }
}

/// Extension 101: rings, answers, sounds a tone and listens.
async fn sales(story: Story, ringing: Ringing) {
    let Ok(mut ringing) = ringing.ring().await else {
        return;
    };
    if tokio::time::timeout(RINGS, ringing.gone()).await.is_ok() {
        return;
    }
    let Ok(mut call) = ringing.answer(Codecs::telephony()).await else {
        return;
    };
    story.saw(Step::ExtensionAnswers, "Sarah Jones, Sales");
    tokio::spawn(SALES.say(call.control()));
    let mut caller = Duration::ZERO;
    while let Some(event) = call.next().await {
        match event {
            CallEvent::Heard(frame) if CALLER_TONE.is_in(&frame) => {
                caller += frame.duration();
                if caller >= RECOGNISED {
                    let heard = format!("a tone of {} Hz", CALLER_TONE.0);
                    story.saw(Step::SalesHearsCaller, &heard);
                }
            }
            CallEvent::Ended(_) => break,
            _ => {}
        }
    }
    let heard = [("tone_of_the_caller", caller)];
    tell_figures(&story, "extension 101", &mut call, &heard).await;
}

/// Extension 103: rings until the other side gives up.
async fn nobody(ringing: Ringing) {
    if let Ok(mut ringing) = ringing.ring().await {
        ringing.gone().await;
    }
}

/// Tells the figures of one end of a call that is over.
pub(super) async fn tell_figures(
    story: &Story,
    who: &str,
    call: &mut Call,
    heard: &[(&'static str, Duration)],
) {
    // The last figures come with the end of the media, after that of the call.
    let over = async { while call.next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_FIGURES, over).await;
    let Some(stats) = call.stats() else {
        return;
    };
    let codec = stats.codec.map(|codec| codec.name());
    let mut line = format!(
        "RTP of {who}: {}, {} packets received, {} sent, {} lost, jitter {:.1} ms",
        codec.unwrap_or("no codec"),
        stats.packets_in,
        stats.packets_out,
        stats.lost,
        stats.jitter_ms,
    );
    let mut fields = json!({
        "party": who, "call_id": call.call_id(), "codec": codec,
        "packets_in": stats.packets_in, "packets_out": stats.packets_out,
        "lost": stats.lost, "jitter_ms": (f64::from(stats.jitter_ms) * 100.0).round() / 100.0,
    });
    for (what, long) in heard {
        let words = what.replace('_', " ");
        line.push_str(&format!(", {words} heard for {:.1} s", long.as_secs_f32()));
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(format!("{what}_seconds"), seconds(*long).into());
        }
    }
    story.tell("rtp", story.elapsed(), &line, fields);
    if stats.packets_in > 0 && stats.packets_out > 0 {
        story.counted_media();
    }
}

/// What extension 101 sounds.
const SALES: Tone = Tone(440.0);
/// What the caller sounds once a key was pressed.
const CALLER_TONE: Tone = Tone(300.0);
/// How long a tone has to be heard to be sure of it.
const RECOGNISED: Duration = Duration::from_millis(300);
/// How long the caller listens to the agent before pressing a key.
const PATIENT: Duration = Duration::from_millis(1_500);
/// How long extension 101 rings.
const RINGS: Duration = Duration::from_millis(700);
/// How long the last figures of a call may take.
const LAST_FIGURES: Duration = Duration::from_secs(2);
/// How long caller and 101 talk.
const TALK: Duration = Duration::from_millis(1_000);
