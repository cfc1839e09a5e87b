//! The events that tell of calls, as the exact bytes that webhooks are sent.

use jiff::Timestamp;
use serde::Serialize;

use super::record::{CallRecord, SipFacts, ToolUse, Transfer};
use crate::clock;
use crate::ids::EventId;
use crate::webhooks::{Event, EventKind};

/// `call.started`: its INVITE has arrived.
pub fn call_started(record: &CallRecord) -> Event {
    event(
        EventKind::CallStarted,
        record,
        record.started_at,
        Extra::default(),
    )
}

/// `call.answered`.
pub fn call_answered(record: &CallRecord) -> Event {
    let at = record.answered_at.unwrap_or(record.started_at);
    event(EventKind::CallAnswered, record, at, Extra::default())
}

/// `call.transferred`.
pub fn call_transferred(record: &CallRecord, transfer: &Transfer) -> Event {
    let extra = Extra {
        transferred: true,
        transfer: Some(transfer),
        ..Extra::default()
    };
    event(EventKind::CallTransferred, record, clock::now(), extra)
}

/// `tool.invoked`.
pub fn tool_invoked(record: &CallRecord, tool: &ToolUse) -> Event {
    let extra = Extra {
        tool: Some(tool),
        ..Extra::default()
    };
    event(EventKind::ToolInvoked, record, tool.at, extra)
}

/// `call.ended` of a closed record, or `call.failed` when nobody was reached or it broke.
pub fn call_closed(record: &CallRecord, transferred: bool) -> Event {
    use super::record::CallStatus::{Completed, Voicemail};
    let kind = match record.status {
        Some(Completed | Voicemail) => EventKind::CallEnded,
        _ => EventKind::CallFailed,
    };
    let extra = Extra {
        transferred,
        sip: Some(&record.sip),
        ..Extra::default()
    };
    let at = record.ended_at.unwrap_or(record.started_at);
    event(kind, record, at, extra)
}

#[derive(Default)]
struct Extra<'a> {
    transferred: bool,
    transfer: Option<&'a Transfer>,
    tool: Option<&'a ToolUse>,
    sip: Option<&'a SipFacts>,
}

fn event(kind: EventKind, record: &CallRecord, at: Timestamp, extra: Extra<'_>) -> Event {
    let id = EventId::fresh();
    let body = Body {
        id: id.as_str(),
        idempotency_key: id.as_str(),
        event: kind.name(),
        tenant_id: record.workspace.as_str(),
        timestamp: clock::rfc3339(at),
        data: Data {
            id: record.id.as_str(),
            agent_id: record.agent.as_ref().map(|id| id.as_str()),
            agent_name: record.agent_name.as_deref(),
            trunk_id: record.trunk.as_ref().map(|id| id.as_str()),
            from: &record.from,
            to: &record.to,
            duration_seconds: record.duration_seconds(),
            direction: record.direction.name(),
            call_status: record.status_name(),
            outcome: record.outcome.map(super::record::CallOutcome::name),
            transferred: extra.transferred,
            transfer: extra.transfer,
            tool: extra.tool,
            sip: extra.sip,
        },
    };
    Event {
        workspace: record.workspace.clone(),
        call: Some(record.id.clone()),
        agent: record.agent.clone(),
        kind,
        // Strings, numbers and maps with string keys always have a JSON form.
        body: serde_json::to_vec(&body).unwrap_or_default(),
        at,
        id,
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    idempotency_key: &'a str,
    event: &'a str,
    tenant_id: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    agent_id: Option<&'a str>,
    agent_name: Option<&'a str>,
    trunk_id: Option<&'a str>,
    from: &'a str,
    to: &'a str,
    duration_seconds: u64,
    direction: &'a str,
    call_status: &'a str,
    outcome: Option<&'a str>,
    transferred: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<&'a Transfer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a ToolUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Option<&'a SipFacts>,
}
