//! What stands on the stage and has to be cleared away in the end, whatever happened: the server's
//! process with its folder, and the telephones.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use voice_bridge::Phone;
use voice_bridge::phone::Registered;

use super::process::Process;

/// Everything that runs.
#[derive(Default)]
pub(super) struct Stage {
    /// The server.
    pub(super) server: Option<Process>,
    /// The PBX's registration.
    pub(super) registered: Option<Registered>,
    parties: Vec<Party>,
}

/// A phone with the task that answers it.
struct Party {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Stage {
    /// Lets `answer` take the calls of a phone until the stage is cleared.
    pub(super) fn enter(
        &mut self,
        mut phone: Phone,
        answer: impl for<'a> FnOnce(&'a mut Phone) -> BoxFuture<'a, ()> + Send + 'static,
    ) {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            tokio::select! {
                // Told, or forgotten: both mean that it is over.
                _ = stopped => {}
                () = answer(&mut phone) => {}
            }
            phone.shut_down().await;
        });
        self.parties.push(Party { stop, task });
    }

    /// The last lines of the server's log.
    pub(super) fn log_tail(&self) -> Vec<String> {
        self.server
            .as_ref()
            .map(Process::log_tail)
            .unwrap_or_default()
    }

    /// Hangs up, leaves the registrar, ends the server, removes its folder.
    pub(super) async fn clear(&mut self) {
        drop(self.registered.take());
        // The last to enter leaves first: the people hang up before the PBX does.
        while let Some(Party { stop, mut task }) = self.parties.pop() {
            // A task that has ended needs no telling.
            let _ = stop.send(());
            if tokio::time::timeout(FAREWELL, &mut task).await.is_err() {
                task.abort();
            }
        }
        if let Some(server) = self.server.take() {
            server.end().await;
        }
    }
}

/// How long a phone may take to hang up and close.
const FAREWELL: Duration = Duration::from_secs(2);
