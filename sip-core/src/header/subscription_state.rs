//! Subscription-State (RFC 6665 8.2.3): how a subscription stands, in each NOTIFY.

use std::fmt;

use super::grammar::{Input, Parsed, params, token, value_text};
use super::params::Params;
use super::{Header, parse_whole};
use crate::error::HeaderError;
use crate::name::Name;

/// The state itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionStatus {
    /// Accepted; notifications come.
    Active,
    /// Received, not yet authorised.
    Pending,
    /// Over: no more notifications.
    Terminated,
    /// A state of an extension.
    Other(String),
}

/// State with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state itself.
    pub state: SubscriptionStatus,
    /// Why it ended: `noresource`, `timeout`, `rejected` and so on.
    pub reason: Option<String>,
    /// Seconds left.
    pub expires: Option<u32>,
    /// Seconds to wait before subscribing anew.
    pub retry_after: Option<u32>,
}

impl SubscriptionState {
    /// `active;expires=seconds`
    pub fn active(expires: u32) -> SubscriptionState {
        SubscriptionState {
            state: SubscriptionStatus::Active,
            reason: None,
            expires: Some(expires),
            retry_after: None,
        }
    }

    /// `terminated;reason=…`; the reason is a token.
    pub fn terminated(reason: &str) -> SubscriptionState {
        SubscriptionState {
            state: SubscriptionStatus::Terminated,
            reason: Some(reason.to_owned()),
            expires: None,
            retry_after: None,
        }
    }

    /// Whether the subscription is over.
    pub fn is_terminated(&self) -> bool {
        self.state == SubscriptionStatus::Terminated
    }
}

/// `Subscription-State = substate-value *( SEMI subexp-params )`
fn subscription_state(input: Input<'_>) -> Parsed<'_, (Input<'_>, Input<'_>)> {
    let (input, state) = token(input)?;
    let (input, section) = params(input, |_, _| {})?;
    Ok((input, (state, section)))
}

impl Header for SubscriptionState {
    const NAME: Name = Name::SubscriptionState;

    fn parse(value: &str) -> Result<SubscriptionState, HeaderError> {
        let (state, section) =
            parse_whole::<SubscriptionState, _>(value.as_bytes(), subscription_state)?;
        let state = match String::from_utf8_lossy(state).to_ascii_lowercase() {
            state if state == "active" => SubscriptionStatus::Active,
            state if state == "pending" => SubscriptionStatus::Pending,
            state if state == "terminated" => SubscriptionStatus::Terminated,
            state => SubscriptionStatus::Other(state),
        };
        let section = String::from_utf8_lossy(section);
        let params = Params::new(&section);
        let seconds = |name| {
            params
                .clone()
                .value(name)
                .and_then(|text| text.parse().ok())
        };
        Ok(SubscriptionState {
            state,
            reason: params
                .clone()
                .value("reason")
                .map(|reason| reason.into_owned()),
            expires: seconds("expires"),
            retry_after: seconds("retry-after"),
        })
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            SubscriptionStatus::Active => "active",
            SubscriptionStatus::Pending => "pending",
            SubscriptionStatus::Terminated => "terminated",
            SubscriptionStatus::Other(state) => state,
        })?;
        if let Some(reason) = &self.reason {
            write!(f, ";reason={}", value_text(reason))?;
        }
        if let Some(seconds) = self.expires {
            write!(f, ";expires={seconds}")?;
        }
        match self.retry_after {
            Some(seconds) => write!(f, ";retry-after={seconds}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asterisk_and_baresip_send_is_read() {
        let end = SubscriptionState::parse("terminated;reason=noresource").unwrap();
        assert!(end.is_terminated());
        assert_eq!(end, SubscriptionState::terminated("noresource"));
        assert_eq!(
            SubscriptionState::parse("Active ; expires=60").unwrap(),
            SubscriptionState::active(60)
        );
        assert_eq!(
            SubscriptionState::active(60).to_string(),
            "active;expires=60"
        );
        assert!(SubscriptionState::parse(";expires=60").is_err());
    }
}
