//! Tables `trunks`, `trunk_dids` and `extensions`.

use std::collections::HashMap;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Sqlite, Transaction};

use super::rows::{from_json, get, json, millis, number, parsed, parsed_or_none, time};
use crate::ids::{AgentId, TrunkId, WorkspaceId};
use crate::store::{Conflict, PutMode, StoreError};
use crate::trunks::{Did, Extension, TransferMode, Trunk, TrunkAuth, TrunkCodec, TrunkTransport};

pub(super) async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    trunk: &Trunk,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO trunks (name, pbx_type, pbx_sip_domain, auth, allowed_ips, username,
             password, codecs, transport, max_concurrent_calls, agent_id, transfer,
             call_forwarding_number, suspended, created_at, workspace_id, id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&trunk.name)
    .bind(&trunk.pbx_type)
    .bind(&trunk.pbx_sip_domain)
    .bind(trunk.auth.name())
    .bind(json(&trunk.allowed_ips)?)
    .bind(&trunk.username)
    .bind(&trunk.password)
    .bind(json(&trunk.codecs)?)
    .bind(trunk.transport.name())
    .bind(i64::from(trunk.max_concurrent_calls))
    .bind(trunk.agent.as_ref().map(AgentId::as_str))
    .bind(trunk.transfer.name())
    .bind(&trunk.call_forwarding_number)
    .bind(trunk.suspended)
    .bind(millis(trunk.created_at))
    .bind(trunk.workspace.as_str())
    .bind(trunk.id.as_str())
    .execute(&mut **tx)
    .await?;
    insert_dids(tx, trunk).await
}

pub(super) async fn update(
    tx: &mut Transaction<'static, Sqlite>,
    trunk: &Trunk,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE trunks SET name = ?, pbx_type = ?, pbx_sip_domain = ?, auth = ?, allowed_ips = ?,
             username = ?, password = ?, codecs = ?, transport = ?, max_concurrent_calls = ?,
             agent_id = ?, transfer = ?, call_forwarding_number = ?, suspended = ?
         WHERE workspace_id = ? AND id = ?",
    )
    .bind(&trunk.name)
    .bind(&trunk.pbx_type)
    .bind(&trunk.pbx_sip_domain)
    .bind(trunk.auth.name())
    .bind(json(&trunk.allowed_ips)?)
    .bind(&trunk.username)
    .bind(&trunk.password)
    .bind(json(&trunk.codecs)?)
    .bind(trunk.transport.name())
    .bind(i64::from(trunk.max_concurrent_calls))
    .bind(trunk.agent.as_ref().map(AgentId::as_str))
    .bind(trunk.transfer.name())
    .bind(&trunk.call_forwarding_number)
    .bind(trunk.suspended)
    .bind(trunk.workspace.as_str())
    .bind(trunk.id.as_str())
    .execute(&mut **tx)
    .await?;
    sqlx::query("DELETE FROM trunk_dids WHERE trunk_id = ?")
        .bind(trunk.id.as_str())
        .execute(&mut **tx)
        .await?;
    insert_dids(tx, trunk).await
}

async fn insert_dids(
    tx: &mut Transaction<'static, Sqlite>,
    trunk: &Trunk,
) -> Result<(), StoreError> {
    for (position, did) in (0_i64..).zip(&trunk.dids) {
        sqlx::query(
            "INSERT INTO trunk_dids (workspace_id, digits, number, trunk_id, position)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(trunk.workspace.as_str())
        .bind(&did.digits)
        .bind(&did.number)
        .bind(trunk.id.as_str())
        .bind(position)
        .execute(&mut **tx)
        .await
        .map_err(|error| match StoreError::from(error) {
            StoreError::Conflict(_) => StoreError::Conflict(Conflict::Did(did.number.clone())),
            other => other,
        })?;
    }
    Ok(())
}

pub(super) async fn delete(
    tx: &mut Transaction<'static, Sqlite>,
    workspace: &WorkspaceId,
    id: &TrunkId,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM trunks WHERE workspace_id = ? AND id = ?")
        .bind(workspace.as_str())
        .bind(id.as_str())
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn all(
    pool: &SqlitePool,
    workspace: Option<&WorkspaceId>,
) -> Result<Vec<Trunk>, StoreError> {
    let workspace = workspace.map(WorkspaceId::as_str);
    // One transaction, so that trunks and their numbers are of the same moment.
    let mut tx = pool.begin().await?;
    let rows = sqlx::query(
        "SELECT * FROM trunks WHERE ?1 IS NULL OR workspace_id = ?1 ORDER BY created_at, id",
    )
    .bind(workspace)
    .fetch_all(&mut *tx)
    .await?;
    let mut dids: HashMap<String, Vec<Did>> = HashMap::new();
    for row in sqlx::query(
        "SELECT trunk_id, number, digits FROM trunk_dids
         WHERE ?1 IS NULL OR workspace_id = ?1 ORDER BY position",
    )
    .bind(workspace)
    .fetch_all(&mut *tx)
    .await?
    {
        dids.entry(get(&row, "trunk_id")?)
            .or_default()
            .push(read_did(&row)?);
    }
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            let mut trunk = read(row)?;
            trunk.dids = dids.remove(trunk.id.as_str()).unwrap_or_default();
            Ok(trunk)
        })
        .collect()
}

