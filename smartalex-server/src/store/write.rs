//! What is written about calls: one enum, so that a batch of it is one transaction.

use jiff::Timestamp;

use crate::calls::record::{
    CallOutcome, CallRecord, CallStatus, EndedBy, MediaFacts, ToolUse, TranscriptLine, Transfer,
};
use crate::ids::CallId;
use crate::webhooks::Event;

/// One thing to write about a call, together with the event that tells it.
#[derive(Debug, Clone)]
pub enum CallWrite {
    /// A row that begins with its INVITE, leased until the given time.
    Open {
        /// The call.
        call: Box<CallRecord>,
        /// End of its first lease.
        lease_until: Timestamp,
        /// `call.started`.
        event: Option<Event>,
    },
    /// It was answered.
    Answered {
        /// The call.
        call: CallId,
        /// When.
        at: Timestamp,
        /// `call.answered`.
        event: Option<Event>,
    },
    /// Which voice speaks.
    Voice {
        /// The call.
        call: CallId,
        /// Its name.
        voice: String,
    },
    /// A line was said.
    Line {
        /// The call.
        call: CallId,
        /// The line.
        line: TranscriptLine,
    },
    /// A tool was used.
    Tool {
        /// The call.
        call: CallId,
        /// The tool.
        tool: ToolUse,
        /// `tool.invoked`.
        event: Option<Event>,
    },
    /// The caller left a message.
    Message {
        /// The call.
        call: CallId,
        /// The message.
        text: String,
    },
    /// A transfer as it stands now.
    Transfer {
        /// The call.
        call: CallId,
        /// The transfer.
        transfer: Box<Transfer>,
        /// The outcome of the call, when the call is closed already and this changes it.
        outcome: Option<CallOutcome>,
        /// `call.transferred`.
        event: Option<Event>,
    },
    /// The call is over.
    Close {
        /// The call.
        call: CallId,
        /// How.
        close: Box<Close>,
        /// `call.ended` or `call.failed`.
        event: Option<Event>,
    },
    /// A call that was refused: a record from the first moment on.
    Refused {
        /// The record, closed.
        call: Box<CallRecord>,
        /// `call.failed`.
        event: Option<Event>,
    },
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Close {
    /// When.
    pub at: Timestamp,
    /// In one word.
    pub status: CallStatus,
    /// What it led to.
    pub outcome: CallOutcome,
    /// The final status of the INVITE.
    pub final_code: Option<u16>,
    /// Why.
    pub reason: Option<String>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// What its media were like.
    pub media: Option<MediaFacts>,
}

/// Whose calls to look for.
#[derive(Debug, Clone, Copy)]
pub enum Orphans<'a> {
    /// All live calls of this node, which has just started and so holds none.
    Of(&'a str),
    /// Live calls of other nodes than this whose lease ran out.
    NotOf(&'a str, Timestamp),
}

/// A call whose node is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Orphan {
    /// The call.
    pub call: CallRecord,
    /// When its lease ended.
    pub lease_until: Timestamp,
}
