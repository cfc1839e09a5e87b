//! The first start: a workspace, its owner, a key to begin with; said once and never again.
//! Also the keys of the `api-key` command, which works on the store beside a running server.

use std::path::Path;
use std::sync::Arc;

use crate::audit::AuditEntry;
use crate::clock;
use crate::config::Config;
use crate::ids::{ApiKeyId, UserId, WorkspaceId};
use crate::secrets::{self, Cell, Secret, Vault, VaultError};
use crate::store::{self, Store, StoreError};
use crate::tenants::{ApiKey, Role, User, Workspace};

/// What is said once, at the very first start.
#[derive(Debug)]
pub struct FirstStart {
    /// A key with the role `admin`.
    pub api_key: Secret,
    /// The owner's name.
    pub owner: String,
    /// The owner's password.
    pub owner_password: Secret,
}

/// The store and the vault that belongs to it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The vault.
    pub vault: Vault,
}

/// Why the server could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The master key belongs to another store.
    #[error(
        "the master key does not belong to this store: put back the key file that was made with \
         it, or the SMARTALEX_MASTER_KEY that was set then"
    )]
    WrongMasterKey,
    /// The owner's password could not be hashed.
    #[error("the owner's password could not be hashed: {0}")]
    Password(String),
}

/// Opens store and vault, and makes sure that they belong together.
///
/// # Errors
/// When one of them cannot be opened, or the key is another one than the store was sealed with.
pub async fn open(config: &Config) -> Result<Opened, OpenError> {
    if let Some(directory) = config
        .store
        .url
        .strip_prefix("sqlite://")
        .and_then(|path| Path::new(path).parent())
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory).map_err(|error| {
            StoreError::Unreachable(format!("cannot create {}: {error}", directory.display()))
        })?;
    }
    let vault = Vault::load(
        config.secrets.master_key.as_ref().map(Secret::expose),
        &config.secrets.key_file,
    )?;
    let store = store::open(&config.store.url).await?;
    let sealed = store
        .meta_once("vault_check", &vault.seal(CHECK, b"smartalex")?)
        .await?;
    match vault.open(CHECK, &sealed) {
        Ok(_) => Ok(Opened { store, vault }),
        Err(_) => Err(OpenError::WrongMasterKey),
    }
}

/// Makes sure that there is a workspace; gives the oldest.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn workspace(store: &dyn Store) -> Result<WorkspaceId, StoreError> {
    // Two processes may come here at once: the id is agreed on first, under a key that is
    // written only once.
    if let Some(oldest) = store.workspaces().await?.into_iter().next() {
        return Ok(oldest.id);
    }
    let agreed = store
        .meta_once("first_workspace", WorkspaceId::fresh().as_str().as_bytes())
        .await?;
    let id = std::str::from_utf8(&agreed)
        .ok()
        .and_then(|text| WorkspaceId::parse(text).ok())
        .ok_or_else(|| StoreError::Corrupt("meta first_workspace".to_owned()))?;
    let workspace = Workspace {
        id: id.clone(),
        name: "default".to_owned(),
        read_only: false,
        wallet_empty: false,
        created_at: clock::now(),
    };
    match store.add_workspace(&workspace).await {
        Ok(()) | Err(StoreError::Conflict(_)) => Ok(id),
        Err(error) => Err(error),
    }
}

/// Makes the owner and a first key, unless there is an owner.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn first_start(
    store: &dyn Store,
    workspace: &WorkspaceId,
) -> Result<Option<FirstStart>, OpenError> {
    if store.count_users(workspace).await? > 0 {
        return Ok(None);
    }
    let owner_password = secrets::fresh_password();
    let plain = owner_password.clone();
    let hash = tokio::task::spawn_blocking(move || secrets::hash_password(plain.expose()))
        .await
        .map_err(|error| OpenError::Password(error.to_string()))?
        .map_err(|error| OpenError::Password(error.to_string()))?;
    let user = User {
        id: UserId::fresh(),
        workspace: workspace.clone(),
        name: "owner".to_owned(),
        password: hash,
        created_at: clock::now(),
    };
    let audit = AuditEntry::new(
        workspace,
        "server",
        "user.created",
        user.id.as_str(),
        "owner",
    );
    store.add_user(&user, &audit).await?;
    let (_, api_key) = create_api_key(store, workspace, Role::Admin, "server").await?;
    Ok(Some(FirstStart {
        api_key,
        owner: user.name,
        owner_password,
    }))
}

/// Makes an API key; the key itself is nowhere else.
///
/// # Errors
/// When the store cannot be written.
pub async fn create_api_key(
    store: &dyn Store,
    workspace: &WorkspaceId,
    role: Role,
    actor: &str,
) -> Result<(ApiKeyId, Secret), StoreError> {
    let key = secrets::fresh_api_key();
    let row = ApiKey {
        id: ApiKeyId::fresh(),
        workspace: workspace.clone(),
        role,
        hint: key.expose().chars().take(HINT).collect(),
        created_at: clock::now(),
        revoked_at: None,
    };
    let audit = AuditEntry::new(
        workspace,
        actor,
        "api_key.created",
        row.id.as_str(),
        format!("role {}", role.name()),
    );
    store
        .add_api_key(&row, &secrets::api_key_hash(key.expose()), &audit)
        .await?;
    Ok((row.id, key))
}

const CHECK: Cell<'_> = Cell {
    table: "meta",
    row: "vault_check",
    column: "value",
};
/// Characters of a key that are kept to tell keys apart: the prefix and 24 of 256 bits.
const HINT: usize = 10;
