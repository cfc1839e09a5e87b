//! The command line. Standard output carries what was asked for, standard error the log.

use std::io::IsTerminal;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::audit::AuditEntry;
use crate::clock;
use crate::config::Config;
use crate::ids::ApiKeyId;
use crate::serve::Server;
use crate::start::{self, FirstStart};
use crate::tenants::Role;

/// Joins PBXes to AI voice agents.
#[derive(Debug, Parser)]
#[command(name = "smartalex-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(ConfigFile),
    /// Runs the whole product on loopback: server, PBX, caller, transfer, webhooks.
    Demo {
        /// Exits 0 when every step was observed, else 1 with the step named.
        #[arg(long)]
        once: bool,
        /// Prints JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Checks a configuration: exits 0, or 2 with every problem named.
    CheckConfig(ConfigFile),
    /// Makes, lists and revokes API keys; works while the server runs.
    ApiKey {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file (TOML). Keys can be set by environment as SMARTALEX_SECTION__KEY.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Prints a new key alone on standard output; it is not shown again.
    Create {
        #[command(flatten)]
        file: ConfigFile,
        /// What the key may do.
        #[arg(long, value_enum, default_value_t = Role::Admin)]
        role: Role,
    },
    /// Lists keys by their id.
    List(ConfigFile),
    /// Revokes a key at once.
    Revoke {
        /// Its id, as `list` shows it.
        id: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

/// Runs the command that the process was called with.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Serve(file) => serve(file.config.as_deref()).await,
        Command::Demo { once, json } => crate::demo::run(once, json).await,
        Command::CheckConfig(file) => match load(file.config.as_deref()) {
            Ok(_) => say(ExitCode::SUCCESS, "the configuration is right"),
            Err(code) => code,
        },
        Command::ApiKey { command } => api_key(command).await,
    }
}

/// Logs to standard error, as the variable `SMARTALEX_LOG` says: a filter such as `debug` or
/// `smartalex_server=debug`; `info` when it is not set. `SMARTALEX_LOG_FORMAT=json` gives JSON.
pub fn start_log() {
    let filter =
        EnvFilter::try_from_env("SMARTALEX_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A log that is there already stays: the demo starts one of its own.
    let _ = if std::env::var("SMARTALEX_LOG_FORMAT").as_deref() == Ok("json") {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
}

async fn serve(file: Option<&Path>) -> ExitCode {
    start_log();
    let config = match load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let mut server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => return complain(ExitCode::FAILURE, &error.to_string()),
    };
    if let Some(first) = server.take_first_start() {
        let url = server.app().config.http.public_url.clone();
        let url = url.unwrap_or_else(|| format!("http://{}", server.http()));
        say(ExitCode::SUCCESS, &welcome(&first, &url));
    }
    let drain = server.app().drain.clone();
    let signals = tokio::spawn(async move {
        terminated().await;
        drain.begin();
        terminated().await;
        tracing::warn!("a second signal: stopping at once");
        drain.stop();
    });
    server.run().await;
    signals.abort();
    ExitCode::SUCCESS
}

async fn api_key(command: KeyCommand) -> ExitCode {
    let file = match &command {
        KeyCommand::Create { file, .. }
        | KeyCommand::List(file)
        | KeyCommand::Revoke { file, .. } => file.config.as_deref(),
    };
    let config = match load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let opened = match start::open(&config).await {
        Ok(opened) => opened,
        Err(error) => return complain(ExitCode::FAILURE, &error.to_string()),
    };
    let store = &*opened.store;
    let workspace = match start::workspace(store).await {
        Ok(workspace) => workspace,
        Err(error) => return complain(ExitCode::FAILURE, &error.to_string()),
    };
    match command {
        KeyCommand::Create { role, .. } => {
            match start::create_api_key(store, &workspace, role, "cli").await {
                Ok((_, key)) => say(ExitCode::SUCCESS, key.expose()),
                Err(error) => complain(ExitCode::FAILURE, &error.to_string()),
            }
        }
        KeyCommand::List(_) => match store.api_keys().await {
            Ok(keys) => {
                let lines: Vec<String> = keys
                    .iter()
                    .map(|key| {
                        let state = if key.revoked_at.is_some() {
                            "revoked"
                        } else {
                            "active"
                        };
                        let made = clock::rfc3339(key.created_at);
                        format!(
                            "{}  {:7}  {}…  {made}  {state}",
                            key.id,
                            key.role.name(),
                            key.hint
                        )
                    })
                    .collect();
                say(ExitCode::SUCCESS, &lines.join("\n"))
            }
            Err(error) => complain(ExitCode::FAILURE, &error.to_string()),
        },
        KeyCommand::Revoke { id, .. } => {
            let Ok(id) = ApiKeyId::parse(&id) else {
                return complain(ExitCode::FAILURE, &format!("{id:?} is no id of a key"));
            };
            let audit = AuditEntry::new(&workspace, "cli", "api_key.revoked", id.as_str(), "");
            match store.revoke_api_key(&id, clock::now(), &audit).await {
                Ok(true) => say(ExitCode::SUCCESS, &format!("{id} is revoked")),
                Ok(false) => complain(ExitCode::FAILURE, &format!("there is no active key {id}")),
                Err(error) => complain(ExitCode::FAILURE, &error.to_string()),
            }
        }
    }
}

fn load(file: Option<&Path>) -> Result<Config, ExitCode> {
    Config::load(file).map_err(|problems| complain(ExitCode::from(2), &problems.to_string()))
}

/// Waits for SIGTERM or SIGINT.
async fn terminated() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = interrupted => {}
                    _ = terminate.recv() => {}
                }
                return;
            }
            Err(error) => tracing::warn!(%error, "SIGTERM cannot be heard, only SIGINT"),
        }
    }
    // Without signals the server would stop at once; it serves instead.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn welcome(first: &FirstStart, url: &str) -> String {
    format!(
        "This is the first start. What follows is shown once and never again.\n\
         \n\
         API key:          {key}\n\
         Owner:            {owner}\n\
         Owner's password: {password}\n\
         \n\
         What to do next: make an agent, then a trunk with your number, then point the PBX at\n\
         the connection details that the second answer holds.\n\
         \n\
         export KEY={key}\n\
         curl -s {url}/v1/agents -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  \
         -d '{{\"name\":\"Sarah\",\"runtime\":\"embedded\",\"first_message\":\"Hello, how can I help you?\"}}'\n\
         curl -s {url}/v1/trunks -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n  \
         -d '{{\"name\":\"Office\",\"pbx_type\":\"Asterisk\",\"pbx_sip_domain\":\"pbx.example.com\",\"dids\":[\"+27872500100\"],\"agent_id\":\"agent_…\"}}'\n\
         \n\
         Keep the master key file: without it the passwords in the store cannot be read.",
        key = first.api_key.expose(),
        owner = first.owner,
        password = first.owner_password.expose(),
    )
}

/// Prints what was asked for.
fn say(code: ExitCode, text: &str) -> ExitCode {
    // Whoever closed standard output does not want to hear it.
    let _ = writeln!(std::io::stdout(), "{text}");
    code
}

/// Prints why it was not done.
fn complain(code: ExitCode, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    code
}
