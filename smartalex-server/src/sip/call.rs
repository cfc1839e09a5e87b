//! One call from its admission to its record: agent made ready, answered, talked, closed.
//! Every way out of here closes the record.

use std::sync::Arc;
use std::time::Duration;

use rtp_media::codec::Codec;
use sip_core::endpoint::Reply;
use sip_core::header::{NameAddr, PAssertedIdentity};
use sip_core::message::Request;
use sip_core::name::Name;
use sip_core::status::Status;
use voice_bridge::agent::{
    self, AgentError, CallInfo, Directory, EmbeddedConfig, ExtensionEntry, MediaStreamsConfig,
};
use voice_bridge::call::{Conversation, TransferRules};
use voice_bridge::speech::Voice;
use voice_bridge::{AnswerError, Codecs, Limits, Ringing};

use super::admission::{AGENT, Admitted, number_calling, unanswered};
use super::live::{Live, LiveCall};
use super::recorder::{Recorder, Transfers};
use crate::agents::{Agent, Runtime};
use crate::app::App;
use crate::calls::record::{Direction, EndedBy};
use crate::calls::{CallClosing, CallEntry, CallResult, NewCall, RefusedCall};
use crate::clock;
use crate::trunks::{Extension, TrunkCodec};

/// Takes a call that admission let in.
pub(super) async fn take(app: Arc<App>, live: Arc<Live>, voice: Voice, mut ringing: Ringing) {
    let Some(admitted) = ringing.take_context::<Admitted>() else {
        // Admission attaches it to every call that it lets in.
        ringing.refuse(Status::SERVER_INTERNAL_ERROR, "Admission lost");
        return;
    };
    let codecs = codecs(&admitted);
    if let Err(error) = ringing.agreeable(&codecs) {
        return unacceptable(&app, &admitted, ringing, codecs, &error).await;
    }
    let entry = match app
        .ledger
        .open(new_call(&admitted, ringing.request()))
        .await
    {
        Ok(entry) => entry,
        Err(error) => {
            tracing::error!(call_id = ringing.call_id(), %error, "call refused: no record can be kept");
            let reply = Reply::new(Status::SERVICE_UNAVAILABLE)
                .header(Name::RetryAfter, "10")
                .header(
                    Name::Warning,
                    format!("399 {AGENT} \"the call store cannot be written\""),
                );
            return ringing.refuse_with(reply);
        }
    };
    tracing::info!(
        call = %entry.id(), call_id = ringing.call_id(), trunk = %admitted.line.trunk.id,
        agent = %admitted.agent.id, source = %ringing.flow().remote, "call admitted"
    );
    let transfers = Transfers::default();
    let (recorder, closed) = Recorder::start(entry.clone(), transfers.clone());
    let conversation = conversation(&admitted, &entry, ringing.request(), voice).observer(recorder);
    let live_call = LiveCall {
        steering: conversation.steering(),
        transfers: transfers.clone(),
    };
    let entered = live.enter(entry.id().clone(), live_call);
    let ready = ready(ringing, conversation, &entry, &transfers).await;
    let Some((ringing, conversation)) = ready else {
        return;
    };
    let call = match ringing.answer(codecs).await {
        Ok(call) => call,
        Err(error) => return close_unanswered(&entry, &error).await,
    };
    let report = call.run(conversation).await;
    tracing::info!(
        call = %entry.id(), call_id = report.call_id, cause = report.cause.label(),
        seconds = report.talked.as_secs_f32(), "call ended"
    );
    closed.wait().await;
    // Its place is free once the record says that the call is over, not before.
    drop((entered, admitted.permit));
}

/// Gets the agent ready while the caller waits; `None` when there will be no call.
async fn ready(
    mut ringing: Ringing,
    mut conversation: Conversation,
    entry: &CallEntry,
    transfers: &Transfers,
) -> Option<(Ringing, Conversation)> {
    let mut rang = false;
    let prepared = {
        let prepare = conversation.prepare();
        tokio::pin!(prepare);
        loop {
            tokio::select! {
                prepared = &mut prepare => break prepared,
                ending = ringing.gone() => {
                    let cause = ending.map_or_else(String::new, |ending| ending.to_string());
                    close(entry, CallResult::NoAnswer, 487, EndedBy::Caller, &cause).await;
                    return None;
                }
                () = transfers.hang_up_asked() => {
                    let reason = "hung up by the API before the answer";
                    ringing.refuse(Status::TEMPORARILY_UNAVAILABLE, "Hung up");
                    close(entry, CallResult::Failed, 480, EndedBy::Api, reason).await;
                    return None;
                }
                () = tokio::time::sleep(RING_AFTER), if !rang => {
                    rang = true;
                    ringing = match ringing.ring().await {
                        Ok(ringing) => ringing,
                        Err(error) => {
                            close_unanswered(entry, &error).await;
                            return None;
                        }
                    };
                }
            }
        }
    };
    match prepared {
        Ok(()) => Some((ringing, conversation)),
        Err(error) => {
            unreachable(ringing, entry, &error).await;
            None
        }
    }
}

/// The agent cannot be reached: 480.
async fn unreachable(ringing: Ringing, entry: &CallEntry, error: &AgentError) {
    let reason = format!("the agent cannot be reached: {error}");
    tracing::warn!(call = %entry.id(), call_id = ringing.call_id(), status = 480, reason, "call refused");
    let text: String = reason
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
        .collect();
    let reply = Reply::new(Status::TEMPORARILY_UNAVAILABLE)
        .header(Name::Warning, format!("399 {AGENT} \"{text}\""));
    ringing.refuse_with(reply);
    close(entry, CallResult::Failed, 480, EndedBy::Server, &reason).await;
}

