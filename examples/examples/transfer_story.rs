//! What the transfer machine makes of a PBX's reports: two stories, told with virtual time.
//! Run it with `cargo run -p examples --example transfer_story`.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::time::{Duration, Instant};

use refer_transfer::{Input, Outcome, Output, Target, Transfer, TransferConfig, TransferResult};
use sip_core::Status;

fn main() -> Result<(), Box<dyn Error>> {
    println!("The PBX says that 101 answered:");
    let answered = story(&["100 Trying", "180 Ringing", "200 OK"], false)?;
    println!("  -> {answered:?}\n");

    println!("The extension does not exist, and the caller is still heard:");
    let unknown = story(&["100 Trying", "404 Not Found"], true)?;
    println!("  -> {unknown:?}");

    let expected = [
        (&answered, TransferResult::Transferred, false),
        (&unknown, TransferResult::Rejected, true),
    ];
    for (outcome, result, still_here) in expected {
        if outcome.result != result || outcome.caller_still_here != still_here {
            return Err(format!("not the outcome that was expected: {outcome:?}").into());
        }
    }
    Ok(())
}

/// Sends the REFER, lets the PBX accept it and report these, and returns the outcome.
fn story(reports: &[&str], heard_afterwards: bool) -> Result<Outcome, Box<dyn Error>> {
    let mut now = Instant::now();
    let target = Target::blind("sip:101@pbx.example.com".parse()?);
    let mut transfer = Transfer::new(now, TransferConfig::default(), target, None);
    let mut outcome = None;
    drain(&mut transfer, &mut outcome);
    let accepted = Input::Response {
        status: Status::ACCEPTED,
        reason: "Accepted",
        refer_sub: None,
    };
    transfer.handle_input(now, accepted);
    for (n, report) in reports.iter().enumerate() {
        now += Duration::from_millis(500);
        let last = n + 1 == reports.len();
        let subscription_state = if last {
            "terminated;reason=noresource"
        } else {
            "active"
        };
        let body = format!("SIP/2.0 {report}\r\n");
        println!("  NOTIFY {report}");
        transfer.handle_input(
            now,
            Input::Notify {
                subscription_state,
                body: body.as_bytes(),
            },
        );
        drain(&mut transfer, &mut outcome);
    }
    while outcome.is_none() {
        now += Duration::from_millis(500);
        transfer.handle_input(now, Input::CallerHeard(heard_afterwards));
        transfer.handle_input(now, Input::Timeout);
        drain(&mut transfer, &mut outcome);
    }
    outcome.ok_or_else(|| "no outcome".into())
}

fn drain(transfer: &mut Transfer, outcome: &mut Option<Outcome>) {
    while let Some(output) = transfer.poll_output() {
        match output {
            Output::SendRefer { headers } => {
                for (name, value) in headers {
                    println!("  REFER with {name}: {value}");
                }
            }
            Output::HangUp => println!("  BYE: our leg is done"),
            Output::Done(done) => *outcome = Some(done),
            _ => {}
        }
    }
}

#[cfg(test)]
#[test]
fn both_stories_end_as_told() {
    main().unwrap();
}
