//! What a conversation is made of: an agent, what it knows, its bounds, who watches.
//! Prepared before the call is answered, then given to [`Call::run`](super::Call::run).

use std::sync::Arc;

use refer_transfer::TransferConfig;
use sip_core::header::NameAddr;
use sip_core::uri::Uri;
use tokio::sync::{mpsc, oneshot};

use super::observer::CallObserver;
use crate::agent::{
    Agent, AgentError, CallInfo, DeskRequest, Directory, TransferId, TransferRefused,
    TransferRequest,
};
use crate::fallback;
use crate::limits::Limits;
use crate::speech::Voice;

/// An agent about to talk to a caller, and all that goes with it.
pub struct Conversation {
    pub(super) agent: Box<dyn Agent>,
    pub(super) info: CallInfo,
    pub(super) limits: Limits,
    pub(super) transfers: TransferRules,
    pub(super) closing_message: Option<String>,
    pub(super) fallback: Option<Voice>,
    pub(super) observer: Arc<dyn CallObserver>,
    pub(super) orders: mpsc::Receiver<DeskRequest>,
    steering: Steering,
}

impl Conversation {
    /// This agent with the default limits, no transfers, no fallback and nobody watching.
    pub fn new(agent: Box<dyn Agent>, info: CallInfo) -> Self {
        let (sender, orders) = mpsc::channel(ORDERS);
        Self {
            agent,
            info,
            limits: Limits::default(),
            transfers: TransferRules::default(),
            closing_message: None,
            fallback: None,
            observer: Arc::new(()),
            orders,
            steering: Steering { orders: sender },
        }
    }

    /// Sets the bounds of the call.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the caller may be transferred to and how.
    #[must_use]
    pub fn transfers(mut self, rules: TransferRules) -> Self {
        self.transfers = rules;
        self
    }

    /// Sets what the agent is to say when a limit is reached.
    #[must_use]
    pub fn closing_message(mut self, message: Option<String>) -> Self {
        self.closing_message = message;
        self
    }

    /// Sets the voice that speaks to the caller when the agent fails; without one the call is then
    /// hung up.
    #[must_use]
    pub fn fallback(mut self, voice: Voice) -> Self {
        self.fallback = Some(voice);
        self
    }

    /// Sets who watches.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observer = observer;
        self
    }

    /// The agent's name.
    pub fn agent_name(&self) -> &str {
        self.agent.name()
    }

    /// A handle by which others take part: an operator, an API.
    pub fn steering(&self) -> Steering {
        self.steering.clone()
    }

    /// Gets the agent ready, before the call is answered.
    ///
    /// # Errors
    /// Whatever makes the agent unable to take the call. Then refuse the call with 480, or let
    /// [`Conversation::fall_back`] speak.
    pub async fn prepare(&mut self) -> Result<(), AgentError> {
        self.agent.prepare(&self.info).await
    }

    /// Puts the fallback in the agent's place, when there is a voice for it.
    pub async fn fall_back(&mut self, error: &AgentError) -> bool {
        let Some(voice) = self.fallback.clone() else {
            return false;
        };
        self.agent = fallback::agent(voice, error);
        // The fallback needs nothing from outside; if it fails, the call ends by itself.
        self.agent.prepare(&self.info).await.is_ok()
    }
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("agent", &self.agent.name())
            .field("info", &self.info)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Steers a conversation from outside. Cheap to clone; harmless when the call is over.
#[derive(Clone, Debug)]
pub struct Steering {
    orders: mpsc::Sender<DeskRequest>,
}

impl Steering {
    /// Hands the caller over, as the agent would.
    ///
    /// # Errors
    /// As for the agent: an unknown target, another transfer under way, a call that is over.
    pub async fn transfer(&self, target: impl Into<String>) -> Result<TransferId, TransferRefused> {
        let (reply, answer) = oneshot::channel();
        let request = TransferRequest::to(target);
        self.orders
            .send(DeskRequest::Transfer { request, reply })
            .await
            .map_err(|_| TransferRefused::CallOver)?;
        answer.await.unwrap_or(Err(TransferRefused::CallOver))
    }

    /// Hangs up at once, for this reason. False when the call is over.
    pub async fn hang_up(&self, reason: impl Into<String>) -> bool {
        let order = DeskRequest::HangUp(reason.into());
        self.orders.send(order).await.is_ok()
    }

