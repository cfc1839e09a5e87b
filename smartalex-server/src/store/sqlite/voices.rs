//! Tables `agents`, `webhooks` and `webhook_events`.

use std::collections::HashMap;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::rows::{from_json, get, json, millis, number, parsed, parsed_or_none, time};
use crate::agents::Agent;
use crate::ids::{AgentId, WebhookId, WorkspaceId};
use crate::store::StoreError;
use crate::webhooks::{EventKind, Webhook};

pub(super) async fn insert_agent(
    tx: &mut Transaction<'static, Sqlite>,
    agent: &Agent,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO agents (name, runtime, first_message, system_prompt, max_duration,
             silence_timeout, closing_message, created_at, workspace_id, id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&agent.name)
    .bind(json(&agent.runtime)?)
    .bind(&agent.first_message)
    .bind(&agent.system_prompt)
    .bind(i64::from(agent.max_duration_seconds))
    .bind(i64::from(agent.silence_timeout_seconds))
    .bind(&agent.closing_message)
    .bind(millis(agent.created_at))
    .bind(agent.workspace.as_str())
    .bind(agent.id.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn update_agent(
    tx: &mut Transaction<'static, Sqlite>,
    agent: &Agent,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE agents SET name = ?, runtime = ?, first_message = ?, system_prompt = ?,
             max_duration = ?, silence_timeout = ?, closing_message = ?
         WHERE workspace_id = ? AND id = ?",
    )
    .bind(&agent.name)
    .bind(json(&agent.runtime)?)
    .bind(&agent.first_message)
    .bind(&agent.system_prompt)
    .bind(i64::from(agent.max_duration_seconds))
    .bind(i64::from(agent.silence_timeout_seconds))
    .bind(&agent.closing_message)
    .bind(agent.workspace.as_str())
    .bind(agent.id.as_str())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn delete_agent(
    tx: &mut Transaction<'static, Sqlite>,
    workspace: &WorkspaceId,
    id: &AgentId,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM agents WHERE workspace_id = ? AND id = ?")
        .bind(workspace.as_str())
        .bind(id.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn agents(
    pool: &SqlitePool,
    workspace: Option<&WorkspaceId>,
) -> Result<Vec<Agent>, StoreError> {
    sqlx::query(
        "SELECT * FROM agents WHERE ?1 IS NULL OR workspace_id = ?1 ORDER BY created_at, id",
    )
    .bind(workspace.map(WorkspaceId::as_str))
    .fetch_all(pool)
    .await?
    .iter()
    .map(|row| {
        Ok(Agent {
            id: parsed(row, "id", |text| AgentId::parse(text).ok())?,
            workspace: parsed(row, "workspace_id", |text| WorkspaceId::parse(text).ok())?,
            name: get(row, "name")?,
            runtime: parsed(row, "runtime", from_json)?,
            first_message: get(row, "first_message")?,
            system_prompt: get(row, "system_prompt")?,
            max_duration_seconds: number(row, "max_duration")?,
            silence_timeout_seconds: number(row, "silence_timeout")?,
            closing_message: get(row, "closing_message")?,
            created_at: time(row, "created_at")?,
        })
    })
    .collect()
}

pub(super) async fn insert_webhook(
    tx: &mut Transaction<'static, Sqlite>,
    webhook: &Webhook,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO webhooks
             (id, workspace_id, url, description, agent_id, secret, disabled, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(webhook.id.as_str())
    .bind(webhook.workspace.as_str())
    .bind(&webhook.url)
    .bind(&webhook.description)
    .bind(webhook.agent.as_ref().map(AgentId::as_str))
    .bind(&webhook.secret)
    .bind(&webhook.disabled)
    .bind(millis(webhook.created_at))
    .execute(&mut **tx)
    .await?;
    for kind in &webhook.events {
        sqlx::query("INSERT INTO webhook_events (webhook_id, kind) VALUES (?, ?)")
            .bind(webhook.id.as_str())
            .bind(kind.name())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

pub(super) async fn delete_webhook(
    tx: &mut Transaction<'static, Sqlite>,
    workspace: &WorkspaceId,
    id: &WebhookId,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM webhooks WHERE workspace_id = ? AND id = ?")
        .bind(workspace.as_str())
        .bind(id.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn webhooks(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
) -> Result<Vec<Webhook>, StoreError> {
    let mut tx = pool.begin().await?;
    let rows = sqlx::query("SELECT * FROM webhooks WHERE workspace_id = ? ORDER BY created_at, id")
        .bind(workspace.as_str())
        .fetch_all(&mut *tx)
        .await?;
    let mut events: HashMap<String, Vec<EventKind>> = HashMap::new();
    for row in sqlx::query(
        "SELECT e.webhook_id, e.kind FROM webhook_events e
         JOIN webhooks w ON w.id = e.webhook_id WHERE w.workspace_id = ?",
    )
    .bind(workspace.as_str())
    .fetch_all(&mut *tx)
    .await?
    {
        events
            .entry(get(&row, "webhook_id")?)
            .or_default()
            .push(parsed(&row, "kind", EventKind::named)?);
    }
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let mut webhook = read_webhook(row)?;
            webhook.events = events.remove(webhook.id.as_str()).unwrap_or_default();
            // The order of the documentation, whatever order they were given in.
            webhook
                .events
                .sort_by_key(|kind| EventKind::ALL.iter().position(|other| other == kind));
            Ok(webhook)
        })
        .collect()
}

fn read_webhook(row: &SqliteRow) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: parsed(row, "id", |text| WebhookId::parse(text).ok())?,
        workspace: parsed(row, "workspace_id", |text| WorkspaceId::parse(text).ok())?,
        url: get(row, "url")?,
        events: Vec::new(),
        description: get(row, "description")?,
        agent: parsed_or_none(row, "agent_id", |text| AgentId::parse(text).ok())?,
        secret: get(row, "secret")?,
        disabled: get(row, "disabled")?,
        created_at: time(row, "created_at")?,
    })
}
