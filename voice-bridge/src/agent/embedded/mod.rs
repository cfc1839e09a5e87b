//! The receptionist that needs no network: speaks prompts, understands keys, transfers, takes
//! messages. Its behaviour is in `machine`, a pure function of time and input.

mod driver;
mod ear;
mod entry;
mod machine;
mod phrases;

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{Agent, AgentError, CallInfo, Desk};
use crate::speech::{Voice, sentences};
use machine::Machine;

pub use machine::{Patience, Script};

/// How long the first sentence may take to be rendered before the call is answered without it.
const REHEARSAL: Duration = Duration::from_secs(2);

/// What an [`embedded`] receptionist says, with which voice, and how patient it is.
///
/// Whom it can transfer to is in [`CallInfo::extensions`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// What it says.
    pub script: Script,
    /// How long it waits.
    pub patience: Patience,
    /// Its voice; share one among all calls.
    pub voice: Voice,
}

impl EmbeddedConfig {
    /// A receptionist that begins with this message, or with a greeting of its own.
    pub fn new(voice: Voice, first_message: Option<String>) -> Self {
        EmbeddedConfig {
            script: Script {
                first_message,
                ..Script::default()
            },
            patience: Patience::default(),
            voice,
        }
    }

    /// What it says when time is up, unless the bridge brings a closing message of its own.
    #[must_use]
    pub fn closing_message(mut self, message: Option<String>) -> Self {
        self.script.closing_message = message;
        self
    }
}

/// A receptionist for one call: first message, then a menu by keys.
///
/// `1`–`9` are the first nine extensions by number, an extension can be dialled in full (`#`
/// ends it), `0` takes a message, `*` says the menu again; any key stops the speech.
pub fn embedded(config: EmbeddedConfig) -> Box<dyn Agent> {
    Box::new(Embedded {
        config,
        name: "embedded",
    })
}

/// The same receptionist under another name, as the fallback uses it.
pub(crate) fn named(name: &'static str, config: EmbeddedConfig) -> Box<dyn Agent> {
    Box::new(Embedded { config, name })
}

struct Embedded {
    config: EmbeddedConfig,
    name: &'static str,
}

impl Agent for Embedded {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare<'a>(&'a mut self, _call: &'a CallInfo) -> BoxFuture<'a, Result<(), AgentError>> {
        Box::pin(async {
            let script = &self.config.script;
            let first = script
                .only_message
                .as_deref()
                .or(script.first_message.as_deref());
            let first = sentences(first.unwrap_or(phrases::GREETING));
            if let Some(first) = first.first() {
                // It is remembered, so the caller hears it at once. Too slow is no fault: then
                // it is rendered after the answer.
                let _ = tokio::time::timeout(REHEARSAL, self.config.voice.speak(first)).await;
            }
            Ok(())
        })
    }

    fn converse(self: Box<Self>, desk: Desk) -> BoxFuture<'static, Result<(), AgentError>> {
        let EmbeddedConfig {
            script,
            patience,
            voice,
        } = self.config;
        let directory = std::sync::Arc::clone(&desk.call().extensions);
        let machine = Machine::new(script, patience, directory);
        Box::pin(driver::run(desk, machine, voice))
    }
}

#[cfg(test)]
mod tests;
