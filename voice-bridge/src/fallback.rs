//! Who speaks when an agent fails: a receptionist that says so and takes a message.
//! The caller is never left in silence, and never just cut off.

use crate::agent::{Agent, AgentError, EmbeddedConfig, embedded_as};
use crate::speech::Voice;

/// What the caller is told before a message is taken.
pub const SENTENCE: &str =
    "I can't reach our team right now. What's the best number to call you back on?";

/// An agent that takes the caller over from one that failed with `error`: it says
/// [`SENTENCE`], listens to a message, says goodbye and hangs up.
///
/// Give it a fresh desk of the same call.
pub fn agent(voice: Voice, error: &AgentError) -> Box<dyn Agent> {
    tracing::warn!(%error, cause = error.label(), "agent failed, the fallback speaks");
    let mut config = EmbeddedConfig::new(voice, None);
    config.script.only_message = Some(SENTENCE.to_owned());
    embedded_as("fallback", config)
}
