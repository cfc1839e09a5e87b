//! What a NOTIFY of a REFER says: the Subscription-State header and the sipfrag in the body.
//! Both come from the network: read within bounds, and a part that is wrong spoils only itself.

use sip_core::Status;
use sip_core::header::{Header, SubscriptionState};

/// The longest body that is looked into, in bytes; a status line needs a hundredth of it.
pub const MAX_BODY: usize = 8 * 1024;

/// A NOTIFY of the event package `refer` (RFC 3515 section 2.4.4), as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The Subscription-State header; `None` when it cannot be read, which ends nothing.
    pub subscription: Option<SubscriptionState>,
    /// The status and reason phrase of the body, or why there is none.
    pub status: Result<(Status, String), NoticeError>,
}

impl Notice {
    /// Reads the value of a NOTIFY's Subscription-State header and its body.
    pub fn read(subscription_state: &str, body: &[u8]) -> Notice {
        Notice {
            subscription: Some(subscription_state)
                .filter(|value| value.len() <= MAX_STATE)
                .and_then(|value| SubscriptionState::parse(value).ok()),
            status: status_line(body),
        }
    }

    /// Whether no more NOTIFYs follow.
    pub fn is_last(&self) -> bool {
        let subscription = self.subscription.as_ref();
        subscription.is_some_and(SubscriptionState::is_terminated)
    }

    /// Why the subscription ended, in lower case: `noresource`, `timeout`, `rejected`…
    pub fn end_reason(&self) -> Option<String> {
        let reason = self.subscription.as_ref()?.reason.as_deref()?;
        Some(printable(reason).to_ascii_lowercase())
    }
}

/// Why the body of a NOTIFY holds no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// There is no body.
    #[error("the NOTIFY has no body")]
    Empty,
    /// The body is longer than [`MAX_BODY`].
    #[error("the NOTIFY's body of {0} bytes is too long")]
    TooLong(usize),
    /// The body does not begin with the status line of a SIP response.
    #[error("the NOTIFY's body does not begin with a SIP status line")]
    NotAStatusLine,
}

/// `SIP-Version SP Status-Code SP Reason-Phrase`: the first line of a `message/sipfrag`
/// (RFC 3420); what follows it is not needed.
fn status_line(body: &[u8]) -> Result<(Status, String), NoticeError> {
    if body.len() > MAX_BODY {
        return Err(NoticeError::TooLong(body.len()));
    }
    let body = body.trim_ascii_start();
    if body.is_empty() {
        return Err(NoticeError::Empty);
    }
    let line = body
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut parts = line.splitn(3, ' ');
    let version = parts.next().unwrap_or_default();
    let code = parts.next().unwrap_or_default();
    let reason = parts.next().unwrap_or_default();
    let three_digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = code
        .parse()
        .ok()
        .filter(|_| three_digits && version.eq_ignore_ascii_case("SIP/2.0"))
        .and_then(Status::new)
        .ok_or(NoticeError::NotAStatusLine)?;
    Ok((status, printable(reason.trim())))
}

/// The text without what a log or a record should not hold, and not longer than they need.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect()
}

/// The longest Subscription-State header that is looked into, in bytes.
const MAX_STATE: usize = 512;
/// Characters of a phrase of the peer that are kept.
const MAX_TEXT: usize = 120;
