//! The gate: challenges that cost nothing, credentials, refusals, and what passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use sip_core::Status;
use sip_core::auth::{Authenticator, Credentials, Secret, Verdict as Checked};
use sip_core::endpoint::{Flow, Reply};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use voice_bridge::{Codecs, EndCause, Gate, Verdict};

use crate::stage::{assert_idle, builder, order, phone, within};

pub const REALM: &str = "pbx.example.com";

/// Lets in who knows the password `secret`, under whatever name.
#[derive(Default)]
pub struct Doorman {
    pub asked: AtomicU32,
}

impl Gate for Doorman {
    fn admit(
        &self,
        now: Instant,
        request: &Request,
        _: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if *request.method() != Method::Invite {
            return Verdict::status(Status::METHOD_NOT_ALLOWED);
        }
        let checked = auth.check(now, request, REALM, |_| Some(Secret::password("secret")));
        match checked {
            Checked::Accepted { user } if user == "suspended" => Verdict::Reply(
                Reply::new(Status::FORBIDDEN)
                    .reason("Trunk Suspended")
                    .header(Name::Warning, "399 test \"the trunk is suspended\""),
            ),
            Checked::Accepted { user } => Verdict::Pass(Box::new(user)),
            other => Verdict::Challenge {
                realm: REALM.to_owned(),
                stale: other.is_stale(),
                reason: String::new(),
            },
        }
    }
}

#[tokio::test]
async fn a_caller_with_the_password_is_let_in_with_what_the_gate_knows() {
    let gate = Arc::new(Doorman::default());
    let a = phone().await;
    let mut b = builder()
        .gate(Arc::clone(&gate) as Arc<dyn Gate>)
        .start()
        .await
        .unwrap();
    let mut order = order(&a, &b);
    order.credentials = Some(Credentials::new("trunk-7", "secret"));
    let dialing = a.dial(order).await.unwrap();
    let mut ringing = within("the call", b.accept()).await.unwrap();
    assert_eq!(
        ringing.context::<String>().map(String::as_str),
        Some("trunk-7")
    );
    assert!(ringing.take_context::<u32>().is_none());
    assert_eq!(*ringing.take_context::<String>().unwrap(), "trunk-7");
    let _callee = ringing.answer(Codecs::telephony()).await.unwrap();
    within("the answer", dialing.answered()).await.unwrap();
    assert_eq!(
        gate.asked.load(Ordering::Relaxed),
        2,
        "without and with credentials"
    );
}

#[tokio::test]
async fn a_stranger_is_challenged_and_leaves_nothing_behind() {
    let a = phone().await;
    let b = builder()
        .gate(Arc::new(Doorman::default()))
        .start()
        .await
        .unwrap();
    for credentials in [None, Some(Credentials::new("trunk-7", "wrong"))] {
        let mut order = order(&a, &b);
        order.credentials = credentials;
        let failed = within("the refusal", a.call(order)).await.unwrap_err();
        assert_eq!(failed.status, Some(Status::UNAUTHORIZED));
        assert_eq!(failed.cause, EndCause::Rejected(Status::UNAUTHORIZED));
    }
    assert_eq!(
        b.counts().await.server_transactions,
        0,
        "strangers cost no memory"
    );
    assert_idle(&b).await;
    assert_idle(&a).await;
}

#[tokio::test]
async fn a_refusal_of_the_gate_reaches_the_caller() {
    let a = phone().await;
    let b = builder()
        .gate(Arc::new(Doorman::default()))
        .start()
        .await
        .unwrap();
    let mut order = order(&a, &b);
    order.credentials = Some(Credentials::new("suspended", "secret"));
    let failed = within("the refusal", a.call(order)).await.unwrap_err();
    assert_eq!(failed.status, Some(Status::FORBIDDEN));
    assert_eq!(failed.reason.as_deref(), Some("Trunk Suspended"));
}
