//! Tables `meta`, `workspaces`, `users` and `api_keys`.

use jiff::Timestamp;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::rows::{count, get, millis, parsed, time, time_or_none};
use crate::ids::{ApiKeyId, WorkspaceId};
use crate::store::StoreError;
use crate::tenants::{ApiKey, Role, User, Workspace};

pub(super) async fn meta(pool: &SqlitePool, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
        .bind(key)
        .fetch_optional(pool)
        .await?)
}

pub(super) async fn meta_once(
    pool: &SqlitePool,
    key: &str,
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    sqlx::query("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(key)
        .bind(value)
        .execute(pool)
        .await?;
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = ?")
        .bind(key)
        .fetch_one(pool)
        .await?)
}

pub(super) async fn add_workspace(pool: &SqlitePool, one: &Workspace) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO workspaces (id, name, read_only, wallet_empty, created_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(one.id.as_str())
    .bind(&one.name)
    .bind(one.read_only)
    .bind(one.wallet_empty)
    .bind(millis(one.created_at))
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn update_workspace(pool: &SqlitePool, one: &Workspace) -> Result<(), StoreError> {
    sqlx::query("UPDATE workspaces SET name = ?, read_only = ?, wallet_empty = ? WHERE id = ?")
        .bind(&one.name)
        .bind(one.read_only)
        .bind(one.wallet_empty)
        .bind(one.id.as_str())
        .execute(pool)
        .await?;
    Ok(())
}

pub(super) async fn workspaces(pool: &SqlitePool) -> Result<Vec<Workspace>, StoreError> {
    sqlx::query("SELECT * FROM workspaces ORDER BY created_at, id")
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| {
            Ok(Workspace {
                id: parsed(row, "id", |text| WorkspaceId::parse(text).ok())?,
                name: get(row, "name")?,
                read_only: get(row, "read_only")?,
                wallet_empty: get(row, "wallet_empty")?,
                created_at: time(row, "created_at")?,
            })
        })
        .collect()
}

pub(super) async fn add_user(
    tx: &mut Transaction<'static, Sqlite>,
    user: &User,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO users (id, workspace_id, name, password_hash, created_at)
         VALUES (?, ?, ?, ?, ?)",
    )
    .bind(user.id.as_str())
    .bind(user.workspace.as_str())
    .bind(&user.name)
    .bind(user.password.as_str())
    .bind(millis(user.created_at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn count_users(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
) -> Result<u64, StoreError> {
    sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE workspace_id = ?")
        .bind(workspace.as_str())
        .fetch_one(pool)
        .await
        .map(count)
        .map_err(StoreError::from)
}

pub(super) async fn add_api_key(
    tx: &mut Transaction<'static, Sqlite>,
    key: &ApiKey,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO api_keys (id, workspace_id, hash, role, hint, created_at, revoked_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(key.id.as_str())
    .bind(key.workspace.as_str())
    .bind(hash.as_slice())
    .bind(key.role.name())
    .bind(&key.hint)
    .bind(millis(key.created_at))
    .bind(key.revoked_at.map(millis))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

pub(super) async fn api_key(
    pool: &SqlitePool,
    hash: &[u8; 32],
) -> Result<Option<ApiKey>, StoreError> {
    sqlx::query("SELECT * FROM api_keys WHERE hash = ?")
        .bind(hash.as_slice())
        .fetch_optional(pool)
        .await?
        .as_ref()
        .map(read_api_key)
        .transpose()
}

pub(super) async fn api_keys(pool: &SqlitePool) -> Result<Vec<ApiKey>, StoreError> {
    sqlx::query("SELECT * FROM api_keys ORDER BY created_at, id")
        .fetch_all(pool)
        .await?
        .iter()
        .map(read_api_key)
        .collect()
}

pub(super) async fn revoke_api_key(
    tx: &mut Transaction<'static, Sqlite>,
    id: &ApiKeyId,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
            .bind(millis(at))
            .bind(id.as_str())
            .execute(&mut **tx)
            .await?;
    Ok(done.rows_affected() > 0)
}

fn read_api_key(row: &SqliteRow) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: parsed(row, "id", |text| ApiKeyId::parse(text).ok())?,
        workspace: parsed(row, "workspace_id", |text| WorkspaceId::parse(text).ok())?,
        role: parsed(row, "role", Role::named)?,
        hint: get(row, "hint")?,
        created_at: time(row, "created_at")?,
        revoked_at: time_or_none(row, "revoked_at")?,
    })
}