/// Nothing can be agreed about media: the refusal and its record.
async fn unacceptable(
    app: &App,
    admitted: &Admitted,
    ringing: Ringing,
    codecs: Codecs,
    error: &AnswerError,
) {
    let AnswerError::NotAcceptable { status, cause } = error else {
        return;
    };
    tracing::warn!(
        call_id = ringing.call_id(), source = %ringing.flow().remote, status = status.code(),
        reason = cause, "call refused"
    );
    app.ledger.record_refused(RefusedCall {
        code: Some(status.code()),
        reason: cause.clone(),
        trusted: true,
        ..unanswered(ringing.request(), &admitted.number, Some(&admitted.line))
    });
    // It says the same to the caller, with its Warning.
    let _ = ringing.answer(codecs).await;
}

async fn close_unanswered(entry: &CallEntry, error: &AnswerError) {
    let (result, code, by) = match error {
        AnswerError::Gone => (CallResult::NoAnswer, 487, EndedBy::Caller),
        AnswerError::NotAcceptable { status, .. } => {
            (CallResult::Failed, status.code(), EndedBy::Server)
        }
        _ => (CallResult::Failed, 503, EndedBy::Server),
    };
    tracing::warn!(call = %entry.id(), status = code, reason = %error, "call not answered");
    close(entry, result, code, by, &error.to_string()).await;
}

async fn close(entry: &CallEntry, result: CallResult, code: u16, by: EndedBy, reason: &str) {
    let closing = CallClosing {
        at: clock::now(),
        result,
        final_code: Some(code),
        reason: Some(reason.to_owned()),
        ended_by: by,
        media: None,
    };
    if let Err(error) = entry.close(closing).await {
        tracing::error!(call = %entry.id(), %error, "call record");
    }
}

fn new_call(admitted: &Admitted, request: &Request) -> NewCall {
    NewCall {
        workspace: admitted.line.workspace.id.clone(),
        trunk: Some(admitted.line.trunk.id.clone()),
        agent: Some(admitted.agent.id.clone()),
        agent_name: Some(admitted.agent.name.clone()),
        direction: Direction::Inbound,
        from: number_calling(request),
        to: admitted.number.clone(),
        sip_call_id: request.call_id().to_owned(),
        sip_from: request.from().to_string(),
        sip_to: request.to().to_string(),
        started_at: clock::now(),
    }
}

fn conversation(
    admitted: &Admitted,
    entry: &CallEntry,
    request: &Request,
    voice: Voice,
) -> Conversation {
    let trunk = &admitted.line.trunk;
    let agent = &admitted.agent;
    let mut info = CallInfo::new(
        entry.id().as_str(),
        number_calling(request),
        &*admitted.number,
    );
    info.sip_call_id = request.call_id().to_owned();
    info.agent_id = agent.id.as_str().to_owned();
    info.trunk_id = trunk.id.as_str().to_owned();
    info.extensions = Arc::new(Directory::new(
        admitted.line.extensions.all().iter().map(extension),
    ));
    let mut rules = TransferRules::to_domain(&trunk.pbx_sip_domain);
    rules.asserted = Some(identity(request));
    rules.forward_to = trunk.call_forwarding_number.clone();
    rules.config.referred_by = Some(request.to().detached());
    Conversation::new(runtime(agent, &voice), info)
        .limits(Limits {
            max_duration: Duration::from_secs(agent.max_duration_seconds.into()),
            silence: Some(Duration::from_secs(agent.silence_timeout_seconds.into())),
            // An answer whose ACK never comes is found out after 32 s (RFC 3261 13.3.1.4), and then
            // that is the cause to be told, not the missing audio.
            no_audio: Some(Duration::from_secs(35)),
            ..Limits::default()
        })
        .transfers(rules)
        .closing_message(agent.closing_message.clone())
        .fallback(voice)
}

fn runtime(agent: &Agent, voice: &Voice) -> Box<dyn agent::Agent> {
    match &agent.runtime {
        Runtime::Embedded => {
            let spoken = agent
                .first_message
                .clone()
                .or_else(|| agent.system_prompt.clone());
            let config = EmbeddedConfig::new(voice.clone(), spoken)
                .closing_message(agent.closing_message.clone());
            agent::embedded(config)
        }
        Runtime::MediaStreams(runtime) => {
            agent::media_streams(MediaStreamsConfig::new(&*runtime.url))
        }
    }
}

/// The caller as the PBX is told in P-Asserted-Identity: what it asserted itself, else From.
fn identity(request: &Request) -> NameAddr {
    match request.typed::<PAssertedIdentity>() {
        Some(Ok(identity)) => identity.detached(),
        _ => request.from().detached(),
    }
}

fn extension(extension: &Extension) -> ExtensionEntry {
    let mut entry = ExtensionEntry::new(&*extension.extension, &*extension.display_name);
    entry.owner = extension.owner.clone().unwrap_or_default();
    entry.aliases.clone_from(&extension.aliases);
    entry
}

fn codecs(admitted: &Admitted) -> Codecs {
    Codecs::only(admitted.line.trunk.codecs.iter().map(|codec| match codec {
        TrunkCodec::Pcmu => Codec::Pcmu,
        TrunkCodec::Pcma => Codec::Pcma,
    }))
}

/// How long an agent may take to get ready before the caller hears ringing.
const RING_AFTER: Duration = Duration::from_millis(150);
