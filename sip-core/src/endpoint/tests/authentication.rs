//! Digest on both sides: an authenticator behind one endpoint, credentials at the other.
//! Challenges cost no memory; credentials are tried once, and once more when only stale.

use super::*;
use crate::auth::{AuthConfig, Authenticator, Credentials, Secret, Verdict};
use crate::endpoint::{Config, Failure};
use crate::header::{Authorization, ProxyAuthenticate};
use crate::name::Name;

const REALM: &str = "biloxi.example.com";

fn authenticator(pair: &Pair) -> Authenticator {
    Authenticator::new([3; 32], pair.now, AuthConfig::default())
}

/// Lets B demand credentials of everything that comes in, and accept what proves itself.
fn guard(pair: &mut Pair, auth: &mut Authenticator) -> Vec<String> {
    let mut verdicts = Vec::new();
    let mut told = Vec::new();
    for _ in 0..200 {
        let more = pair.step_with(&mut |side, endpoint, now, event| {
            if let (Side::B, Event::Incoming { tx, request, .. }) = (side, &event) {
                let lookup = |user: &str| (user == "alice").then(|| Secret::password("secret"));
                let verdict = auth.check(now, request, REALM, lookup);
                let accepted = matches!(verdict, Verdict::Accepted { .. });
                verdicts.push(format!("{verdict:?}"));
                if accepted {
                    endpoint.respond(now, *tx, Reply::new(Status::OK)).unwrap();
                } else {
                    let challenges = auth.challenges(now, REALM, verdict.is_stale());
                    let status = Status::UNAUTHORIZED;
                    endpoint
                        .challenge(now, *tx, &challenges, status, "")
                        .unwrap();
                    assert!(endpoint.counts().is_zero(), "a challenge costs no memory");
                }
            } else if side == Side::A {
                told.push(word(&event));
            }
        });
        if !more {
            break;
        }
    }
    verdicts.extend(told);
    verdicts
}

#[test]
fn a_challenged_invite_is_sent_again_with_credentials_under_the_same_handle() {
    let mut pair = Pair::new(1);
    let mut auth = authenticator(&pair);
    let request = outgoing(Method::Invite, Side::A)
        .credentials(Credentials::new("alice", "secret"))
        .body(Body::sdp("v=0\r\n"));
    send(&mut pair, Side::A, request);
    let seen = guard(&mut pair, &mut auth);
    assert_eq!(
        seen[..3],
        ["Missing", "Accepted { user: \"alice\" }", "final 200"]
    );
    assert!(pair.times(Side::B, "100").is_empty(), "answered at once");
    let invites: Vec<_> = pair
        .sent
        .iter()
        .filter(|sent| sent.kind() == "INVITE")
        .collect();
    let parse = |bytes: &Bytes| parse_request(std::str::from_utf8(bytes).unwrap());
    let (first, second) = (parse(&invites[0].bytes), parse(&invites[1].bytes));
    assert_eq!(second.cseq().seq, first.cseq().seq + 1);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.from().tag(), first.from().tag());
    assert_ne!(second.via().branch(), first.via().branch());
    assert_eq!(second.body(), first.body());
    let answer = second.typed::<Authorization>().unwrap().unwrap();
    assert_eq!(
        answer.algorithm,
        Some(crate::header::Algorithm::Sha256),
        "the strongest"
    );
    let acks: Vec<_> = pair
        .sent
        .iter()
        .filter(|sent| sent.kind() == "ACK")
        .collect();
    let ack = parse(&acks[1].bytes);
    assert!(
        ack.has(&Name::Authorization),
        "the same credentials as the INVITE"
    );
}

#[test]
fn a_wrong_password_is_tried_once() {
    let mut pair = Pair::new(2);
    let mut auth = authenticator(&pair);
    let wrong = Credentials::new("alice", "wrong");
    send(
        &mut pair,
        Side::A,
        outgoing(Method::Register, Side::A).credentials(wrong),
    );
    let seen = guard(&mut pair, &mut auth);
    assert_eq!(
        seen,
        ["Missing", "BadResponse { user: \"alice\" }", "final 401"]
    );
    pair.assert_conserved();
}

#[test]
fn without_credentials_a_challenge_is_the_final_answer() {
    let mut pair = Pair::new(3);
    let mut auth = authenticator(&pair);
    send(&mut pair, Side::A, outgoing(Method::Invite, Side::A));
    assert_eq!(guard(&mut pair, &mut auth), ["Missing", "final 401"]);
    pair.assert_conserved();
}