pub(super) async fn one(
    pool: &SqlitePool,
    workspace: &WorkspaceId,
    id: &TrunkId,
) -> Result<Option<Trunk>, StoreError> {
    let mut tx = pool.begin().await?;
    let Some(row) = sqlx::query("SELECT * FROM trunks WHERE workspace_id = ? AND id = ?")
        .bind(workspace.as_str())
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await?
    else {
        return Ok(None);
    };
    let mut trunk = read(&row)?;
    trunk.dids =
        sqlx::query("SELECT number, digits FROM trunk_dids WHERE trunk_id = ? ORDER BY position")
            .bind(id.as_str())
            .fetch_all(&mut *tx)
            .await?
            .iter()
            .map(read_did)
            .collect::<Result<_, _>>()?;
    tx.commit().await?;
    Ok(Some(trunk))
}

fn read_did(row: &SqliteRow) -> Result<Did, StoreError> {
    Ok(Did {
        number: get(row, "number")?,
        digits: get(row, "digits")?,
    })
}

fn read(row: &SqliteRow) -> Result<Trunk, StoreError> {
    Ok(Trunk {
        id: parsed(row, "id", |text| TrunkId::parse(text).ok())?,
        workspace: parsed(row, "workspace_id", |text| WorkspaceId::parse(text).ok())?,
        name: get(row, "name")?,
        pbx_type: get(row, "pbx_type")?,
        pbx_sip_domain: get(row, "pbx_sip_domain")?,
        auth: parsed(row, "auth", TrunkAuth::named)?,
        allowed_ips: parsed(row, "allowed_ips", from_json)?,
        username: get(row, "username")?,
        password: get(row, "password")?,
        codecs: parsed(row, "codecs", from_json::<Vec<TrunkCodec>>)?,
        transport: parsed(row, "transport", TrunkTransport::named)?,
        max_concurrent_calls: number(row, "max_concurrent_calls")?,
        dids: Vec::new(),
        agent: parsed_or_none(row, "agent_id", |text| AgentId::parse(text).ok())?,
        transfer: parsed(row, "transfer", TransferMode::named)?,
        call_forwarding_number: get(row, "call_forwarding_number")?,
        suspended: get(row, "suspended")?,
        created_at: time(row, "created_at")?,
    })
}

pub(super) async fn put_extensions(
    tx: &mut Transaction<'static, Sqlite>,
    trunk: &TrunkId,
    extensions: &[Extension],
    mode: PutMode,
) -> Result<u64, StoreError> {
    let mut added = 0;
    for extension in extensions {
        let exists: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM extensions WHERE trunk_id = ? AND extension = ?")
                .bind(trunk.as_str())
                .bind(&extension.extension)
                .fetch_optional(&mut **tx)
                .await?;
        match (exists, mode) {
            (Some(_), PutMode::Create) => {
                return Err(StoreError::Conflict(Conflict::Extension(
                    extension.extension.clone(),
                )));
            }
            (Some(_), PutMode::Replace) => {}
            (None, _) => added += 1,
        }
        sqlx::query(
            "INSERT INTO extensions
                 (trunk_id, extension, display_name, owner, department, aliases)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (trunk_id, extension) DO UPDATE SET display_name = excluded.display_name,
                 owner = excluded.owner, department = excluded.department,
                 aliases = excluded.aliases",
        )
        .bind(trunk.as_str())
        .bind(&extension.extension)
        .bind(&extension.display_name)
        .bind(&extension.owner)
        .bind(&extension.department)
        .bind(json(&extension.aliases)?)
        .execute(&mut **tx)
        .await?;
    }
    Ok(added)
}

pub(super) async fn delete_extension(
    tx: &mut Transaction<'static, Sqlite>,
    trunk: &TrunkId,
    extension: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM extensions WHERE trunk_id = ? AND extension = ?")
        .bind(trunk.as_str())
        .bind(extension)
        .execute(&mut **tx)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn extensions(
    pool: &SqlitePool,
    trunk: &TrunkId,
) -> Result<Vec<Extension>, StoreError> {
    sqlx::query("SELECT * FROM extensions WHERE trunk_id = ? ORDER BY length(extension), extension")
        .bind(trunk.as_str())
        .fetch_all(pool)
        .await?
        .iter()
        .map(|row| {
            Ok(Extension {
                extension: get(row, "extension")?,
                display_name: get(row, "display_name")?,
                owner: get(row, "owner")?,
                department: get(row, "department")?,
                aliases: parsed(row, "aliases", from_json)?,
            })
        })
        .collect()
}
