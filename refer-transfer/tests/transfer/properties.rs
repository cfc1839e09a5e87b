//! Whatever comes in, in whatever order: one outcome, in time, and never two acts.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use refer_transfer::{Input, Output, Target, Transfer, TransferConfig, TransferResult};
use sip_core::Status;

#[derive(Clone, Debug)]
enum Happens {
    Answer(u16, Option<bool>),
    Unanswered,
    Notify(String, Vec<u8>),
    Bye,
    Cancel,
    Timeout,
    Heard(bool),
    Wait(u64),
    Poll,
}

fn happens() -> impl Strategy<Value = Happens> {
    let state = prop_oneof![
        Just("active;expires=60".to_owned()),
        Just("terminated;reason=noresource".to_owned()),
        "[a-z;=]{0,20}",
    ];
    let body = prop_oneof![
        (100u16..700).prop_map(|code| format!("SIP/2.0 {code} x\r\n").into_bytes()),
        prop_oneof![
            Just(100),
            Just(180),
            Just(200),
            Just(404),
            Just(486),
            Just(487)
        ]
        .prop_map(|code| format!("SIP/2.0 {code} x\r\n").into_bytes()),
        vec(any::<u8>(), 0..40),
    ];
    let code = prop_oneof![Just(202), Just(200), Just(481), Just(603), 100u16..700];
    prop_oneof![
        3 => (code, any::<Option<bool>>()).prop_map(|(code, sub)| Happens::Answer(code, sub)),
        1 => Just(Happens::Unanswered),
        5 => (state, body).prop_map(|(state, body)| Happens::Notify(state, body)),
        1 => Just(Happens::Bye),
        1 => Just(Happens::Cancel),
        2 => Just(Happens::Timeout),
        3 => any::<bool>().prop_map(Happens::Heard),
        4 => (0u64..20_000).prop_map(Happens::Wait),
        4 => Just(Happens::Poll),
    ]
}

/// What was seen of a transfer, checked as it comes.
struct Watch {
    transfer: Transfer,
    start: Instant,
    now: Instant,
    dialog_ended: bool,
    refers: usize,
    hang_ups: usize,
    done: usize,
    amended: usize,
}

impl Watch {
    fn new() -> Watch {
        let start = crate::scene::start();
        let target = Target::blind("sip:101@pbx".parse().unwrap());
        Watch {
            transfer: Transfer::new(start, TransferConfig::default(), target, None),
            start,
            now: start,
            dialog_ended: false,
            refers: 0,
            hang_ups: 0,
            done: 0,
            amended: 0,
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.transfer.handle_input(self.now, input);
    }

    fn happens(&mut self, what: Happens) -> Result<(), TestCaseError> {
        match what {
            Happens::Answer(code, refer_sub) => self.feed(Input::Response {
                status: Status::new(code).unwrap(),
                reason: "x",
                refer_sub,
            }),
            Happens::Unanswered => self.feed(Input::Unanswered("x")),
            Happens::Notify(state, body) => self.feed(Input::Notify {
                subscription_state: &state,
                body: &body,
            }),
            Happens::Bye => {
                self.drain()?;
                self.feed(Input::DialogEnded);
                self.dialog_ended = true;
            }
            Happens::Cancel => self.feed(Input::Cancel),
            Happens::Timeout => self.feed(Input::Timeout),
            Happens::Heard(heard) => self.feed(Input::CallerHeard(heard)),
            Happens::Wait(ms) => self.now += Duration::from_millis(ms),
            Happens::Poll => self.drain()?,
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), TestCaseError> {
        while let Some(output) = self.transfer.poll_output() {
            match output {
                Output::SendRefer { .. } => self.refers += 1,
                Output::Progress(status) => {
                    prop_assert!(status.is_provisional());
                    prop_assert_eq!(self.done, 0, "progress after the end");
                }
                Output::HangUp => {
                    self.hang_ups += 1;
                    prop_assert_eq!(self.done, 0, "hung up after the end");
                    prop_assert!(!self.dialog_ended, "hung up what was gone");
                }
                Output::Done(outcome) => {
                    self.done += 1;
                    prop_assert_eq!(self.transfer.poll_timeout(), None);
                    let gone = !outcome.caller_still_here && !self.dialog_ended;
                    prop_assert_eq!(gone, self.hang_ups == 1, "{:?}", outcome);
                    let success = outcome.result == TransferResult::Transferred;
                    prop_assert!(!success || outcome.sip_code.is_some_and(|c| c / 100 == 2));
                    prop_assert!(outcome.reason.len() < 600);
                }
                Output::Amended(_) => {
                    self.amended += 1;
                    prop_assert_eq!(self.done, 1, "amended before the end");
                }
            }
        }
        prop_assert!(self.refers <= 1 && self.hang_ups <= 1 && self.done <= 1 && self.amended <= 1);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_story_has_one_outcome_in_time(story in vec(happens(), 0..40)) {
        let mut watch = Watch::new();
        for what in story {
            // A timer is never later than what happens next.
            if watch.transfer.poll_timeout().is_some_and(|due| due <= watch.now) {
                watch.feed(Input::Timeout);
            }
            watch.happens(what)?;
        }
        watch.drain()?;
        // Left alone, it comes to its end by its deadlines.
        let mut alarms = 0;
        while let Some(due) = watch.transfer.poll_timeout() {
            alarms += 1;
            prop_assert!(alarms < 5, "a deadline that moves on by itself");
            watch.now = watch.now.max(due);
            watch.feed(Input::Timeout);
        }
        watch.drain()?;
        prop_assert_eq!(watch.done, 1);
    }

    #[test]
    fn no_story_outlasts_the_sum_of_its_deadlines(story in vec(happens(), 0..60)) {
        let mut watch = Watch::new();
        for what in story {
            if let Happens::Wait(ms) = what {
                // Time passes from deadline to deadline, as with a real timer.
                let until = watch.now + Duration::from_millis(ms);
                while let Some(due) = watch.transfer.poll_timeout().filter(|due| *due <= until) {
                    watch.now = watch.now.max(due);
                    watch.feed(Input::Timeout);
                }
                watch.now = until;
            } else {
                watch.happens(what)?;
            }
            let most = Duration::from_secs(32 + 30 + 30 + 5 + 2);
            if watch.transfer.poll_timeout().is_some() {
                prop_assert!(watch.now - watch.start <= most, "{:?}", watch.transfer);
            }
        }
    }
}
