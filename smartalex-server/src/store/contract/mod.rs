//! What every store has to do: one suite, run on each implementation by [`contract!`].
//! The behaviours are in the files beside this one; here is what they stand on.

mod calls;
mod outbox;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use crate::agents::{Agent, MediaStreams, Runtime};
use crate::audit::AuditEntry;
use crate::calls::record::{
    CallOutcome, CallRecord, CallStatus, ConfirmedBy, Direction, EndedBy, MediaFacts, SipFacts,
    Speaker, ToolUse, TranscriptLine, Transfer, TransferKind, TransferOutcome, TransferState,
    TransferStep,
};
use crate::calls::{LEASE, events, sweep};
use crate::clock;
use crate::ids::{
    AgentId, ApiKeyId, CallId, DeliveryId, TransferId, TrunkId, UserId, WebhookId, WorkspaceId,
};
use crate::secrets::hash_password;
use crate::store::{
    AuditFilter, CallFilter, CallWrite, Change, Close, Conflict, Idempotent, Lease, Orphans, Page,
    PutMode, StatusFilter, Store, StoreError,
};
use crate::tenants::{ApiKey, Role, User, Workspace};
use crate::trunks::{Did, Extension, TransferMode, Trunk, TrunkAuth, TrunkCodec, TrunkTransport};
use crate::webhooks::{AttemptResult, DeliveryState, EventKind, Webhook};

pub(crate) use calls::*;
pub(crate) use outbox::*;
pub(crate) use settings::*;

/// Runs the suite on what `$open` (an async function without arguments) gives: a store, and
/// something that is dropped after it.
macro_rules! contract {
    ($open:path) => {
        $crate::store::contract::contract!($open:
            what_is_kept_once_stays,
            workspaces_people_and_keys_are_kept,
            a_revoked_key_is_known_as_such,
            trunks_come_back_as_they_were_put,
            names_users_and_numbers_collide,
            a_refused_change_leaves_nothing,
            deleting_an_agent_unlinks_its_trunks,
            extensions_are_put_all_or_none,
            agents_and_webhooks_come_back_as_they_were_put,
            an_idempotency_key_is_taken_once,
            the_audit_log_is_filtered,
            a_call_is_told_from_its_invite_to_its_end,
            a_closed_call_stays_closed,
            calls_are_filtered_and_paged,
            a_failing_write_takes_the_whole_batch_back,
            orphans_are_closed_once_and_told,
            events_reach_the_webhooks_that_want_them,
            deliveries_of_a_call_go_out_in_order,
            a_lease_is_held_by_one_and_runs_out,
            a_gone_endpoint_gets_nothing_more,
            dead_letters_are_replayed,
            old_events_and_keys_are_forgotten,
        );
    };
    ($open:path: $($behaviour:ident,)+) => { $(
        #[tokio::test]
        async fn $behaviour() {
            let (store, _kept) = $open().await;
            $crate::store::contract::$behaviour(store).await;
        }
    )+ };
}
pub(crate) use contract;

type Opened = Arc<dyn Store>;

pub(super) async fn workspace(store: &Opened) -> Workspace {
    let workspace = Workspace {
        id: WorkspaceId::fresh(),
        name: "w".into(),
        read_only: false,
        wallet_empty: false,
        created_at: clock::now(),
    };
    store.add_workspace(&workspace).await.unwrap();
    workspace
}

pub(super) async fn lease(
    store: &Opened,
    webhook: &WebhookId,
    node: &str,
    after: Duration,
) -> Vec<crate::webhooks::LeasedDelivery> {
    let now = clock::later(clock::now(), after);
    let lease = Lease {
        node,
        webhook,
        now,
        until: clock::later(now, Duration::from_secs(30)),
        limit: 10,
    };
    store.lease_deliveries(lease).await.unwrap()
}

pub(super) async fn finish(store: &Opened, id: &DeliveryId, result: AttemptResult) {
    let results = [(id.clone(), result)];
    store
        .finish_attempts("n", &results, clock::now())
        .await
        .unwrap();
}

pub(super) fn audit(workspace: &WorkspaceId) -> AuditEntry {
    AuditEntry::new(workspace, "test", "x.changed", "x_1", "")
}

pub(super) fn change(workspace: &WorkspaceId) -> Change {
    Change::new(audit(workspace))
}

pub(super) fn idempotent(key: &str) -> Idempotent {
    Idempotent {
        key: key.into(),
        request: [1; 32],
        status: 201,
        body: vec![1, 2, 3],
        at: clock::now(),
    }
}

pub(super) fn page(page: u32, per_page: u32) -> Page {
    Page { page, per_page }
}

pub(super) fn agent(workspace: &WorkspaceId) -> Agent {
    Agent {
        id: AgentId::fresh(),
        workspace: workspace.clone(),
        name: "Sarah".into(),
        runtime: Runtime::Embedded,
        first_message: Some("Hello".into()),
        system_prompt: None,
        max_duration_seconds: 300,
        silence_timeout_seconds: 30,
        closing_message: Some("Bye".into()),
        created_at: clock::now(),
    }
}

