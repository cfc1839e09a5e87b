//! A transfer under test, told like a story: what the peer does, then what came out.

use std::time::{Duration, Instant};

use refer_transfer::{
    ConfirmedBy, Input, Outcome, Output, Target, Transfer, TransferConfig, TransferResult,
};
use sip_core::Status;

pub struct Scene {
    pub transfer: Transfer,
    pub now: Instant,
}

/// Some moment; the rest of a test counts from it.
#[expect(clippy::disallowed_methods, reason = "a test's time begins somewhere")]
pub fn start() -> Instant {
    Instant::now()
}

pub fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

/// A blind transfer whose REFER has been sent.
pub fn blind() -> Scene {
    with(
        TransferConfig::default(),
        Target::blind("sip:101@pbx.example.com".parse().unwrap()),
    )
}

/// An attended transfer whose REFER has been sent.
pub fn consulted(answered: bool) -> Scene {
    let uri = "sip:101@pbx.example.com".parse().unwrap();
    let target = Target::consulted(&uri, "abc@host;to-tag=1;from-tag=2", answered).unwrap();
    with(TransferConfig::default(), target)
}

pub fn with(config: TransferConfig, target: Target) -> Scene {
    let now = start();
    let mut transfer = Transfer::new(now, config, target, None);
    let first = transfer.poll_output();
    assert!(matches!(first, Some(Output::SendRefer { .. })), "{first:?}");
    assert_eq!(transfer.poll_output(), None);
    Scene { transfer, now }
}

impl Scene {
    pub fn answers(&mut self, code: u16) -> &mut Self {
        self.input(Input::Response {
            status: status(code),
            reason: "",
            refer_sub: None,
        })
    }

    /// A NOTIFY with this status and `active`, as long as it is not final.
    pub fn notifies(&mut self, code: u16) -> &mut Self {
        let body = format!("SIP/2.0 {code} {}\r\n", status(code).reason());
        let subscription_state = if code < 200 {
            "active;expires=60"
        } else {
            "terminated;reason=noresource"
        };
        self.input(Input::Notify {
            subscription_state,
            body: body.as_bytes(),
        })
    }

    pub fn says_bye(&mut self) -> &mut Self {
        self.input(Input::DialogEnded)
    }

    /// The caller's RTP arrives for so long, reported every 100 ms.
    pub fn is_heard_for(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while self.now < end {
            self.step(Duration::from_millis(100));
            self.input(Input::CallerHeard(true));
        }
        self
    }

    /// Nothing arrives for so long; deadlines on the way are met.
    pub fn silence(&mut self, time: Duration) -> &mut Self {
        let end = self.now + time;
        while self.now < end {
            self.step(Duration::from_millis(100));
            self.input(Input::CallerHeard(false));
        }
        self
    }

    pub fn input(&mut self, input: Input<'_>) -> &mut Self {
        self.transfer.handle_input(self.now, input);
        self
    }

    pub fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.transfer.poll_output()).collect()
    }

    /// Nothing is waited for any more, and nothing is left to do.
    pub fn is_over(&mut self) {
        assert_eq!(self.transfer.poll_timeout(), None);
        assert_eq!(self.outputs(), []);
    }

    fn step(&mut self, time: Duration) {
        self.now += time;
        if self
            .transfer
            .poll_timeout()
            .is_some_and(|due| due <= self.now)
        {
            self.input(Input::Timeout);
        }
    }
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn progress(code: u16) -> Output {
    Output::Progress(status(code))
}

pub fn outcome(
    result: TransferResult,
    confirmed_by: ConfirmedBy,
    sip_code: Option<u16>,
    caller_still_here: bool,
    reason: &str,
) -> Outcome {
    Outcome {
        result,
        confirmed_by,
        sip_code,
        reason: reason.to_owned(),
        caller_still_here,
    }
}
