//! A server from its start to its end: what is opened in which order, and who waits for whom.
//!
//! Start: store and vault → HTTP port (a second server on the same store fails here, before it
//! could touch the first one's calls) → calls of an earlier process are closed → SIP → outbox.
//! End: draining → calls over or time up → SIP closed → ledger written → outbox → HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use crate::app::{App, Parts};
use crate::calls::{Ledger, sweep};
use crate::config::Config;
use crate::drain::{Drain, Phase};
use crate::metrics::Metrics;
use crate::start::{self, FirstStart, OpenError};
use crate::store::{Orphans, StoreError};
use crate::webhooks::client::Client;
use crate::{api, sip, webhooks};

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    http: SocketAddr,
    first_start: Option<FirstStart>,
    sip: sip::Running,
    tasks: Vec<JoinHandle<()>>,
    http_task: JoinHandle<()>,
    http_stop: Arc<Notify>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Store or vault.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The HTTP port.
    #[error(
        "cannot listen for HTTP on {address}: {error}; stop what listens there, or set [http] \
         listen (or SMARTALEX_HTTP__LISTEN) to another address"
    )]
    Http {
        /// The address of `[http] listen`.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// SIP.
    #[error(transparent)]
    Sip(#[from] sip::StartError),
    /// TLS towards webhooks.
    #[error("TLS for webhooks cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self::Open(error.into())
    }
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// When a part of it cannot start; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self, ServeError> {
        let start::Opened { store, vault } = start::open(&config).await?;
        let listener = TcpListener::bind(config.http.listen)
            .await
            .map_err(|error| ServeError::Http {
                address: config.http.listen,
                error,
            })?;
        let http = listener.local_addr().unwrap_or(config.http.listen);
        let home = start::workspace(&*store).await?;
        let node = config.node.id.clone();
        let swept = sweep::sweep(&*store, Orphans::Of(&node)).await?;
        if swept > 0 {
            tracing::warn!(calls = swept, "closed calls that an earlier process left");
        }
        store.release_leases(&node).await?;
        let metrics = Metrics::new(&config.node);
        let outbox = Arc::new(Notify::new());
        let drain = Drain::new();
        let client = Client::new(
            config.webhooks.timeout,
            config.webhooks.allow_private_addresses,
        )?;
        let ledger = Ledger::start(
            store.clone(),
            metrics.clone(),
            node.clone(),
            home.clone(),
            outbox.clone(),
        );
        let app = Arc::new(App::new(Parts {
            config,
            store: store.clone(),
            vault,
            ledger,
            metrics,
            drain: drain.clone(),
            outbox: outbox.clone(),
            home: home.clone(),
        }));
        app.reload_directory().await?;
        let sip = sip::start(app.clone()).await?;
        let first_start = start::first_start(&*store, &home).await?;
        let tasks = vec![
            tokio::spawn(webhooks::worker::run(app.clone(), client)),
            tokio::spawn(sweep::keep(store, node, outbox, drain)),
        ];
        let http_stop = Arc::new(Notify::new());
        let router = api::router(app.clone());
        let http_task = tokio::spawn(serve_http(listener, router, http_stop.clone()));
        tracing::info!(%http, "serving");
        Ok(Self {
            app,
            http,
            first_start,
            sip,
            tasks,
            http_task,
            http_stop,
        })
    }

    /// What its parts share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Where HTTP is served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What is to be said once, when this was the very first start; taken out by this.
    pub fn take_first_start(&mut self) -> Option<FirstStart> {
        self.first_start.take()
    }

    /// Serves until [`Drain::begin`] and the end of all calls, `drain_timeout`, or
    /// [`Drain::stop`]; then ends.
    pub async fn run(self) {
        let drain = self.app.drain.clone();
        drain.reached(Phase::Draining).await;
        let calls = self.app.ledger.live();
        tracing::info!(calls, "draining: no new calls are taken");
        tokio::select! {
            () = drain.reached(Phase::Stopping) => {}
            () = no_calls(&self.app.ledger) => {}
            () = tokio::time::sleep(self.app.config.limits.drain_timeout) => {
                tracing::warn!(calls = self.app.ledger.live(), "the drain timeout is over");
            }
        }
        self.shutdown().await;
    }

    /// Ends at once: calls that live are ended and recorded.
    pub async fn shutdown(self) {
        self.app.drain.begin();
        self.sip.shutdown().await;
        if let Err(error) = self.app.ledger.settled().await {
            tracing::error!(%error, "not all call records are written");
        }
        self.app.drain.stop();
        for task in self.tasks {
            // A task that panicked has said so; the others still have to end.
            let _ = task.await;
        }
        self.http_stop.notify_one();
        let _ = self.http_task.await;
        tracing::info!("stopped");
    }
}

async fn no_calls(ledger: &Ledger) {
    while ledger.live() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Serves `router` until `stop`; connections that are busy then may finish what they do.
async fn serve_http(listener: TcpListener, router: axum::Router, stop: Arc<Notify>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let closing = tokio::sync::watch::Sender::new(false);
    loop {
        // Beyond the bound, connections wait in the backlog of the kernel.
        let Ok(permit) = room.clone().acquire_owned().await else {
            break;
        };
        let stream = tokio::select! {
            () = stop.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let service = TowerToHyperService::new(router.clone());
        let mut closes = closing.subscribe();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            // How a client's connection ends is its own affair.
            tokio::select! {
                _ = &mut connection => {}
                () = async { drop(closes.wait_for(|closing| *closing).await) } => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(CLOSE_PATIENCE, connection).await;
                }
            }
            drop(permit);
        });
    }
    closing.send_replace(true);
    let all = u32::try_from(MOST_CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(CLOSE_PATIENCE, room.acquire_many(all)).await;
}

const MOST_CONNECTIONS: usize = 1_024;
const HEADER_PATIENCE: Duration = Duration::from_secs(15);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
