//! How a transfer ended, who says so, and whether the caller is still with us.

use std::fmt;

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub result: TransferResult,
    /// Whose word that is.
    pub confirmed_by: ConfirmedBy,
    /// The SIP status that decided it: of a NOTIFY's body, or of the answer to REFER.
    pub sip_code: Option<u16>,
    /// One sentence for the call record: what was seen, in the words of an administrator.
    pub reason: String,
    /// Whether the caller can still be spoken to.
    pub caller_still_here: bool,
}

impl Outcome {
    /// The result as a metric's label and as the record's `outcome`.
    pub fn label(&self) -> &'static str {
        self.result.label()
    }
}

/// What became of a transfer; the names are those of the call record.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransferResult {
    /// The caller was handed over.
    Transferred,
    /// The target is busy.
    Busy,
    /// The target rang and was not answered.
    NoAnswer,
    /// The target exists and cannot be reached.
    Offline,
    /// The target declined.
    Declined,
    /// The PBX refused REFER, or knows no such target.
    Rejected,
    /// The PBX said nothing in time.
    Timeout,
    /// The caller hung up first.
    CallerLeft,
    /// Nobody told what became of it.
    Unknown,
}

impl TransferResult {
    /// The name as it is written in records and metrics.
    pub fn label(self) -> &'static str {
        match self {
            TransferResult::Transferred => "transferred",
            TransferResult::Busy => "busy",
            TransferResult::NoAnswer => "no_answer",
            TransferResult::Offline => "offline",
            TransferResult::Declined => "declined",
            TransferResult::Rejected => "rejected",
            TransferResult::Timeout => "timeout",
            TransferResult::CallerLeft => "caller_left",
            TransferResult::Unknown => "unknown",
        }
    }
}

impl fmt::Display for TransferResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Whose word an outcome is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfirmedBy {
    /// The target itself answered us before the caller was handed over.
    Answered,
    /// The PBX reported it. It may report success while the target still rings.
    Pbx,
    /// Nobody; the outcome is what could be seen from here.
    None,
}

impl ConfirmedBy {
    /// The name as it is written in records and metrics.
    pub fn label(self) -> &'static str {
        match self {
            ConfirmedBy::Answered => "answered",
            ConfirmedBy::Pbx => "pbx",
            ConfirmedBy::None => "none",
        }
    }
}

impl fmt::Display for ConfirmedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}
