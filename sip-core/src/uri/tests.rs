//! URIs: their parts, their equality, and what is refused.

use proptest::prelude::*;

use super::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn the_parts_of_a_sip_uri_are_told_apart() {
    let u = uri(
        "sips:alice;day=tuesday:se%3Acret@[2001:db8::1]:5061;transport=TCP;lr;x=%41?Subject=a%20b&X=",
    );
    assert_eq!(u.scheme(), Scheme::Sips);
    assert_eq!(u.user().unwrap(), "alice;day=tuesday");
    assert_eq!(u.password().unwrap(), "se:cret");
    assert_eq!((u.host(), u.port()), ("[2001:db8::1]", Some(5061)));
    assert_eq!(u.ip(), Some("2001:db8::1".parse().unwrap()));
    assert_eq!(u.transport().unwrap(), "TCP");
    assert!(u.is_loose_router());
    assert_eq!(u.param("X").unwrap(), "A");
    assert_eq!(u.header("subject").unwrap(), "a b");
    assert_eq!(u.headers().count(), 2);
    assert!(!format!("{u:?}").contains("cret"));
}

#[test]
fn tel_uris_and_other_schemes_keep_their_text() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(tel.scheme(), Scheme::Tel);
    assert_eq!(tel.user().unwrap(), "+1-201-555-0123");
    assert_eq!(tel.param("phone-context").unwrap(), "example.com");
    assert_eq!(tel.host(), "");
    assert_eq!(tel, uri("TEL:+12015550123;phone-context=EXAMPLE.com"));
    assert_ne!(tel, uri("tel:+12015550123"));
    let urn = uri("urn:service:sos");
    assert_eq!(
        (urn.scheme(), urn.as_str(), urn.user()),
        (Scheme::Other, "urn:service:sos", None)
    );
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:a@",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@b:",
        "sip:a@b:99999",
        "sip:a@b:5x",
        "sip:a@b;",
        "sip:a@b;;x",
        "sip:a@b;x=",
        "sip:a@b?",
        "sip:a@b?x",
        "sip:a@b?x=y&",
        "sip:%4@b",
        "sip:%zz@b",
        "sip:a@[2001:db8::1",
        "sip:a@[]",
        "sip:a@b\r\n",
        "sip:a@b>",
        "sip:é@b",
        "1x:y",
        "tel:",
        "tel:hello",
        "http:",
        "alan@jasomi.com",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text:?}");
    }
    assert!(
        format!("sip:{}", "a".repeat(20_000))
            .parse::<Uri>()
            .is_err()
    );
}

//= RFC 3261 19.1.4
// The examples of the RFC.
#[test]
fn equal_uris_of_the_rfc_are_equal() {
    for (a, b) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ] {
        assert_eq!(uri(a), uri(b));
        assert_eq!(uri(b), uri(a));
    }
}

//= RFC 3261 19.1.4
#[test]
fn different_uris_of_the_rfc_are_different() {
    for (a, b) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b;newparam=5", "sip:a@b;newparam=6"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:p@b", "sip:a@b"),
    ] {
        assert_ne!(uri(a), uri(b));
        assert_ne!(uri(b), uri(a));
    }
}

#[test]
fn a_uri_equals_itself_even_with_a_parameter_twice() {
    let twice = uri("sip:a@b;ftag=1;ftag=2");
    assert_eq!(twice, twice.detached());
    assert_ne!(twice, uri("sip:a@b;ftag=3"));
    assert_ne!(uri("tel:+1;x=1"), uri("tel:+1;x=2"));
}

#[test]
fn parameters_and_headers_are_counted() {
    assert!(format!("sip:a{}", ";x".repeat(64)).parse::<Uri>().is_ok());
    assert!(format!("sip:a{}", ";x".repeat(65)).parse::<Uri>().is_err());
    assert!(
        format!("sip:a?{}x=", "x=&".repeat(63))
            .parse::<Uri>()
            .is_ok()
    );
    assert!(
        format!("sip:a?{}x=", "x=&".repeat(64))
            .parse::<Uri>()
            .is_err()
    );
}