    /// Presses keys towards the caller. False when the call is over.
    pub async fn send_digits(&self, digits: impl Into<String>) -> bool {
        let order = DeskRequest::Digits(digits.into());
        self.orders.send(order).await.is_ok()
    }
}

/// Where callers may be transferred to, and what the REFER says.
#[derive(Clone, Debug, Default)]
pub struct TransferRules {
    /// The phone system's SIP domain: extension 101 becomes `sip:101@DOMAIN`. `host` or
    /// `host:port`; without it nobody can be transferred.
    pub domain: Option<String>,
    /// The caller's identity for P-Asserted-Identity.
    pub asserted: Option<NameAddr>,
    /// A number to try when the target does not answer, is offline or the phone system is silent,
    /// while the caller is still here.
    pub forward_to: Option<String>,
    /// Whether numbers and SIP addresses that are in no directory may be transferred to.
    pub any_target: bool,
    /// The deadlines, and who refers.
    pub config: TransferConfig,
}

impl TransferRules {
    /// Transfers to extensions of this domain.
    pub fn to_domain(domain: impl Into<String>) -> Self {
        Self {
            domain: Some(domain.into()),
            ..Self::default()
        }
    }

    /// The address of a target as it was named: an extension by number, name or alias; when any
    /// target is allowed, a number or a SIP URI.
    pub(super) fn resolve(
        &self,
        target: &str,
        directory: &Directory,
    ) -> Result<Uri, TransferRefused> {
        match directory.resolve(target) {
            Ok(entry) => self.extension(&entry.extension),
            Err(nearest) => {
                let wanted = target.trim();
                let uri: Option<Uri> = Some(wanted)
                    .filter(|wanted| {
                        self.any_target && wanted.to_ascii_lowercase().starts_with("sip")
                    })
                    .and_then(|wanted| wanted.parse().ok());
                if let Some(uri) = uri {
                    return Ok(uri);
                }
                if self.any_target && is_number(wanted) {
                    return self.extension(wanted);
                }
                Err(TransferRefused::UnknownTarget {
                    target: target.to_owned(),
                    nearest: nearest.into_iter().cloned().collect(),
                })
            }
        }
    }

    /// The address of an extension or number at the phone system.
    pub(super) fn extension(&self, extension: &str) -> Result<Uri, TransferRefused> {
        let not_possible = |cause: String| TransferRefused::NotPossible(cause);
        let domain = self
            .domain
            .as_deref()
            .ok_or_else(|| not_possible("no SIP domain of the phone system is known".to_owned()))?;
        let domain: Uri = format!("sip:{domain}")
            .parse()
            .map_err(|error| not_possible(format!("{domain:?} is no SIP domain: {error}")))?;
        Uri::sip(Some(extension), domain.host(), domain.port())
            .map_err(|error| not_possible(format!("{extension:?} is no extension: {error}")))
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty()
        && digits.len() <= MAX_NUMBER
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
}

/// Orders from outside that may wait.
const ORDERS: usize = 16;
/// The longest number that is dialled.
const MAX_NUMBER: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::ExtensionEntry;

    fn directory() -> Directory {
        [
            ExtensionEntry::new("101", "Sales"),
            ExtensionEntry::new("102", "Support"),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn a_target_is_an_extension_of_the_phone_systems_domain() {
        let rules = TransferRules::to_domain("pbx.example.com:5070");
        let uri = rules.resolve("sales", &directory()).unwrap();
        assert_eq!(uri.to_string(), "sip:101@pbx.example.com:5070");
        let refused = rules.resolve("saless", &directory()).unwrap_err();
        let TransferRefused::UnknownTarget { nearest, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(nearest[0].extension, "101");
    }

    #[test]
    fn strange_targets_need_permission() {
        let mut rules = TransferRules::to_domain("pbx.example.com");
        assert!(rules.resolve("+4930123456", &directory()).is_err());
        assert!(rules.resolve("sip:eve@example.net", &directory()).is_err());
        rules.any_target = true;
        let number = rules.resolve("+4930123456", &directory()).unwrap();
        assert_eq!(number.to_string(), "sip:+4930123456@pbx.example.com");
        let uri = rules.resolve("sip:eve@example.net", &directory()).unwrap();
        assert_eq!(uri.host(), "example.net");
        assert!(rules.resolve("somebody", &directory()).is_err());
    }

    #[test]
    fn without_a_domain_nobody_is_transferred() {
        let refused = TransferRules::default().resolve("101", &directory());
        assert!(matches!(refused, Err(TransferRefused::NotPossible(_))));
    }
}
