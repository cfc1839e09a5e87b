//! What a transfer is told, how long it waits, and what each status means to a customer.

use std::time::Duration;

use sip_core::error::UriError;
use sip_core::header::NameAddr;
use sip_core::{Name, Status, Uri};

use crate::outcome::TransferResult;

/// How long a transfer waits in each state, and what its REFER carries.
#[derive(Clone, Debug)]
pub struct TransferConfig {
    /// For any answer to REFER. The transaction itself gives up after 32 s (RFC 3261 timer F).
    pub refer_timeout: Duration,
    /// For the final word after REFER was accepted; once more from the first ringing on.
    pub answer_timeout: Duration,
    /// For the final word after the peer ended the dialog in the middle of a transfer.
    pub after_bye: Duration,
    /// How long the caller's RTP is looked for after a failure, and how recent it must be at a
    /// deadline, before the caller counts as gone.
    pub caller_window: Duration,
    /// RTP that arrives sooner than this after a failure may have been on its way and proves
    /// nothing.
    pub caller_settle: Duration,
    /// Whether to ask for NOTIFYs. Without them (`Refer-Sub: false`, RFC 4488) the outcome is
    /// never known.
    pub subscribe: bool,
    /// Who refers, for Referred-By (RFC 3892).
    pub referred_by: Option<NameAddr>,
}

impl Default for TransferConfig {
    /// 32 s for an answer to REFER, 30 s for the outcome, 5 s after a BYE, 2 s for the caller.
    fn default() -> Self {
        Self {
            refer_timeout: Duration::from_secs(32),
            answer_timeout: Duration::from_secs(30),
            after_bye: Duration::from_secs(5),
            caller_window: Duration::from_secs(2),
            caller_settle: Duration::from_millis(300),
            subscribe: true,
            referred_by: None,
        }
    }
}

/// Where the caller shall go.
#[derive(Clone, Debug)]
pub struct Target {
    refer_to: Uri,
    answered: bool,
}

impl Target {
    /// A target that nobody has asked: a blind transfer.
    pub fn blind(uri: Uri) -> Target {
        Target {
            refer_to: uri,
            answered: false,
        }
    }

    /// A target that we have called first: an attended transfer. `replaces` names that call's
    /// dialog as the value of a Replaces header (RFC 3891); `answered` says whether the target
    /// had picked up.
    ///
    /// # Errors
    /// [`UriError`] when `replaces` cannot stand in a URI.
    pub fn consulted(uri: &Uri, replaces: &str, answered: bool) -> Result<Target, UriError> {
        Ok(Target {
            refer_to: uri.with_header("Replaces", replaces)?,
            answered,
        })
    }

    /// Whether the target itself has answered us.
    pub(crate) fn answered(&self) -> bool {
        self.answered
    }
}

/// The header fields of the REFER.
pub(crate) fn headers(
    config: &TransferConfig,
    target: &Target,
    asserted: Option<&NameAddr>,
) -> Vec<(Name, String)> {
    //= RFC 3515 2.4.1
    // A REFER request MUST contain exactly one Refer-To header field value.
    let mut headers = vec![(Name::ReferTo, format!("<{}>", target.refer_to))];
    if let Some(referred_by) = &config.referred_by {
        headers.push((Name::ReferredBy, referred_by.to_string()));
    }
    // Who the caller is, for the target's display: the REFER itself comes from us.
    if let Some(asserted) = asserted {
        headers.push((Name::PAssertedIdentity, asserted.to_string()));
    }
    if !config.subscribe {
        headers.push((Name::ReferSub, "false".to_owned()));
    }
    headers
}

/// What the final status of a NOTIFY, which is that of the call to the target, means.
pub(crate) fn of_target(status: Status) -> TransferResult {
    match status.code() {
        200..=299 => TransferResult::Transferred,
        486 | 600 => TransferResult::Busy,
        408 | 487 | 504 => TransferResult::NoAnswer,
        // 503 is what Asterisk reports for a phone that cannot be called or will not be.
        410 | 430 | 480 | 502 | 503 => TransferResult::Offline,
        603 | 607 | 608 => TransferResult::Declined,
        _ => TransferResult::Rejected,
    }
}

/// What a final status to the REFER itself means, which a PBX may also use to speak of the
/// target.
pub(crate) fn of_refer(status: Status) -> TransferResult {
    match status.code() {
        486 | 600 => TransferResult::Busy,
        480 => TransferResult::Offline,
        408 | 504 => TransferResult::Timeout,
        // The dialog is gone at the peer, and with it the caller.
        481 => TransferResult::CallerLeft,
        // 403, 405, 501 and 603 are how carriers say that they do not take REFER.
        _ => TransferResult::Rejected,
    }
}

/// The sentence for the record about a final status of a NOTIFY.
pub(crate) fn sentence_of_target(status: Status, phrase: &str) -> String {
    let said = said(status, phrase);
    match of_target(status) {
        TransferResult::Transferred => format!("the PBX reported {said} for the target"),
        TransferResult::Busy => format!("the target is busy: the PBX reported {said}"),
        TransferResult::NoAnswer => format!("the target did not answer: the PBX reported {said}"),
        TransferResult::Offline => format!("the target cannot be reached: the PBX reported {said}"),
        TransferResult::Declined => format!("the target declined: the PBX reported {said}"),
        _ if status.code() == 404 || status.code() == 604 => {
            format!("the PBX knows no such target: it reported {said}; check the extension")
        }
        _ => format!("the PBX could not call the target: it reported {said}"),
    }
}

/// The sentence for the record about a final status of the REFER.
pub(crate) fn sentence_of_refer(status: Status, phrase: &str) -> String {
    let said = said(status, phrase);
    match of_refer(status) {
        TransferResult::Busy => format!("the target is busy: the PBX refused REFER with {said}"),
        TransferResult::Offline => {
            format!("the target cannot be reached: the PBX refused REFER with {said}")
        }
        TransferResult::Timeout => format!("the PBX answered REFER with {said}"),
        TransferResult::CallerLeft => {
            format!("the call was gone when REFER arrived: the PBX answered {said}")
        }
        _ => match status.code() {
            404 | 604 => format!("the PBX knows no such target: it refused REFER with {said}"),
            403 | 405 | 501 | 603 => format!(
                "the PBX refused REFER with {said}; allow transfers by REFER for this trunk, or \
                 choose another way to transfer"
            ),
            _ => format!("the PBX refused REFER with {said}"),
        },
    }
}

/// A status as it is quoted in a sentence.
fn said(status: Status, phrase: &str) -> String {
    let phrase = crate::notify::printable(phrase.trim());
    if phrase.is_empty() {
        format!("{} {}", status.code(), status.reason())
    } else {
        format!("{} {phrase}", status.code())
    }
}
