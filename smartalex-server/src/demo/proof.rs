//! What is left of the call, as a customer sees it: record, list, metrics, webhooks.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, text};
use super::hooks::Hooks;
use super::steps::Step;
use super::story::Story;
use crate::secrets::Secret;

/// The call that is looked for.
pub(super) struct Subject {
    /// Its id, if it was seen while it lived.
    pub(super) id: Option<String>,
    /// Its Call-ID on the wire.
    pub(super) sip_call_id: Option<String>,
    /// Its agent.
    pub(super) agent: String,
    /// Its trunk.
    pub(super) trunk: String,
}

/// Reads the record until it is closed, and looks it up in the list; the call's id.
pub(super) async fn record(story: &Story, api: &Api, subject: &Subject) -> Result<String, String> {
    let until = Instant::now() + PATIENCE;
    let list = format!("/v1/calls?trunk_id={}&per_page=1", subject.trunk);
    let mut id = subject.id.clone();
    let call = loop {
        if id.is_none() {
            let calls = api.get(&list).await?;
            id = calls
                .pointer("/0/id")
                .and_then(Value::as_str)
                .map(str::to_owned);
        }
        let call = match &id {
            Some(id) => api.get(&format!("/v1/calls/{id}")).await?,
            None => Value::Null,
        };
        if is_closed(&call) || Instant::now() >= until {
            break call;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let id = id.ok_or("GET /v1/calls shows no call")?;
    let pretty = serde_json::to_string_pretty(&call).unwrap_or_default();
    let line = format!("GET /v1/calls/{id}\n{pretty}");
    story.tell("record", story.elapsed(), &line, json!({"record": call}));
    if text(&call, "/call_status") == "completed" && text(&call, "/outcome") == "transferred" {
        story.saw(
            Step::RecordClosed,
            "call_status completed, outcome transferred",
        );
    }
    let spoke = |who: &str| {
        let lines = call.get("transcript").and_then(Value::as_array);
        let lines = lines.into_iter().flatten();
        lines.filter(|line| text(line, "/speaker") == who).count()
    };
    let (agent, caller) = (spoke("agent"), spoke("caller"));
    if agent > 0 && caller > 0 {
        let voice = text(&call, "/voice");
        let lines = format!("{agent} and {caller}; the agent's voice: {voice}");
        story.saw(Step::Transcript, &lines);
    }
    if text(&call, "/transfers/0/outcome") == "transferred" {
        let target = text(&call, "/transfers/0/target");
        let by = text(&call, "/transfers/0/confirmed_by");
        story.saw(
            Step::TransferRecorded,
            &format!("{target}, confirmed by {by}"),
        );
    }
    if let Some(seen) = &subject.sip_call_id
        && text(&call, "/sip/call_id") != seen
    {
        story.trouble(format!("the record is not of the call {seen} on the wire"));
    }
    let calls = api.get(&list).await?;
    if text(&calls, "/0/id") == id {
        story.saw(Step::Listed, &id);
    }
    Ok(id)
}

/// Whether nothing is to change any more: the call is over and each transfer has its outcome.
fn is_closed(call: &Value) -> bool {
    let transfers = call.get("transfers").and_then(Value::as_array);
    let mut transfers = transfers.into_iter().flatten();
    let status = text(call, "/call_status");
    !matches!(status, "" | "in_progress")
        && transfers.all(|transfer| !text(transfer, "/outcome").is_empty())
}

/// Shows the metrics that this call moved.
pub(super) async fn metrics(story: &Story, api: &Api, subject: &Subject) {
    let (agent, trunk) = (&subject.agent, &subject.trunk);
    let wanted = [
        format!(
            "smartalex_calls_total{{agent=\"{agent}\",outcome=\"transferred\",direction=\"inbound\"}} 1"
        ),
        format!("smartalex_transfers_total{{agent=\"{agent}\",outcome=\"transferred\"}} 1"),
        format!("smartalex_call_duration_seconds_count{{agent=\"{agent}\"}} 1"),
        format!("smartalex_trunk_registered{{trunk=\"{trunk}\"}} 1"),
        format!("smartalex_trunk_active_calls{{trunk=\"{trunk}\"}} 0"),
    ];
    let until = Instant::now() + PATIENCE;
    let page = loop {
        let page = match api.text("/metrics").await {
            Ok(page) => page,
            Err(error) => return story.trouble(error),
        };
        let there = |wanted: &String| page.lines().any(|line| line == wanted);
        let complete = wanted.iter().all(there);
        if complete || Instant::now() >= until {
            if complete {
                story.saw(Step::Counted, "");
            }
            break page;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let of_this_call = |line: &&str| {
        let named = line.contains(agent.as_str()) || line.contains(trunk.as_str());
        named && !line.contains("_bucket{")
    };
    for line in page.lines().filter(of_this_call) {
        story.tell("metric", story.elapsed(), line, json!({"line": line}));
    }
}

/// Takes the call's deliveries, verifies each and checks their order.
pub(super) async fn webhooks(story: &Story, hooks: &mut Hooks, signing: &Secret, call: &str) {
    const ORDER: [(&str, Step); 4] = [
        ("call.started", Step::HookStarted),
        ("call.answered", Step::HookAnswered),
        ("call.transferred", Step::HookTransferred),
        ("call.ended", Step::HookEnded),
    ];
    let until = Instant::now() + PATIENCE;
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < ORDER.len() {
        let delivery = match tokio::time::timeout_at(until, hooks.next()).await {
            Ok(Some(delivery)) => delivery,
            _ => return,
        };
        let Some(verified) = delivery.tell(story, signing) else {
            continue;
        };
        // At least once: the same event may come again.
        if text(&verified.data, "/id") != call || seen.contains(&verified.id) {
            continue;
        }
        match ORDER.get(seen.len()) {
            Some((event, step)) if verified.event == *event => story.saw(*step, ""),
            _ => story.trouble(format!("webhook {} came out of order", verified.event)),
        }
        seen.push(verified.id);
    }
}

/// How long the record, a metric or a webhook may take.
const PATIENCE: Duration = Duration::from_secs(8);
