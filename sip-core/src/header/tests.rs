//! Via and addresses as peers write them, and properties that hold for every typed field.

use std::fmt;

use proptest::prelude::*;

use super::*;

fn via(text: &str) -> Via {
    Via::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn addr(text: &str) -> From {
    From::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn vias_are_read_with_whitespace_where_the_grammar_has_it() {
    let v = via(
        "SIP / 2.0 / UDP first.example.com : 4000 ; ttl = 16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
    );
    assert_eq!(
        (v.transport(), v.host(), v.port()),
        ("UDP", "first.example.com", Some(4000))
    );
    assert_eq!(
        (v.ttl(), v.maddr().as_deref()),
        (Some(16), Some("224.2.0.1"))
    );
    assert_eq!(v.branch(), Some("z9hG4bKa7c6a8dlze.1"));
    let v =
        via("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];rport=12;branch=z9hG4bK=@/:x");
    assert_eq!(v.host(), "[2001:db8::9:1]");
    assert_eq!(v.received(), Some("2001:db8::9:255".parse().unwrap()));
    assert_eq!(v.rport(), Some(Some(12)));
    assert_eq!(v.branch(), Some("z9hG4bK=@/:x"));
    assert_eq!(
        via("SIP/2.0/UDP h;received=2001:db8::1").received(),
        Some("2001:db8::1".parse().unwrap())
    );
}

#[test]
fn what_is_no_via_is_refused() {
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 host",
        "SIP/2.0/UDP host:99999",
        "SIP/2.0/UDP host:",
        "SIP/2.0/UDP 192.0.2.15;;",
        "SIP/2.0/UDP host;branch=a;branch=b",
        "SIP/2.0/UDP host;x=\"open",
        "SIP/2.0/UDP host other",
        "SIP/2.0/UDP [2001:db8::1",
    ] {
        assert!(Via::parse(text).is_err(), "{text:?}");
    }
    assert!(Via::new("UDP", "host;x", None, "z9hG4bKa", false).is_err());
    assert!(Via::new("UDP", "host", None, "z9hG4bKa;x", false).is_err());
    assert!(Via::new("U P", "host", None, "z9hG4bKa", false).is_err());
}

//= RFC 3581 4
#[test]
fn a_server_notes_where_a_request_came_from() {
    let source = "192.0.2.1:9988".parse().unwrap();
    let noted = |text: &str| via(text).noted(source);
    assert_eq!(
        noted("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff"),
        "SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.1;rport=9988"
    );
    assert_eq!(
        noted("SIP/2.0/UDP 10.1.1.1"),
        "SIP/2.0/UDP 10.1.1.1;received=192.0.2.1"
    );
    assert_eq!(
        noted("SIP/2.0/UDP 192.0.2.1:5060;branch=x"),
        "SIP/2.0/UDP 192.0.2.1:5060;branch=x"
    );
    // "received" is noted too when the client asked for rport, even if the address is the same.
    assert_eq!(
        noted("SIP/2.0/UDP 192.0.2.1;rport"),
        "SIP/2.0/UDP 192.0.2.1;received=192.0.2.1;rport=9988"
    );
    // What a client claims itself does not stay.
    assert_eq!(
        noted("SIP/2.0/UDP h ; received=1.1.1.1;x=\"a;b\" ;rport=1"),
        "SIP/2.0/UDP h;x=\"a;b\";received=192.0.2.1;rport=9988"
    );
}

#[test]
fn addresses_are_read_in_all_their_forms() {
    let a = addr("\"A. G. Bell\" <sip:agb@bell-telephone.com> ;tag=a48s");
    assert_eq!(
        (a.display().as_deref(), a.tag()),
        (Some("A. G. Bell"), Some("a48s"))
    );
    let a = addr("sip:+12125551212@server.phone2net.com;tag=887s");
    assert_eq!((a.display(), a.tag()), (None, Some("887s")));
    assert_eq!(a.uri().host(), "server.phone2net.com");
    let a = addr("Anonymous <sip:c8oqz84zk7z@privacy.org>;Tag=hyh8");
    assert_eq!(
        (a.display().as_deref(), a.tag()),
        (Some("Anonymous"), Some("hyh8"))
    );
    let a = addr("<tel:+15551234;phone-context=x>;tag=1");
    assert_eq!(a.uri().user().unwrap(), "+15551234");
    let a = addr("\"\" <sip:a@[2001:db8::1]:5060;lr>;x=\"a;tag=b\"; tag = q ;flag");
    assert_eq!((a.display(), a.tag()), (None, Some("q")));
    assert_eq!(a.param("x").unwrap(), "a;tag=b");
    assert_eq!(a.param("flag").unwrap(), "");
    let a = addr(r#""<sip:evil@x>;tag=1" <sip:a@b>"#);
    assert_eq!((a.uri().as_str(), a.tag()), ("sip:a@b", None));
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "<>",
        "sip",
        "\"open <sip:a@b>",
        "\"Watson, Thomas\" < sip:t.watson@example.org >",
        "Bell, Alexander <sip:a.g.bell@example.com>;tag=43",
        "<sip:a@b",
        "<sip:a@b>x",
        "<sip:a@b>;",
        "<sip:a@b>;tag=",
        "<sip:a@b>;tag=1;tag=2",
        "sip:a@b?x=y",
        "sip:a@b,sip:c@d",
        "alan@jasomi.com",
        "A <sip:a@b> <sip:c@d>",
    ] {
        assert!(From::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn an_address_is_changed_without_touching_the_rest() {
    let a = addr("Bob <sip:b@c;x=y>;a=1;tag=old;b=\"q r\"");
    let tagged = a.with_tag("new").unwrap();
    assert_eq!(
        tagged.to_string(),
        "Bob <sip:b@c;x=y>;a=1;b=\"q r\";tag=new"
    );
    assert_eq!(tagged.tag(), Some("new"));
    assert_eq!(tagged.without_param("TAG").tag(), None);
    assert_eq!(
        a.with_display("Zoë\r\n\"Z\"").to_string(),
        "\"Zoë  \\\"Z\\\"\" <sip:b@c;x=y>;a=1;tag=old;b=\"q r\""
    );
    assert_eq!(
        a.with_param("t", Some("a b")).unwrap().param("t").unwrap(),
        "a b"
    );
    assert!(a.with_param("t;u", None).is_err() && a.with_param("", Some("x")).is_err());
    for tag in ["", "a b", "a;b", "a\r\nb"] {
        assert!(a.with_tag(tag).is_err(), "{tag:?}");
    }
    assert_eq!(
        addr("sip:b@c;tag=1").with_tag("2").unwrap().to_string(),
        "<sip:b@c>;tag=2"
    );
    // A list of bare addresses, as Asterisk's Contact in brackets of the dialog's own making.
    assert_eq!(
        NameAddr::new("sip:b@c".parse().unwrap()).to_string(),
        "<sip:b@c>"
    );
}

#[test]
fn commas_in_quotes_and_brackets_do_not_end_an_item() {
    let list = r#" "a, \", b" <sip:x,y@z> , , <sip:b>;p="1,2",sip:c "#;
    let items: Vec<_> = grammar::items(list).collect();
    assert_eq!(
        items,
        [r#""a, \", b" <sip:x,y@z>"#, r#"<sip:b>;p="1,2""#, "sip:c"]
    );
    assert_eq!(grammar::items(" , ,").count(), 0);
}

/// What parses writes itself so that it parses to the same text again.
fn settles<H: Header + fmt::Display>(text: &str) -> Result<(), TestCaseError> {
    if let Ok(value) = H::parse(text) {
        let written = value.to_string();
        let again = H::parse(&written)
            .map_err(|e| TestCaseError::fail(format!("{text:?} -> {written:?}: {e}")))?;
        prop_assert_eq!(again.to_string(), written);
    }
    Ok(())
}

fn settles_all(text: &str) -> Result<(), TestCaseError> {
    settles::<Via>(text)?;
    settles::<From>(text)?;
    settles::<Contact>(text)?;
    settles::<CSeq>(text)?;
    settles::<CallId>(text)?;
    settles::<MaxForwards>(text)?;
    settles::<ContentType>(text)?;
    settles::<RetryAfter>(text)?;
    settles::<Warning>(text)?;
    settles::<Reason>(text)?;
    settles::<Event>(text)?;
    settles::<SubscriptionState>(text)?;
    settles::<Replaces>(text)?;
    settles::<ReferSub>(text)?;
    settles::<Allow>(text)?;
    settles::<Require>(text)?;
    settles::<Accept>(text)?;
    settles::<Privacy>(text)?;
    settles::<Date>(text)?;
    settles::<SessionExpires>(text)?;
    settles::<MinSe>(text)?;
    settles::<WwwAuthenticate>(text)?;
    settles::<Authorization>(text)?;
    settles::<AuthenticationInfo>(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_settles_in_every_field(text in "\\PC{0,80}") {
        settles_all(&text)?;
    }

    #[test]
    fn near_misses_settle_in_every_field(
        start in prop::sample::select(vec![
            "SIP/2.0/UDP h", "<sip:a@b>", "\"x\" <sip:a@b>", "1 INVITE", "a/b", "120", "305 h \"t\"",
            "Q.850", "refer", "active", "a@b;to-tag=1;from-tag=2", "true", "Digest realm=\"r\", nonce=\"n\"",
            "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"p\"", "*", "a, b;c",
            "Sat, 13 Nov 2010 23:29:00 GMT",
        ]),
        rest in "([;,=]|[a-z]{1,8}|\"([^\"\\\\]|\\\\.){0,5}\"|[ -~é]){0,12}",
    ) {
        settles_all(&format!("{start}{rest}"))?;
    }
}
