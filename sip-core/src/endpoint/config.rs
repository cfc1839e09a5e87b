//! What an endpoint is told once: names it goes by, timers, and every bound.
//! The defaults are those of RFC 3261; the bounds suit one node of a telephony platform.

use std::time::Duration;

use crate::message::Limits;
use crate::method::Method;

/// How an [`Endpoint`](super::Endpoint) behaves. `Config::default()` is ready for use.
#[derive(Clone, Debug)]
pub struct Config {
    /// Text of `Server` in responses and `User-Agent` in requests; `None` sends neither.
    pub product: Option<String>,
    /// `host` or `host:port` that peers reach us at, for Via and Contact, when it is not the
    /// address that the socket is bound to (NAT). An IPv6 address stands in brackets.
    pub public_address: Option<String>,
    /// User part of our Contact. When `None`: the user part of the Request-URI in answers, and of
    /// From in requests.
    pub contact_user: Option<String>,
    /// Option tags (RFC 3261 19.2) that the application understands; a `Require` that names
    /// another is refused with 420. Sent as `Supported`. Empty by default: only the application
    /// knows what it does with an INVITE that has a Replaces header.
    pub supported: Vec<String>,
    /// Methods sent as `Allow`.
    pub allow: Vec<Method>,
    /// The timers of RFC 3261 17.
    pub timers: TimerConfig,
    /// Bounds of one message.
    pub limits: Limits,
    /// How long an INVITE waits for the application before its 100 is sent. Zero sends the 100 as
    /// soon as the `Incoming` event was polled and not answered. RFC 3261 17.2.1 wants at most
    /// 200 ms.
    pub trying_after: Duration,
    /// How long an INVITE of ours may stay without final answer after a provisional one; then it is
    /// cancelled and fails with a timeout (Timer C of RFC 3261 16.6, for a UAC).
    pub invite_timeout: Duration,
    /// How long a dialog outlives its BYE for the NOTIFYs of an accepted REFER (RFC 5057).
    pub refer_linger: Duration,
    /// Transactions held at once, both sides together. When full, requests outside dialogs are
    /// answered 503 statelessly; requests inside dialogs may use as many again.
    pub max_transactions: usize,
    /// Dialogs held at once. When full, INVITEs are answered 503 and ours are refused.
    pub max_dialogs: usize,
    /// Requests of the peer that may wait for the application in one dialog; more are answered 500
    /// with Retry-After.
    pub max_pending_per_dialog: usize,
    /// Outputs that may wait to be polled; while that many wait, received messages are dropped as a
    /// full socket buffer would drop them.
    pub max_outputs: usize,
    /// Early dialogs that one INVITE of ours may create by forking.
    pub max_forks: usize,
    /// `Retry-After` of the endpoint's own 503, in seconds.
    pub retry_after: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            product: Some("SmartAlex".to_owned()),
            public_address: None,
            contact_user: None,
            supported: Vec::new(),
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Bye,
                Method::Cancel,
                Method::Options,
                Method::Info,
                Method::Update,
                Method::Refer,
                Method::Notify,
            ],
            timers: TimerConfig::default(),
            limits: Limits::default(),
            trying_after: Duration::ZERO,
            invite_timeout: Duration::from_secs(185),
            refer_linger: Duration::from_secs(120),
            max_transactions: 65_536,
            max_dialogs: 32_768,
            max_pending_per_dialog: 8,
            max_outputs: 65_536,
            max_forks: 8,
            retry_after: 5,
        }
    }
}

/// T1, T2 and T4 of RFC 3261 17.1.1.1; all other timers follow from them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TimerConfig {
    /// Estimate of the round-trip time: 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and of answers: 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network: 5 s.
    pub t4: Duration,
}

impl TimerConfig {
    /// 64*T1, the life of a transaction: 32 s.
    pub fn lifetime(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

impl Default for TimerConfig {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}
