//! Keeping a registration alive: refresh in time, back off on failure, leave on request.
//! Pure: time and answers in, requests out (RFC 3261 10.2; back-off of RFC 5626 4.5).

use std::time::{Duration, Instant};

use sip_core::auth::Credentials;
use sip_core::endpoint::{Failure, OutgoingRequest, Target};
use sip_core::header::{Contact, MinExpires, NameAddr, RetryAfter};
use sip_core::message::Response;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;
use sip_core::uri::Uri;

/// What to register where.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The registrar's domain, such as `sip:pbx.example.com`: the Request-URI.
    pub registrar: Uri,
    /// The address of record: who we are there, To and From.
    pub address: NameAddr,
    /// Answers the registrar's challenge.
    pub credentials: Option<Credentials>,
    /// Where to send it, whatever the registrar's domain resolves to: an outbound proxy.
    pub target: Option<Target>,
    /// The Contact's value; `None` makes one from the phone's own address.
    pub contact: Option<String>,
    /// How long a registration shall last; the registrar may shorten it. Default 300 s.
    pub expires: Duration,
}

impl Registration {
    /// This address at this registrar, for 300 s at a time.
    pub fn new(registrar: Uri, address: NameAddr) -> Self {
        Self {
            registrar,
            address,
            credentials: None,
            target: None,
            contact: None,
            expires: Duration::from_secs(300),
        }
    }
}

/// How a registration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// The first answer is not in yet.
    Trying,
    /// The registrar knows us.
    Registered {
        /// For how long it promised to, from its answer on.
        expires: Duration,
    },
    /// It does not; we try again by ourselves.
    Failed {
        /// Its final status, if it answered.
        status: Option<Status>,
        /// Why, in words.
        cause: String,
        /// When we try again.
        retry_in: Duration,
    },
    /// We have left: unregistered on request, as far as the registrar could be told.
    Left,
}

/// One registration that is being kept.
#[derive(Debug)]
pub(crate) struct Keeper {
    order: Registration,
    call_id: String,
    cseq: u32,
    /// What is asked for, raised when the registrar finds it too brief.
    asked: Duration,
    failures: u32,
    due: Option<Instant>,
    /// A request is out.
    waiting: bool,
    leaving: Leaving,
    /// Seeds the spread of the back-off.
    dice: u32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// Wanted, as soon as the answer that is awaited is in.
    Wanted,
    Asked,
    Done,
}

impl Keeper {
    /// A registration that is due at once. `call_id` is its own for its whole life.
    pub(crate) fn new(now: Instant, order: Registration, call_id: String, dice: u32) -> Self {
        Self {
            asked: order.expires.max(SHORTEST),
            order,
            call_id,
            cseq: 1,
            failures: 0,
            due: Some(now),
            waiting: false,
            leaving: Leaving::No,
            dice,
        }
    }

    /// When to ask [`Keeper::request`] again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether we have left for good.
    pub(crate) fn is_over(&self) -> bool {
        self.leaving == Leaving::Done
    }

    /// The request to send now, if one is due.
    pub(crate) fn request(&mut self, now: Instant) -> Option<OutgoingRequest> {
        if self.waiting || self.due.is_none_or(|at| at > now) {
            return None;
        }
        self.due = None;
        self.waiting = true;
        if self.leaving == Leaving::Wanted {
            self.leaving = Leaving::Asked;
        }
        let expires = match self.leaving {
            Leaving::No => self.asked.as_secs(),
            _ => 0,
        };
        let mut request = OutgoingRequest::new(
            Method::Register,
            self.order.registrar.clone(),
            self.order.address.clone(),
            self.order.address.clone(),
        )
        .header(Name::Expires, expires.to_string());
        request.credentials = self.order.credentials.clone();
        request.target = self.order.target;
        request.contact = self.order.contact.clone();
        //= RFC 3261 10.2
        // All registrations from a UAC SHOULD use the same Call-ID header field value for
        // registrations sent to a particular registrar. … A UA MUST increment the CSeq value by
        // one for each REGISTER request with the same Call-ID.
        request.call_id = Some(self.call_id.clone());
        request.cseq = Some(self.cseq);
        Some(request)
    }

