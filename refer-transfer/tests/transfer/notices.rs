//! NOTIFYs as they arrive: well formed, odd, broken, oversized.

use refer_transfer::Output::Done;
use refer_transfer::TransferResult::{Rejected, Transferred, Unknown};
use refer_transfer::{ConfirmedBy, Input, MAX_BODY, Notice, NoticeError};

use crate::scene::{blind, progress, seconds};

fn code(body: &[u8]) -> Result<u16, NoticeError> {
    Notice::read("active", body)
        .status
        .map(|(status, _)| status.code())
}

#[test]
fn a_status_line_is_read_with_and_without_its_surroundings() {
    assert_eq!(code(b"SIP/2.0 100 Trying"), Ok(100));
    assert_eq!(code(b"SIP/2.0 180 Ringing\r\n"), Ok(180));
    assert_eq!(
        code(b"\r\nSIP/2.0 200 OK\nContent-Length: 0\r\n\r\n"),
        Ok(200)
    );
    assert_eq!(code(b"sip/2.0 486"), Ok(486), "a phrase is not needed");
    assert_eq!(code(b"SIP/2.0 603 caf\xe9"), Ok(603));
}

#[test]
fn what_is_no_status_line_is_named() {
    assert_eq!(code(b""), Err(NoticeError::Empty));
    assert_eq!(code(b" \r\n"), Err(NoticeError::Empty));
    for body in [
        "OK",
        "SIP/2.0",
        "SIP/2.0 ",
        "SIP/2.0 2000 x",
        "SIP/2.0 099 x",
        "SIP/2.0 +20 x",
        "SIP/2.0  200 OK",
        "SIP/3.0 200 OK",
        "INVITE sip:a@b SIP/2.0",
        "SIP/2.0 700 x",
    ] {
        assert_eq!(
            code(body.as_bytes()),
            Err(NoticeError::NotAStatusLine),
            "{body:?}"
        );
    }
    let long = [b"SIP/2.0 200 ".to_vec(), vec![b'x'; MAX_BODY]].concat();
    assert_eq!(code(&long), Err(NoticeError::TooLong(long.len())));
}

#[test]
fn the_phrase_of_a_peer_is_cut_and_cleaned() {
    let body = format!("SIP/2.0 486 a\u{7}\u{1b}[31m{}", "x".repeat(4000));
    let (_, phrase) = Notice::read("active", body.as_bytes()).status.unwrap();
    assert!(phrase.starts_with("a[31mxx"), "{phrase}");
    assert_eq!(phrase.chars().count(), 120);
}

#[test]
fn the_subscriptions_end_is_read_in_any_case_and_order() {
    for value in [
        "terminated",
        "Terminated;reason=noresource",
        "TERMINATED ; x=1 ; reason=timeout",
    ] {
        assert!(Notice::read(value, b"").is_last(), "{value}");
    }
    for value in [
        "active;expires=60",
        "pending",
        "",
        ";;;",
        "terminat",
        "unheard-of",
    ] {
        assert!(!Notice::read(value, b"").is_last(), "{value}");
    }
    let notice = Notice::read("terminated;reason=NoResource", b"");
    assert_eq!(notice.end_reason().as_deref(), Some("noresource"));
}

#[test]
fn a_final_status_decides_even_in_a_subscription_that_goes_on() {
    let mut scene = blind();
    scene.answers(202).input(Input::Notify {
        subscription_state: "active;expires=60",
        body: b"SIP/2.0 200 OK\r\n",
    });
    let outputs = scene.outputs();
    let Some(Done(done)) = outputs.last() else {
        panic!("{outputs:?}")
    };
    assert_eq!(done.result, Transferred);
}

#[test]
fn reports_that_end_without_a_final_status_leave_it_unknown() {
    for (body, state, result, confirmed_by) in [
        (
            &b"SIP/2.0 100 Trying"[..],
            "terminated;reason=timeout",
            Unknown,
            ConfirmedBy::None,
        ),
        (
            &b"SIP/2.0 180 Ringing"[..],
            "terminated",
            Unknown,
            ConfirmedBy::None,
        ),
        (
            &b""[..],
            "terminated;reason=noresource",
            Unknown,
            ConfirmedBy::None,
        ),
        (
            &b"garbage"[..],
            "terminated;reason=giveup",
            Unknown,
            ConfirmedBy::None,
        ),
        (
            &b""[..],
            "terminated;reason=rejected",
            Rejected,
            ConfirmedBy::Pbx,
        ),
    ] {
        let mut scene = blind();
        scene.answers(202).input(Input::Notify {
            subscription_state: state,
            body,
        });
        scene.is_heard_for(seconds(1));
        let outputs = scene.outputs();
        let [Done(done)] = &outputs[..] else {
            panic!("{outputs:?}")
        };
        assert_eq!(
            (done.result, done.confirmed_by, done.sip_code),
            (result, confirmed_by, None)
        );
        assert!(done.caller_still_here);
        assert!(
            done.reason.contains("without telling the outcome"),
            "{}",
            done.reason
        );
    }
}

#[test]
fn a_report_that_cannot_be_read_is_passed_over() {
    let mut scene = blind();
    scene.answers(202).input(Input::Notify {
        subscription_state: "active",
        body: b"not a sipfrag",
    });
    assert_eq!(scene.outputs(), []);
    scene.notifies(180);
    assert_eq!(scene.outputs(), [progress(180)]);
}
