//! Builders: what they write, and what they refuse.

use super::*;
use crate::header::{MaxForwards, NameAddr};
use crate::message::{Limits, Message, Response};

const INVITE: &str = concat!(
    "INVITE sip:bob@biloxi.com SIP/2.0\r\n",
    "v: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1;x=\"a;b\" , SIP/2.0/TCP  second;branch=z9hG4bK2\r\n",
    "Via: SIP/2.0/TLS\r\n third;branch=z9hG4bK3\r\n",
    "t: Bob <sip:bob@biloxi.com>\r\n",
    "From:   \"A\" <sip:alice@atlanta.com>;tag=88\r\n",
    "i: abc\r\n",
    "CSeq: 0007    INVITE\r\n",
    "Timestamp: 54\r\n",
    "Record-Route: <sip:p1;lr>\r\n",
    "Record-Route: <sip:p2;lr>,<sip:p3;lr>\r\n",
    "\r\n",
);

fn invite() -> Request {
    match Message::parse(Bytes::from_static(INVITE.as_bytes()), &Limits::default()).unwrap() {
        Message::Request(request) => request,
        Message::Response(_) => panic!("a response"),
    }
}

fn text(octets: Bytes) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

fn read(octets: Bytes) -> Response {
    match Message::parse(octets, &Limits::default()).unwrap() {
        Message::Response(response) => response,
        Message::Request(_) => panic!("a request"),
    }
}

#[test]
fn a_response_takes_over_what_the_rfc_says_as_it_came() {
    let written = text(
        ResponseBuilder::to(&invite(), Status::RINGING)
            .to_tag("99")
            .unwrap()
            .finish(),
    );
    assert_eq!(
        written,
        concat!(
            "SIP/2.0 180 Ringing\r\n",
            "Via: SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bK1;x=\"a;b\" , SIP/2.0/TCP  second;branch=z9hG4bK2\r\n",
            "Via: SIP/2.0/TLS\r\n third;branch=z9hG4bK3\r\n",
            "From: \"A\" <sip:alice@atlanta.com>;tag=88\r\n",
            "To: Bob <sip:bob@biloxi.com>;tag=99\r\n",
            "Call-ID: abc\r\n",
            "CSeq: 0007    INVITE\r\n",
            "Content-Length: 0\r\n",
            "\r\n",
        )
    );
}

#[test]
fn the_source_is_noted_in_the_topmost_via_alone() {
    let source: SocketAddr = "203.0.113.9:40000".parse().unwrap();
    let reply = read(
        ResponseBuilder::to(&invite(), Status::OK)
            .source(source)
            .finish(),
    );
    let vias = reply.all::<Via>().unwrap();
    assert_eq!(vias.len(), 3);
    assert_eq!(vias[0].received(), Some(source.ip()));
    assert_eq!(vias[0].rport(), Some(Some(40_000)));
    assert_eq!(vias[0].branch(), Some("z9hG4bK1"));
    assert_eq!(vias[0].param("x").unwrap(), "a;b");
    assert_eq!((vias[1].host(), vias[1].received()), ("second", None));
    assert_eq!(vias[2].host(), "third");
}

#[test]
fn record_route_and_timestamp_come_along_where_they_belong() {
    let trying = text(ResponseBuilder::to(&invite(), Status::TRYING).finish());
    assert!(trying.contains("\r\nTimestamp: 54\r\n") && !trying.contains("Record-Route"));
    let ok = text(
        ResponseBuilder::to(&invite(), Status::OK)
            .record_route()
            .finish(),
    );
    assert!(ok.contains("Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>,<sip:p3;lr>\r\n"));
    assert!(!ok.contains("Timestamp"));
}

#[test]
fn a_tag_that_is_there_is_not_doubled() {
    let octets = INVITE.replace(
        "t: Bob <sip:bob@biloxi.com>",
        "t: Bob <sip:bob@biloxi.com>;tag=old",
    );
    let Ok(Message::Request(request)) = Message::parse(Bytes::from(octets), &Limits::default())
    else {
        panic!("no request")
    };
    let reply = read(
        ResponseBuilder::to(&request, Status::OK)
            .to_tag("new")
            .unwrap()
            .finish(),
    );
    assert_eq!(reply.to().tag(), Some("old"));
}