#[test]
fn a_stale_nonce_is_tried_once_more() {
    let mut pair = Pair::new(4);
    // The first nonce is that of a server before its restart.
    let old = Authenticator::new([9; 32], pair.now, AuthConfig::default());
    let mut auth = authenticator(&pair);
    let right = Credentials::new("alice", "secret");
    send(
        &mut pair,
        Side::A,
        outgoing(Method::Options, Side::A).credentials(right),
    );
    pair.run_for(ms(5));
    let tx = incoming(&mut pair, Side::B);
    let now = pair.now;
    let challenges = old.challenges(now, REALM, false);
    pair.b
        .endpoint
        .challenge(now, tx, &challenges, Status::UNAUTHORIZED, "")
        .unwrap();
    let seen = guard(&mut pair, &mut auth);
    assert_eq!(
        seen,
        [
            "Stale { user: \"alice\" }",
            "Accepted { user: \"alice\" }",
            "final 200"
        ]
    );
}

#[test]
fn proxy_and_server_may_both_ask() {
    let mut pair = Pair::new(5);
    let mut auth = authenticator(&pair);
    let right = Credentials::new("alice", "secret");
    send(
        &mut pair,
        Side::A,
        outgoing(Method::Invite, Side::A).credentials(right),
    );
    pair.run_for(ms(5));
    let tx = incoming(&mut pair, Side::B);
    let now = pair.now;
    let challenges = auth.challenges(now, "proxy", false);
    let status = Status::PROXY_AUTHENTICATION_REQUIRED;
    pair.b
        .endpoint
        .challenge(now, tx, &challenges, status, "Who are you")
        .unwrap();
    let refusal = {
        pair.flush();
        parse_response(&last_sent(&pair, Side::B, "407"))
    };
    assert_eq!(refusal.reason(), "Who are you");
    assert_eq!(
        refusal.typed::<ProxyAuthenticate>().unwrap().unwrap().realm,
        "proxy"
    );
    let seen = guard(&mut pair, &mut auth);
    assert_eq!(
        seen[..3],
        ["Missing", "Accepted { user: \"alice\" }", "final 200"]
    );
    let last = last_sent(&pair, Side::A, "INVITE");
    let last = parse_request(std::str::from_utf8(&last).unwrap());
    assert!(last.has(&Name::ProxyAuthorization) && last.has(&Name::Authorization));
}

#[test]
fn a_challenge_inside_a_dialog_is_answered_with_the_dialogs_credentials() {
    let mut pair = Pair::new(6);
    let auth = authenticator(&pair);
    let right = Credentials::new("alice", "secret");
    send(
        &mut pair,
        Side::A,
        outgoing(Method::Invite, Side::A).credentials(right),
    );
    pair.run_for(ms(5));
    let tx = incoming(&mut pair, Side::B);
    respond(&mut pair, Side::B, tx, Status::OK);
    pair.run_for(ms(5));
    let caller = final_dialog(&mut pair, Side::A);
    let now = pair.now;
    pair.a
        .endpoint
        .in_dialog(now, caller, Method::Info, vec![], None)
        .unwrap();
    pair.run_for(ms(5));
    let (tx, first) = in_dialog(&mut pair, Side::B);
    let now = pair.now;
    let mut reply = Reply::new(Status::UNAUTHORIZED);
    for challenge in auth.challenges(now, REALM, false) {
        reply = reply.header(Name::WwwAuthenticate, challenge.to_string());
    }
    pair.b.endpoint.respond(now, tx, reply).unwrap();
    pair.run_for(ms(5));
    let (tx, second) = in_dialog(&mut pair, Side::B);
    assert_eq!(second.cseq().seq, first.cseq().seq + 1);
    assert!(second.has(&Name::Authorization));
    respond(&mut pair, Side::B, tx, Status::OK);
    pair.run_for(ms(5));
    assert_eq!(words(&mut pair, Side::A), ["final 200"]);
}

#[test]
fn a_cancelled_invite_is_not_sent_again_with_credentials() {
    let mut pair = Pair::new(7);
    let right = Credentials::new("alice", "secret");
    let tx = send(
        &mut pair,
        Side::A,
        outgoing(Method::Invite, Side::A).credentials(right),
    );
    let auth = authenticator(&pair);
    let now = pair.now;
    pair.a.endpoint.cancel(now, tx).unwrap();
    pair.step();
    let server = incoming(&mut pair, Side::B);
    let challenges = auth.challenges(now, REALM, false);
    let now = pair.now;
    // The 100 has gone out, so that a CANCEL follows; the 401 is faster.
    pair.b
        .endpoint
        .challenge(now, server, &challenges, Status::UNAUTHORIZED, "")
        .unwrap();
    pair.drive();
    assert_eq!(pair.times(Side::A, "INVITE").len(), 1);
    assert_eq!(words(&mut pair, Side::A), ["final 401"]);
    pair.assert_conserved();
}

#[test]
fn no_password_shows_in_the_debug_text_of_what_holds_one() {
    let request =
        outgoing(Method::Invite, Side::A).credentials(Credentials::new("alice", "s3cr3t"));
    assert!(!format!("{request:?}").contains("s3cr3t"));
    let failure = Failure::BadResponse("x".to_owned());
    assert_eq!(failure.to_string(), "unusable response: x");
    drop(Config::default());
}
