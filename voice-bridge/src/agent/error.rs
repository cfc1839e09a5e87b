//! Why an agent could not take part in a call.
//! Each cause has a label for metrics and says whose fault it was.

use std::time::Duration;

/// What went wrong with an agent. The text names the cause in the operator's words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The configured address cannot be used as it stands.
    #[error("agent address {url} cannot be used: {cause}")]
    Address {
        /// The address as configured, without its credentials.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No connection could be made.
    #[error("agent at {url} could not be reached: {cause}")]
    Unreachable {
        /// The address, without its credentials.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The agent's server answered the opening handshake with something else.
    #[error("agent at {url} refused the connection: {cause}")]
    Refused {
        /// The address, without its credentials.
        url: String,
        /// Its answer.
        cause: String,
    },
    /// The agent took longer than it may.
    #[error("agent did not {what} within {} s", .after.as_secs_f32())]
    Timeout {
        /// What was waited for, as a verb: `accept our connection`, `answer our pings`.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The agent sent what its protocol does not allow.
    #[error("agent broke the protocol: {cause}")]
    Protocol {
        /// What it sent, and what was expected.
        cause: String,
    },
    /// The connection ended while the call was going on.
    #[error("agent's connection ended during the call: {cause}")]
    Lost {
        /// What the connection ended with.
        cause: String,
    },
}

impl AgentError {
    /// A stable word for metrics: one of a fixed small set.
    pub fn label(&self) -> &'static str {
        match self {
            AgentError::Address { .. } => "address",
            AgentError::Unreachable { .. } => "unreachable",
            AgentError::Refused { .. } => "refused",
            AgentError::Timeout { .. } => "timeout",
            AgentError::Protocol { .. } => "protocol",
            AgentError::Lost { .. } => "lost",
        }
    }

    /// Who has to act: `configuration`, or `agent`: whoever runs it.
    pub fn blame(&self) -> &'static str {
        match self {
            AgentError::Address { .. } => "configuration",
            _ => "agent",
        }
    }
}