#[test]
fn content_length_is_last_and_right() {
    let reply = ResponseBuilder::to(&invite(), Status::OK)
        .body("application/sdp", Bytes::from_static(b"v=0\r\n"))
        .unwrap()
        .header(Name::Contact, "<sip:me@here>")
        .unwrap()
        .finish();
    let written = text(reply);
    let end = "Contact: <sip:me@here>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n";
    assert!(written.ends_with(end), "{written}");
}

#[test]
fn line_ends_and_nul_are_refused_by_name_and_leave_no_trace() {
    for evil in ["a\r\nVia: x", "a\nb", "a\rb", "a\0b"] {
        let uri: Uri = "sip:a@b".parse().unwrap();
        let mut fields = RequestBuilder::new(Method::Info, &uri).fields;
        let before = fields.buffer.len();
        let refused = fields.header(&Name::Subject, &evil);
        assert_eq!(refused, Err(BuildError::ControlCharacter(Name::Subject)));
        assert_eq!(fields.buffer.len(), before);
        let builder = RequestBuilder::new(Method::Info, &uri);
        assert!(builder.body(evil, Bytes::new()).is_err());
        let builder = |request| ResponseBuilder::to(request, Status::OK);
        let request = invite();
        assert_eq!(
            builder(&request).reason(evil).unwrap_err(),
            BuildError::ReasonPhrase
        );
        assert_eq!(
            builder(&request).to_tag(evil).unwrap_err(),
            BuildError::Tag(Name::To)
        );
    }
}

#[test]
fn single_values_are_written_once_and_the_length_never() {
    let uri: Uri = "sip:a@b".parse().unwrap();
    let builder = RequestBuilder::new(Method::Info, &uri)
        .typed(&MaxForwards(70))
        .unwrap();
    let again = builder.typed(&MaxForwards(69)).unwrap_err();
    assert_eq!(again, BuildError::Repeated(Name::MaxForwards));
    let builder = RequestBuilder::new(Method::Info, &uri);
    let length = builder.header(Name::ContentLength, 5).unwrap_err();
    assert_eq!(length, BuildError::Reserved(Name::ContentLength));
    assert_eq!(length.name(), Some(&Name::ContentLength));
    let builder = RequestBuilder::new(Method::Info, &uri)
        .header(Name::ContentType, "a/b")
        .unwrap();
    assert!(builder.body("c/d", Bytes::new()).is_err());
    let builder = RequestBuilder::new(Method::Info, &uri)
        .body("c/d", Bytes::new())
        .unwrap();
    let twice = builder.header(Name::ContentType, "a/b").unwrap_err();
    assert_eq!(twice, BuildError::Repeated(Name::ContentType));
    let routes = RequestBuilder::new(Method::Info, &uri)
        .header(Name::Route, "<sip:a>")
        .unwrap();
    assert!(routes.header(Name::Route, "<sip:b>").is_ok());
}

#[test]
fn a_response_refuses_a_second_copy_of_what_it_takes_over() {
    let request = invite();
    for name in [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq] {
        let refused = ResponseBuilder::to(&request, Status::OK)
            .header(&name, "x")
            .unwrap_err();
        assert_eq!(refused, BuildError::Reserved(name));
    }
}

#[test]
fn headers_of_a_uri_do_not_get_into_the_request_line() {
    let uri: Uri = "sip:a@b;x=y?Subject=z".parse().unwrap();
    let written = text(RequestBuilder::new(Method::Invite, &uri).finish());
    assert!(written.starts_with("INVITE sip:a@b;x=y SIP/2.0\r\n"));
}

#[test]
fn a_request_goes_out_as_it_is_built() {
    let uri: Uri = "sip:bob@biloxi.com".parse().unwrap();
    let via = Via::new("TCP", "2001:db8::1", Some(5060), "z9hG4bKabc", true).unwrap();
    let from = NameAddr::new(uri.clone())
        .with_display("Bob \"B\"")
        .with_tag("1")
        .unwrap();
    let written = RequestBuilder::new(Method::Bye, &uri)
        .via(&via)
        .header(Name::From, from)
        .unwrap()
        .finish();
    assert_eq!(
        text(written),
        concat!(
            "BYE sip:bob@biloxi.com SIP/2.0\r\n",
            "Via: SIP/2.0/TCP [2001:db8::1]:5060;rport;branch=z9hG4bKabc\r\n",
            "From: \"Bob \\\"B\\\"\" <sip:bob@biloxi.com>;tag=1\r\n",
            "Content-Length: 0\r\n\r\n",
        )
    );
}
