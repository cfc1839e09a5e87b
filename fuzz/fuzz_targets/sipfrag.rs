//! Any NOTIFY, in any number, before and after the answer to REFER: one outcome, in time.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use refer_transfer::{Input, Output, Target, Transfer, TransferConfig};
use sip_core::Status;

fuzz_target!(|story: Vec<(u8, &str, &[u8])>| {
    let mut now = Instant::now();
    let target = Target::blind("sip:101@pbx".parse().unwrap());
    let mut transfer = Transfer::new(now, TransferConfig::default(), target, None);
    let mut done = 0;
    for (what, text, body) in story {
        now += Duration::from_millis(u64::from(what) * 40);
        transfer.handle_input(
            now,
            match what % 8 {
                0 => Input::Response {
                    status: Status::new(100 + u16::from(what) * 2).unwrap(),
                    reason: text,
                    refer_sub: None,
                },
                1 => Input::DialogEnded,
                2 => Input::CallerHeard(what > 128),
                3 => Input::Timeout,
                _ => Input::Notify {
                    subscription_state: text,
                    body,
                },
            },
        );
        while let Some(output) = transfer.poll_output() {
            done += usize::from(matches!(output, Output::Done(_)));
        }
    }
    while let Some(due) = transfer.poll_timeout() {
        now = now.max(due);
        transfer.handle_input(now, Input::Timeout);
    }
    while let Some(output) = transfer.poll_output() {
        done += usize::from(matches!(output, Output::Done(_)));
    }
    assert_eq!(done, 1);
});
