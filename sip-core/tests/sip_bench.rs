//! Messages as carriers and phones send them, field by field. They lie outside the repository: see
//! `SMARTALEX_VECTORS`.

// Helpers of a test may panic: that is how a test fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::path::PathBuf;

use bytes::Bytes;
use sip_core::header::{
    Allow, Contact, ContentType, ProxyAuthorization, RecordRoute, ReferTo, ReferredBy, Refresher,
    Replaces, SessionExpires, Supported, Via,
};
use sip_core::{Limits, Message, Method, Request, Status};

fn vectors(test: &str) -> Option<PathBuf> {
    let root = std::env::var("SMARTALEX_VECTORS").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned()
    });
    let folder = PathBuf::from(root).join("sip-bench");
    if folder.is_dir() {
        return Some(folder);
    }
    if std::env::var("SMARTALEX_NO_SKIP").is_ok_and(|value| value == "1") {
        panic!(
            "{} is not there and SMARTALEX_NO_SKIP is set",
            folder.display()
        );
    }
    eprintln!("SKIPPED {test}: {} is not there", folder.display());
    None
}

fn message(folder: &std::path::Path, file: &str) -> Message {
    let octets = std::fs::read(folder.join(file)).unwrap();
    Message::parse(Bytes::from(octets), &Limits::default()).unwrap()
}

fn request(folder: &std::path::Path, file: &str) -> Request {
    match message(folder, file) {
        Message::Request(request) => request,
        Message::Response(_) => panic!("{file} is a response"),
    }
}

#[test]
fn the_invite_of_a_carrier_is_understood() {
    let Some(folder) = vectors("the_invite_of_a_carrier_is_understood") else {
        return;
    };
    let invite = request(&folder, "biginvite.sip");
    assert_eq!(invite.uri().user().unwrap(), "+33123456789");
    assert_eq!(invite.uri().param("user").unwrap(), "phone");
    let routes = invite.all::<RecordRoute>().unwrap();
    assert_eq!(routes.len(), 3);
    assert!(routes.iter().all(|route| route.uri().is_loose_router()));
    let vias = invite.all::<Via>().unwrap();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias.last().unwrap().rport(), Some(Some(41_544)));
    assert_eq!(invite.from().display().unwrap(), "Smith, John");
    assert_eq!(invite.from().tag(), Some("gK0c2a3b4d"));
    let timer = invite.typed::<SessionExpires>().unwrap().unwrap();
    assert_eq!(
        (timer.interval, timer.refresher),
        (1800, Some(Refresher::Uac))
    );
    let credentials = invite.typed::<ProxyAuthorization>().unwrap().unwrap();
    assert_eq!(credentials.username, "acme-trunk-01");
    assert_eq!(
        credentials.uri,
        "sip:+33123456789@sbc1.carrier.example.net:5060;user=phone"
    );
    let contact = invite.typed::<Contact>().unwrap().unwrap();
    assert_eq!(contact.expires(), Some(3600));
    assert_eq!(contact.uri().unwrap().param("gw").unwrap(), "carrier1");
    assert!(!invite.body().is_empty());
}

#[test]
fn the_invite_of_a_phone_is_understood() {
    let Some(folder) = vectors("the_invite_of_a_phone_is_understood") else {
        return;
    };
    let invite = request(&folder, "invite.sip");
    assert!(
        invite
            .typed::<Allow>()
            .unwrap()
            .unwrap()
            .contains(&Method::Bye)
    );
    assert!(
        invite
            .typed::<Supported>()
            .unwrap()
            .unwrap()
            .contains("timer")
    );
    assert!(
        invite
            .typed::<ContentType>()
            .unwrap()
            .unwrap()
            .is("application/sdp")
    );
    assert_eq!(invite.body().len(), 231);
}

#[test]
fn an_attended_refer_names_the_dialog_it_replaces() {
    let Some(folder) = vectors("an_attended_refer_names_the_dialog_it_replaces") else {
        return;
    };
    let refer = request(&folder, "refer.sip");
    assert_eq!(*refer.method(), Method::Refer);
    let target = refer.typed::<ReferTo>().unwrap().unwrap();
    assert_eq!(target.uri().host(), "chicago.example.com");
    let replaces = replaces_of(&target);
    assert_eq!(replaces.call_id, "425928@bobster.example.org");
    let by = refer.typed::<ReferredBy>().unwrap().unwrap();
    assert_eq!(by.uri().user().unwrap(), "alice");
}

fn replaces_of(target: &ReferTo) -> Replaces {
    use sip_core::header::Header;
    Replaces::parse(&target.uri().header("Replaces").unwrap()).unwrap()
}

#[test]
fn the_answer_to_a_register_is_understood() {
    let Some(folder) = vectors("the_answer_to_a_register_is_understood") else {
        return;
    };
    let Message::Response(ok) = message(&folder, "reg200.sip") else {
        panic!("a request")
    };
    assert_eq!(ok.status(), Status::OK);
    assert_eq!(ok.cseq().method, Method::Register);
    assert_eq!(ok.via().received(), Some([192, 0, 2, 4].into()));
    assert_eq!(
        ok.typed::<Contact>().unwrap().unwrap().expires(),
        Some(3600)
    );
}