pub(super) fn trunk(workspace: &WorkspaceId, name: &str, username: &str, dids: &[&str]) -> Trunk {
    Trunk {
        id: TrunkId::fresh(),
        workspace: workspace.clone(),
        name: name.into(),
        pbx_type: "Asterisk".into(),
        pbx_sip_domain: "pbx.example.com".into(),
        auth: TrunkAuth::Digest,
        allowed_ips: vec!["10.0.0.0/8".parse().unwrap()],
        username: Some(username.into()),
        password: Some(vec![1, 2, 3]),
        codecs: vec![TrunkCodec::Pcmu, TrunkCodec::Pcma],
        transport: TrunkTransport::Udp,
        max_concurrent_calls: 10,
        dids: dids
            .iter()
            .map(|number| Did {
                number: (*number).into(),
                digits: crate::directory::normal(number).unwrap(),
            })
            .collect(),
        agent: None,
        transfer: TransferMode::Refer,
        call_forwarding_number: None,
        suspended: false,
        created_at: clock::now(),
    }
}

pub(super) fn extension(number: &str, name: &str) -> Extension {
    Extension {
        extension: number.into(),
        display_name: name.into(),
        owner: Some("Sarah".into()),
        department: None,
        aliases: vec!["a".into(), "b|c".into()],
    }
}

pub(super) fn webhook(workspace: &WorkspaceId, events: &[EventKind]) -> Webhook {
    Webhook {
        id: WebhookId::fresh(),
        workspace: workspace.clone(),
        url: "https://example.com/hook".into(),
        events: events.to_vec(),
        description: None,
        agent: None,
        secret: vec![9; 10],
        disabled: None,
        created_at: clock::now(),
    }
}

pub(super) fn call(workspace: &WorkspaceId) -> CallRecord {
    CallRecord {
        id: CallId::fresh(),
        workspace: workspace.clone(),
        node: "node-1".into(),
        trunk: None,
        agent: None,
        agent_name: Some("Sarah".into()),
        direction: Direction::Inbound,
        status: None,
        outcome: None,
        from: "+27821234567".into(),
        to: "+27 87 250 0100".into(),
        started_at: clock::now(),
        answered_at: None,
        ended_at: None,
        sip: SipFacts {
            call_id: "abc@pbx".into(),
            from: "<sip:a@pbx>".into(),
            to: "<sip:b@us>".into(),
            ..SipFacts::default()
        },
        media: None,
        voice: None,
        message: None,
    }
}

pub(super) fn open(call: &CallRecord) -> CallWrite {
    CallWrite::Open {
        lease_until: clock::later(clock::now(), LEASE),
        event: Some(events::call_started(call)),
        call: Box::new(call.clone()),
    }
}

pub(super) fn closing(call: &CallRecord, status: CallStatus, outcome: CallOutcome) -> CallWrite {
    CallWrite::Close {
        call: call.id.clone(),
        close: Box::new(Close {
            at: clock::later(call.started_at, Duration::from_secs(49)),
            status,
            outcome,
            final_code: Some(200),
            reason: Some("Normal call clearing".into()),
            ended_by: Some(EndedBy::Caller),
            media: Some(MediaFacts {
                codec: Some("PCMU".into()),
                jitter_ms: Some(1.5),
                packets_in: 2_350,
                ..MediaFacts::default()
            }),
        }),
        event: None,
    }
}

pub(super) fn take_over(call: &mut CallRecord, write: &CallWrite) {
    let CallWrite::Close { close, .. } = write else {
        panic!("{write:?} closes nothing");
    };
    call.status = Some(close.status);
    call.outcome = Some(close.outcome);
    call.ended_at = Some(close.at);
    call.sip.final_code = close.final_code;
    call.sip.reason = close.reason.clone();
    call.sip.ended_by = close.ended_by;
    call.media = close.media.clone();
}

pub(super) fn transfer() -> Transfer {
    Transfer {
        id: TransferId::fresh(),
        target: "101".into(),
        kind: TransferKind::Blind,
        state: TransferState::Requested,
        outcome: None,
        confirmed_by: ConfirmedBy::None,
        sip_code: None,
        reason: None,
        steps: vec![TransferStep {
            at: clock::now().to_string(),
            what: "requested".into(),
        }],
        requested_at: clock::now(),
        ended_at: None,
    }
}

pub(super) fn put_transfer(
    call: &CallRecord,
    transfer: &Transfer,
    outcome: Option<CallOutcome>,
) -> CallWrite {
    CallWrite::Transfer {
        call: call.id.clone(),
        transfer: Box::new(transfer.clone()),
        outcome,
        event: None,
    }
}
