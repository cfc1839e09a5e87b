//! REFERs of the peer: it asks us to call somebody else, and is told how that goes (RFC 3515).
//! The application decides; the machine keeps the subscription and its words.

use std::time::{Duration, Instant};

use sip_core::endpoint::{Body, Reply, ServerTx};
use sip_core::header::{Header, ReferTo, SubscriptionState};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;

use super::action::{Action, Notice, Purpose};
use super::machine::Machine;

/// Names one REFER of the peer: the CSeq number it came with.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReferId(pub(crate) u32);

/// What the peer asks for.
#[derive(Clone, Debug)]
pub(crate) struct ReferOrder {
    /// Whom to call.
    pub(crate) refer_to: ReferTo,
    /// The whole request.
    pub(crate) request: Request,
}

/// The REFERs of one call.
#[derive(Debug, Default)]
pub(crate) struct Referred {
    refers: Vec<Refer>,
}

#[derive(Debug)]
struct Refer {
    id: ReferId,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The application has not decided yet.
    Asked {
        tx: ServerTx,
        until: Option<Instant>,
        silent: bool,
    },
    /// Accepted: the peer hears of it until the last word.
    Told { until: Option<Instant> },
}

impl Referred {
    /// Whether the peer waits for a last word.
    pub(super) fn lingers(&self) -> bool {
        !self.refers.is_empty()
    }

    pub(super) fn forget(&mut self) {
        self.refers.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.refers
            .iter()
            .filter_map(|refer| match refer.stage {
                Stage::Asked { until, .. } | Stage::Told { until } => until,
            })
            .min()
    }

    fn take(&mut self, id: ReferId) -> Option<Refer> {
        let place = self.refers.iter().position(|refer| refer.id == id)?;
        Some(self.refers.swap_remove(place))
    }
}