    /// Leaves the registrar: the next request takes our binding away.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving == Leaving::No {
            self.leaving = Leaving::Wanted;
            if !self.waiting {
                self.due = Some(now);
            }
        }
    }

    /// The registrar's final answer.
    pub(crate) fn answered(&mut self, now: Instant, response: &Response) -> RegistrationState {
        // The endpoint may have sent it twice, the second time with credentials.
        self.cseq = response.cseq().seq.max(self.cseq).saturating_add(1);
        let status = response.status();
        if let Some(state) = self.after_leaving(now) {
            return state;
        }
        if status.is_success() {
            self.failures = 0;
            let granted = granted(response, self.asked);
            self.due = now.checked_add(refresh_after(granted));
            return RegistrationState::Registered { expires: granted };
        }
        //= RFC 3261 10.2.8
        // If a UA receives a 423 (Interval Too Brief) response, it MAY retry the registration
        // after making the expiration interval of all contact addresses in the REGISTER request
        // equal to or greater than the expiration interval within the Min-Expires header field
        if status == Status::INTERVAL_TOO_BRIEF
            && let Some(Ok(least)) = response.typed::<MinExpires>()
        {
            let least = Duration::from_secs(u64::from(least.0));
            if least > self.asked && least <= LONGEST {
                self.asked = least;
                self.due = Some(now);
                return RegistrationState::Trying;
            }
        }
        let named = match response.typed::<RetryAfter>() {
            Some(Ok(after)) => Some(Duration::from_secs(u64::from(after.seconds))),
            _ => None,
        };
        self.back_off(now, Some(status), response.reason().to_string(), named)
    }

    /// No answer came.
    pub(crate) fn failed(&mut self, now: Instant, failure: &Failure) -> RegistrationState {
        self.lost(now, failure.to_string())
    }

    /// Nothing could be sent.
    pub(crate) fn lost(&mut self, now: Instant, cause: String) -> RegistrationState {
        // Two may have been sent under one order, as `answered` says.
        self.cseq = self.cseq.saturating_add(2);
        if let Some(state) = self.after_leaving(now) {
            return state;
        }
        self.back_off(now, None, cause, None)
    }

    fn after_leaving(&mut self, now: Instant) -> Option<RegistrationState> {
        self.waiting = false;
        match self.leaving {
            Leaving::No => None,
            Leaving::Wanted => {
                self.due = Some(now);
                Some(RegistrationState::Trying)
            }
            Leaving::Asked | Leaving::Done => {
                self.leaving = Leaving::Done;
                self.due = None;
                Some(RegistrationState::Left)
            }
        }
    }

    fn back_off(
        &mut self,
        now: Instant,
        status: Option<Status>,
        cause: String,
        named: Option<Duration>,
    ) -> RegistrationState {
        //= RFC 5626 4.5
        // The wait time is computed by … min( max-time, (base-time * (2 ^ consecutive-failures)))
        // … the UA … waits … a uniform random time between 50 and 100% of the upper-bound
        // wait-time
        let bound = BASE
            .saturating_mul(1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX))
            .min(MAX);
        self.failures = self.failures.saturating_add(1);
        self.dice = self
            .dice
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let share = 500_u32.saturating_add((self.dice >> 16) % 501);
        let drawn = bound.saturating_mul(share) / 1_000;
        let retry_in = named.unwrap_or(drawn).clamp(Duration::from_secs(1), MAX);
        self.due = now.checked_add(retry_in);
        RegistrationState::Failed {
            status,
            cause,
            retry_in,
        }
    }
}

/// How long the registrar keeps us: our Contact's `expires`, else the Expires header, else what we
/// asked for (RFC 3261 10.2.4).
fn granted(response: &Response, asked: Duration) -> Duration {
    let contacts = response.all::<Contact>().unwrap_or_default();
    let by_contact = contacts.iter().filter_map(Contact::expires).max();
    let by_header = || match response.typed::<sip_core::header::Expires>() {
        Some(Ok(expires)) => Some(expires.0),
        _ => None,
    };
    by_contact
        .or_else(by_header)
        .filter(|seconds| *seconds > 0)
        .map_or(asked, |seconds| Duration::from_secs(u64::from(seconds)))
        .min(asked)
        .max(Duration::from_secs(1))
}

/// A fifth early, but never more than 30 s.
fn refresh_after(granted: Duration) -> Duration {
    granted.saturating_sub((granted / 5).min(Duration::from_secs(30)))
}

