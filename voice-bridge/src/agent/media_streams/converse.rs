//! The conversation over an open connection: one half tells the agent, the other does its will.
//! Neither half can hold the other up; a far end that does not read or answer is left.

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Error;

use super::MediaStreamsConfig;
use super::connect::Socket;
use super::doer::Doer;
use super::teller::Teller;
use crate::agent::{AgentError, CallEnd, Desk, TransferId, TransferRefused};

/// Answers that wait to be sent to the agent.
const NOTES: usize = 64;

/// Converses until the call is over or the far end has left.
pub async fn converse(
    socket: Socket,
    desk: Desk,
    config: &MediaStreamsConfig,
) -> Result<(), AgentError> {
    let (ears, mouth) = desk.split();
    let (sink, stream) = socket.split();
    let (notes, noted) = mpsc::channel(NOTES);
    let mut teller = Teller::new(sink, ears, noted, mouth.call());
    let mut doer = Doer::new(stream, mouth.clone(), notes);
    let call = mouth.call();
    teller.start(call, config).await?;
    let left = tokio::select! {
        ended = teller.run() => Left::Call(ended?),
        left = doer.run() => left?,
    };
    match left {
        Left::Call(end) => {
            teller.farewell(call, &end, doer.stream()).await;
            Ok(())
        }
        Left::Agent => teller.last_words(&mouth).await,
    }
}

pub enum Left {
    /// The call is over.
    Call(CallEnd),
    /// The far end closed the connection in good order.
    Agent,
}

/// Something that the doing half wants the agent told.
pub enum Note {
    Started {
        id: TransferId,
        target: String,
    },
    Refused {
        target: String,
        refused: TransferRefused,
    },
    Mistake(String),
}

/// The connection broke.
pub fn lost(error: &Error) -> AgentError {
    match error {
        Error::Capacity(cause) => AgentError::Protocol {
            cause: cause.to_string(),
        },
        Error::Protocol(cause) => AgentError::Lost {
            cause: cause.to_string(),
        },
        error => AgentError::Lost {
            cause: error.to_string(),
        },
    }
}