impl Machine {
    /// A REFER arrived.
    pub(super) fn refer_requested(&mut self, now: Instant, tx: ServerTx, request: &Request) {
        //= RFC 3515 2.4.2
        // An agent responding to a REFER request MUST return a 400 (Bad Request) if the request
        // contained zero or more than one Refer-To header field values.
        let Some(Ok(refer_to)) = request.typed::<ReferTo>() else {
            self.respond(
                tx,
                Reply::new(Status::BAD_REQUEST).reason("Missing or bad Refer-To"),
            );
            return;
        };
        if self.referred.refers.len() >= MAX_REFERS {
            self.respond(
                tx,
                Reply::new(Status::SERVICE_UNAVAILABLE).header(Name::RetryAfter, "30"),
            );
            return;
        }
        let id = ReferId(request.cseq().seq);
        // "Refer-Sub: false" asks for no subscription (RFC 4488 4).
        let silent = request
            .header(&Name::ReferSub)
            .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("false"));
        self.referred.refers.push(Refer {
            id,
            stage: Stage::Asked {
                tx,
                until: now.checked_add(self.settings.timers.refer),
                silent,
            },
        });
        self.notice(Notice::Refer {
            id,
            order: ReferOrder {
                refer_to,
                request: request.clone(),
            },
        });
    }

    /// The application takes the REFER: 202, and the first NOTIFY.
    pub(crate) fn accept_refer(&mut self, now: Instant, id: ReferId) -> bool {
        let Some(refer) = self.referred.take(id) else {
            return false;
        };
        let Stage::Asked { tx, silent, .. } = refer.stage else {
            self.referred.refers.push(refer);
            return false;
        };
        if silent {
            self.respond(tx, Reply::new(Status::OK).header(Name::ReferSub, "false"));
            return true;
        }
        self.respond(tx, Reply::new(Status::ACCEPTED));
        self.referred.refers.push(Refer {
            id,
            stage: Stage::Told {
                until: now.checked_add(SUBSCRIPTION),
            },
        });
        // The subscription begins with a NOTIFY, whatever there is to say (RFC 3515 2.4.4).
        self.notify(id, Status::TRYING, "Trying", false);
        true
    }

    /// The application declines the REFER.
    pub(crate) fn decline_refer(&mut self, id: ReferId, reply: Reply) {
        let Some(refer) = self.referred.take(id) else {
            return;
        };
        match refer.stage {
            Stage::Asked { tx, .. } => self.respond(tx, reply),
            Stage::Told { .. } => self.referred.refers.push(refer),
        }
    }

    /// Tells the peer how its REFER goes. A final status is the last word.
    pub(crate) fn notify_refer(&mut self, id: ReferId, status: Status, reason: &str) -> bool {
        let told = self
            .referred
            .refers
            .iter()
            .any(|refer| refer.id == id && matches!(refer.stage, Stage::Told { .. }));
        if told {
            self.notify(id, status, reason, status.is_final());
            if status.is_final() {
                self.referred.take(id);
            }
        }
        told
    }

    /// The peer's answer to a NOTIFY of ours.
    pub(super) fn notify_answered(&mut self, id: ReferId, status: Status) {
        // A peer that refuses a NOTIFY has no subscription any more (RFC 6665 4.2.2).
        if status.is_failure() {
            self.referred.take(id);
        }
    }

    pub(super) fn refer_timeout(&mut self, now: Instant) {
        let due: Vec<ReferId> = self
            .referred
            .refers
            .iter()
            .filter(|refer| match refer.stage {
                Stage::Asked { until, .. } | Stage::Told { until } => {
                    until.is_some_and(|at| at <= now)
                }
            })
            .map(|refer| refer.id)
            .collect();
        for id in due {
            self.decline_refer(id, Reply::new(Status::DECLINE));
            if self.referred.take(id).is_some() {
                // Accepted, and the application never said how it went.
                self.notify(id, Status::REQUEST_TIMEOUT, "Request Timeout", true);
            }
        }
    }

    /// The call is over: what was not decided cannot be any more.
    pub(super) fn referred_call_ended(&mut self) {
        let (asked, told): (Vec<Refer>, Vec<Refer>) = std::mem::take(&mut self.referred.refers)
            .into_iter()
            .partition(|refer| matches!(refer.stage, Stage::Asked { .. }));
        self.referred.refers = told;
        for refer in asked {
            if let Stage::Asked { tx, .. } = refer.stage {
                //= RFC 3261 15.1.2
                // The UAS MUST still respond to any pending requests received for that dialog. It
                // is RECOMMENDED that a 487 (Request Terminated) response be generated
                self.respond(tx, Reply::new(Status::REQUEST_TERMINATED));
            }
        }
    }

    fn notify(&mut self, id: ReferId, status: Status, reason: &str, last: bool) {
        let subscription = if last {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={}", SUBSCRIPTION.as_secs())
        };
        let reason: String = reason
            .chars()
            .filter(|c| !c.is_control())
            .take(128)
            .collect();
        self.act(Action::Request {
            purpose: Purpose::Notify(id),
            method: Method::Notify,
            headers: vec![
                //= RFC 3515 2.4.6
                // … it MUST include an id parameter in the Event header field of each NOTIFY
                // containing the sequence number (the number portion of the CSeq header field
                // value) of the REFER this NOTIFY is associated with. This id parameter MAY be
                // included in NOTIFYs to the first REFER a UA receives in a given dialog.
                (Name::Event, format!("refer;id={}", id.0)),
                (SubscriptionState::NAME, subscription),
            ],
            body: Some(Body::new(
                "message/sipfrag;version=2.0",
                format!("SIP/2.0 {} {reason}\r\n", status.code()),
            )),
        });
    }
}

/// REFERs of one call that may be under way at once.
const MAX_REFERS: usize = 4;
/// How long a subscription made by a REFER lives; then its last word is 408.
const SUBSCRIPTION: Duration = Duration::from_secs(180);
