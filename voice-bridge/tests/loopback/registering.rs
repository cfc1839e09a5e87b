//! Registrations that we keep at somebody's registrar.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sip_core::Status;
use sip_core::auth::{Authenticator, Credentials, Secret, Verdict as Checked};
use sip_core::endpoint::Flow;
use sip_core::header::NameAddr;
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::registrar::{Registrar, RegistrarConfig};
use voice_bridge::phone::{Registration, RegistrationState};
use voice_bridge::{Gate, Verdict};

use crate::admission::REALM;
use crate::stage::{builder, phone, uri, within};

struct Office {
    registrar: Mutex<Registrar>,
    seen: Mutex<Vec<(String, u32)>>,
}

impl Office {
    fn new(config: RegistrarConfig) -> Arc<Self> {
        Arc::new(Self {
            registrar: Mutex::new(Registrar::new(config)),
            seen: Mutex::default(),
        })
    }
}

impl Gate for Office {
    fn admit(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict {
        if *request.method() != Method::Register {
            return Verdict::status(Status::METHOD_NOT_ALLOWED);
        }
        let checked = auth.check(now, request, REALM, |user| {
            (user == "alice").then(|| Secret::password("secret"))
        });
        let Checked::Accepted { user } = checked else {
            return Verdict::Challenge {
                realm: REALM.to_owned(),
                stale: checked.is_stale(),
                reason: String::new(),
            };
        };
        let cseq = request.cseq().seq;
        self.seen
            .lock()
            .unwrap()
            .push((request.call_id().to_owned(), cseq));
        let mut registrar = self.registrar.lock().unwrap();
        Verdict::Reply(registrar.register(now, request, *flow, &user).reply)
    }
}

#[tokio::test]
async fn a_registration_is_made_refreshed_and_taken_away() {
    let office = Office::new(RegistrarConfig {
        min_expires: Duration::from_secs(1),
        ..RegistrarConfig::default()
    });
    let a = phone().await;
    let b = builder()
        .gate(Arc::clone(&office) as Arc<dyn Gate>)
        .start()
        .await
        .unwrap();
    let mut order = Registration::new(
        uri("", &b).without_headers(),
        NameAddr::new(uri("alice", &b)),
    );
    order.credentials = Some(Credentials::new("alice", "secret"));
    order.expires = Duration::from_secs(10);
    let mut registered = a.register(order).await.unwrap();
    let state = within("the registrar's answer", registered.settled()).await;
    assert_eq!(
        state,
        RegistrationState::Registered {
            expires: Duration::from_secs(10)
        }
    );
    let bound = |office: &Office| {
        let registrar = office.registrar.lock().unwrap();
        registrar.is_registered(Instant::now(), "alice")
    };
    assert!(bound(&office));
    // A fifth early: after eight seconds.
    within("the refresh", registered.changed()).await;
    let seen = office.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0].0, seen[1].0, "one Call-ID");
    assert!(seen[0].1 < seen[1].1, "{seen:?}");
    within("the farewell", registered.leave()).await;
    assert!(!bound(&office));
}

#[tokio::test]
async fn a_registrar_that_finds_us_too_brief_is_asked_for_longer() {
    let office = Office::new(RegistrarConfig {
        min_expires: Duration::from_secs(60),
        ..RegistrarConfig::default()
    });
    let a = phone().await;
    let b = builder()
        .gate(Arc::clone(&office) as Arc<dyn Gate>)
        .start()
        .await
        .unwrap();
    let mut order = Registration::new(uri("", &b), NameAddr::new(uri("alice", &b)));
    order.credentials = Some(Credentials::new("alice", "secret"));
    order.expires = Duration::from_secs(20);
    let mut registered = a.register(order).await.unwrap();
    let state = within("the answer", registered.settled()).await;
    assert_eq!(
        state,
        RegistrationState::Registered {
            expires: Duration::from_secs(60)
        }
    );
}

#[tokio::test]
async fn a_wrong_password_fails_and_backs_off() {
    let office = Office::new(RegistrarConfig::default());
    let a = phone().await;
    let b = builder().gate(office).start().await.unwrap();
    let mut order = Registration::new(uri("", &b), NameAddr::new(uri("alice", &b)));
    order.credentials = Some(Credentials::new("alice", "wrong"));
    let mut registered = a.register(order).await.unwrap();
    let state = within("the answer", registered.settled()).await;
    let RegistrationState::Failed {
        status, retry_in, ..
    } = state
    else {
        panic!("{state:?}");
    };
    assert_eq!(status, Some(Status::UNAUTHORIZED));
    assert!(retry_in >= Duration::from_secs(15) && retry_in <= Duration::from_secs(30));
}