/// Nothing shorter is asked for.
const SHORTEST: Duration = Duration::from_secs(10);
/// Nothing longer is granted to a registrar that finds us too brief: a day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// `base-time` and `max-time` of RFC 5626 4.5.
const BASE: Duration = Duration::from_secs(30);
const MAX: Duration = Duration::from_secs(1_800);

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::message::{Limits, Message};

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn keeper(now: Instant) -> Keeper {
        let registrar: Uri = "sip:pbx.example.com".parse().unwrap();
        let address = NameAddr::new("sip:alice@pbx.example.com".parse().unwrap());
        let mut order = Registration::new(registrar, address);
        order.expires = seconds(120);
        Keeper::new(now, order, "one-call-id".to_owned(), 7)
    }

    fn answer(status: &str, cseq: u32, headers: &str) -> Response {
        let text = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
             From: <sip:alice@pbx.example.com>;tag=a\r\nTo: <sip:alice@pbx.example.com>;tag=b\r\n\
             Call-ID: one-call-id\r\nCSeq: {cseq} REGISTER\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        match Message::parse(text.into(), &Limits::default()).unwrap() {
            Message::Response(response) => response,
            Message::Request(_) => unreachable!(),
        }
    }

    fn asked(request: &OutgoingRequest) -> (u32, &str) {
        let expires = request
            .headers
            .iter()
            .find(|(name, _)| *name == Name::Expires);
        (request.cseq.unwrap(), &expires.unwrap().1)
    }

    #[test]
    fn a_registration_is_refreshed_before_it_lapses_with_a_higher_cseq() {
        let t0 = Instant::now();
        let mut keeper = keeper(t0);
        assert_eq!(asked(&keeper.request(t0).unwrap()), (1, "120"));
        assert!(keeper.request(t0).is_none(), "one at a time");
        // The endpoint has answered a challenge meanwhile: the answer is to CSeq 2.
        let contact = "Contact: <sip:alice@192.0.2.1>;expires=60\r\n";
        let state = keeper.answered(t0, &answer("200 OK", 2, contact));
        let expires = seconds(60);
        assert_eq!(state, RegistrationState::Registered { expires });
        assert_eq!(
            keeper.poll_timeout(),
            Some(t0 + seconds(48)),
            "a fifth early"
        );
        assert!(keeper.request(t0 + seconds(47)).is_none());
        let refresh = keeper.request(t0 + seconds(48)).unwrap();
        assert_eq!(asked(&refresh), (3, "120"));
        assert_eq!(refresh.call_id.as_deref(), Some("one-call-id"));
    }

    #[test]
    fn failures_are_spaced_out_and_forgotten_after_a_success() {
        let mut now = Instant::now();
        let mut keeper = keeper(now);
        let mut waits = Vec::new();
        for _ in 0..9 {
            keeper.request(now).unwrap();
            let RegistrationState::Failed { retry_in, .. } = keeper.failed(now, &Failure::Timeout)
            else {
                panic!("it failed");
            };
            waits.push(retry_in);
            now += retry_in;
        }
        assert!(
            waits[0] >= seconds(15) && waits[0] <= seconds(30),
            "{waits:?}"
        );
        assert!(
            waits[3] >= seconds(120) && waits[3] <= seconds(240),
            "{waits:?}"
        );
        assert!(
            waits[8] >= seconds(900) && waits[8] <= seconds(1_800),
            "{waits:?}"
        );
        keeper.request(now).unwrap();
        keeper.answered(now, &answer("200 OK", 30, "Expires: 100\r\n"));
        assert_eq!(keeper.poll_timeout(), Some(now + seconds(80)));
        now += seconds(80);
        keeper.request(now).unwrap();
        let state = keeper.failed(now, &Failure::Timeout);
        assert!(
            matches!(state, RegistrationState::Failed { retry_in, .. } if retry_in <= seconds(30))
        );
    }

    #[test]
    fn a_registrar_may_name_its_own_pace() {
        let now = Instant::now();
        let mut keeper = keeper(now);
        keeper.request(now).unwrap();
        let state = keeper.answered(now, &answer("503 Busy", 1, "Retry-After: 300\r\n"));
        assert_eq!(
            state,
            RegistrationState::Failed {
                status: Some(Status::SERVICE_UNAVAILABLE),
                cause: "Busy".to_owned(),
                retry_in: seconds(300),
            }
        );
        let later = now + seconds(300);
        keeper.request(later).unwrap();
        let brief = answer("423 Interval Too Brief", 2, "Min-Expires: 600\r\n");
        assert_eq!(keeper.answered(later, &brief), RegistrationState::Trying);
        assert_eq!(asked(&keeper.request(later).unwrap()), (3, "600"));
    }

    #[test]
    fn leaving_waits_for_the_answer_that_is_out_and_then_says_zero() {
        let now = Instant::now();
        let mut keeper = keeper(now);
        keeper.request(now).unwrap();
        keeper.leave(now);
        assert!(keeper.request(now).is_none());
        keeper.answered(now, &answer("200 OK", 1, "Expires: 100\r\n"));
        assert!(!keeper.is_over());
        assert_eq!(asked(&keeper.request(now).unwrap()), (2, "0"));
        let state = keeper.answered(now, &answer("200 OK", 2, ""));
        assert_eq!(state, RegistrationState::Left);
        assert!(keeper.is_over());
        assert_eq!(keeper.poll_timeout(), None);
    }
}
