-- Times are milliseconds since 1970 (UTC). Sealed columns are opened by the vault only.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE workspaces (
    id           TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    read_only    INTEGER NOT NULL DEFAULT 0,
    wallet_empty INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL
);

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    workspace_id  TEXT NOT NULL REFERENCES workspaces (id),
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    hash         BLOB NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    hint         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    revoked_at   INTEGER
);

CREATE TABLE agents (
    id              TEXT PRIMARY KEY,
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id),
    name            TEXT NOT NULL,
    runtime         TEXT NOT NULL,
    first_message   TEXT,
    system_prompt   TEXT,
    max_duration    INTEGER NOT NULL,
    silence_timeout INTEGER NOT NULL,
    closing_message TEXT,
    created_at      INTEGER NOT NULL
);

CREATE TABLE trunks (
    id                     TEXT PRIMARY KEY,
    workspace_id           TEXT NOT NULL REFERENCES workspaces (id),
    name                   TEXT NOT NULL,
    pbx_type               TEXT NOT NULL,
    pbx_sip_domain         TEXT NOT NULL,
    auth                   TEXT NOT NULL,
    allowed_ips            TEXT NOT NULL,
    username               TEXT UNIQUE,
    password               BLOB,
    codecs                 TEXT NOT NULL,
    transport              TEXT NOT NULL,
    max_concurrent_calls   INTEGER NOT NULL,
    agent_id               TEXT REFERENCES agents (id) ON DELETE SET NULL,
    transfer               TEXT NOT NULL,
    call_forwarding_number TEXT,
    suspended              INTEGER NOT NULL DEFAULT 0,
    created_at             INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
);

CREATE TABLE trunk_dids (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    digits       TEXT NOT NULL,
    number       TEXT NOT NULL,
    trunk_id     TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, digits)
) WITHOUT ROWID;

CREATE INDEX trunk_dids_by_trunk ON trunk_dids (trunk_id);

CREATE TABLE extensions (
    trunk_id     TEXT NOT NULL REFERENCES trunks (id) ON DELETE CASCADE,
    extension    TEXT NOT NULL,
    display_name TEXT NOT NULL,
    owner        TEXT,
    department   TEXT,
    aliases      TEXT NOT NULL,
    PRIMARY KEY (trunk_id, extension)
) WITHOUT ROWID;

CREATE TABLE webhooks (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    url          TEXT NOT NULL,
    description  TEXT,
    agent_id     TEXT,
    secret       BLOB NOT NULL,
    disabled     TEXT,
    created_at   INTEGER NOT NULL
);

CREATE TABLE webhook_events (
    webhook_id TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    PRIMARY KEY (webhook_id, kind)
) WITHOUT ROWID;

-- A row exists from the INVITE on. Trunk and agent are not foreign keys: a record outlives them.
CREATE TABLE calls (
    id             TEXT PRIMARY KEY,
    workspace_id   TEXT NOT NULL REFERENCES workspaces (id),
    node           TEXT NOT NULL,
    lease_until    INTEGER,
    trunk_id       TEXT,
    agent_id       TEXT,
    agent_name     TEXT,
    direction      TEXT NOT NULL,
    status         TEXT,
    outcome        TEXT,
    from_number    TEXT NOT NULL,
    to_number      TEXT NOT NULL,
    from_digits    TEXT,
    to_digits      TEXT,
    started_at     INTEGER NOT NULL,
    answered_at    INTEGER,
    ended_at       INTEGER,
    sip_call_id    TEXT NOT NULL,
    sip_from       TEXT NOT NULL,
    sip_to         TEXT NOT NULL,
    sip_final_code INTEGER,
    sip_reason     TEXT,
    sip_ended_by   TEXT,
    media          TEXT,
    voice          TEXT,
    message        TEXT
);

CREATE INDEX calls_by_workspace ON calls (workspace_id, id);
CREATE INDEX calls_by_start ON calls (workspace_id, started_at);
CREATE INDEX calls_live ON calls (node) WHERE status IS NULL;

CREATE TABLE call_transcript (
    seq     INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    speaker TEXT NOT NULL,
    text    TEXT NOT NULL,
    at      INTEGER NOT NULL
);

CREATE INDEX call_transcript_by_call ON call_transcript (call_id, seq);

CREATE TABLE call_tools (
    seq       INTEGER PRIMARY KEY,
    call_id   TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    arguments TEXT NOT NULL,
    result    TEXT NOT NULL,
    at        INTEGER NOT NULL
);

CREATE INDEX call_tools_by_call ON call_tools (call_id, seq);

CREATE TABLE transfers (
    id           TEXT PRIMARY KEY,
    call_id      TEXT NOT NULL REFERENCES calls (id) ON DELETE CASCADE,
    target       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL,
    outcome      TEXT,
    confirmed_by TEXT NOT NULL,
    sip_code     INTEGER,
    reason       TEXT,
    steps        TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    ended_at     INTEGER
);

CREATE INDEX transfers_by_call ON transfers (call_id, id);

-- The outbox: an event with the exact bytes to send, and a delivery for each webhook.
CREATE TABLE events (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    call_id      TEXT,
    kind         TEXT NOT NULL,
    body         BLOB NOT NULL,
    created_at   INTEGER NOT NULL
);

CREATE INDEX events_by_age ON events (created_at);

CREATE TABLE deliveries (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT NOT NULL UNIQUE,
    event_id        TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    webhook_id      TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    call_id         TEXT,
    state           TEXT NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL,
    leased_by       TEXT,
    lease_until     INTEGER,
    last_status     INTEGER,
    last_error      TEXT,
    finished_at     INTEGER
);

CREATE INDEX deliveries_due ON deliveries (next_attempt_at, webhook_id) WHERE state = 'pending';
CREATE INDEX deliveries_pending
    ON deliveries (webhook_id, seq) WHERE state = 'pending';
CREATE INDEX deliveries_in_order
    ON deliveries (webhook_id, call_id, seq) WHERE state = 'pending';
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, seq);
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX deliveries_dead ON deliveries (seq) WHERE state = 'dead_letter';

CREATE TABLE audit_log (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    at           INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    event_type   TEXT NOT NULL,
    target       TEXT NOT NULL,
    detail       TEXT NOT NULL
);

CREATE INDEX audit_log_by_time ON audit_log (workspace_id, at, id);

CREATE TABLE idempotency (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    key          TEXT NOT NULL,
    request      BLOB NOT NULL,
    status       INTEGER NOT NULL,
    body         BLOB NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, key)
) WITHOUT ROWID;

CREATE INDEX idempotency_by_age ON idempotency (at);

CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id);