#[test]
fn made_uris_escape_what_would_change_them() {
    let u = Uri::sip(Some("a@b:c\r\n#"), "example.com", Some(5060)).unwrap();
    assert_eq!(u.as_str(), "sip:a%40b%3Ac%0D%0A%23@example.com:5060");
    assert_eq!(u.user().unwrap(), "a@b:c\r\n#");
    assert_eq!(
        Uri::sip(None, "2001:db8::1", None).unwrap().as_str(),
        "sip:[2001:db8::1]"
    );
    assert_eq!(
        Uri::sip(None, "[2001:db8::1]", None).unwrap().as_str(),
        "sip:[2001:db8::1]"
    );
    for host in ["", "a;lr", "a?b=c", "a@b", "a:5", "a b", "a\r\nb"] {
        assert!(Uri::sip(None, host, None).is_err(), "{host}");
    }
    let at = Uri::sip_at(Some("x y"), "[2001:db8::1]:5070".parse().unwrap());
    assert_eq!(at, uri(at.as_str()));
    assert_eq!(
        (at.user().unwrap().as_ref(), at.port()),
        ("x y", Some(5070))
    );
    let long = "ü".repeat(5000);
    assert_eq!(
        Uri::sip_at(Some(&long), "1.2.3.4:1".parse().unwrap())
            .user()
            .unwrap()
            .chars()
            .count(),
        1024
    );
}

#[test]
fn parameters_and_headers_are_added_replaced_and_dropped() {
    let u = uri("sip:a@b;lr;transport=udp?x=y");
    let u = u.with_param("Transport", Some("tcp")).unwrap();
    assert_eq!(u.as_str(), "sip:a@b;lr;Transport=tcp?x=y");
    let u = u
        .with_header("Replaces", "c@d;to-tag=1;from-tag=2")
        .unwrap();
    assert_eq!(u.header("replaces").unwrap(), "c@d;to-tag=1;from-tag=2");
    assert_eq!(u.header("x").unwrap(), "y");
    assert_eq!(u.without_headers().as_str(), "sip:a@b;lr;Transport=tcp");
    assert_eq!(
        uri("sip:b").with_param("lr", None).unwrap().as_str(),
        "sip:b;lr"
    );
    assert_eq!(
        uri("sip:b")
            .with_param("x", Some("a;b"))
            .unwrap()
            .param("x")
            .unwrap(),
        "a;b"
    );
}

#[test]
fn an_address_of_record_is_one_text_for_one_user() {
    let aor = uri("sip:%61lice:pw@AtLanTa.com:5060;transport=tcp?x=y").address_of_record();
    assert_eq!(aor, "sip:alice@atlanta.com:5060");
    assert_eq!(uri("tel:+1-2;x=y").address_of_record(), "tel:+1-2");
}

proptest! {
    #[test]
    fn any_text_is_a_uri_that_writes_itself_or_none(text in "(sips?|tel|x):[ -~é]{0,60}|\\PC{0,40}") {
        if let Ok(uri) = text.parse::<Uri>() {
            prop_assert_eq!(uri.to_string(), text);
            prop_assert_eq!(&uri, &uri.detached());
            let again: Uri = uri.address_of_record().parse().unwrap();
            prop_assert_eq!(again.address_of_record(), uri.address_of_record());
            _ = uri.with_param("a", Some("b"));
        }
    }

    #[test]
    fn any_user_and_parameter_survive(user in "\\PC{1,40}", name in "\\PC{1,10}", value in "\\PC{1,20}") {
        let made = Uri::sip(Some(&user), "h", None).unwrap().with_param(&name, Some(&value)).unwrap();
        prop_assert_eq!(made.user().unwrap(), user.as_str());
        prop_assert_eq!(made.param(&name).unwrap(), value.as_str());
        let read: Uri = made.as_str().parse().unwrap();
        prop_assert_eq!(read, made);
    }
}
