//! What a SIP message costs: index, parse, typed fields, framing, building.
//! On a message of our own of 1,076 octets, and on those of the vectors where they are.

// Benches may panic: that is how a bench fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;
use std::path::Path;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip_core::header::{Allow, CSeq, Contact, NameAddr, RecordRoute, Supported, Via};
use sip_core::message::index_only;
use sip_core::message::stream::Framer;
use sip_core::{
    Limits, Message, Method, Name, Request, RequestBuilder, ResponseBuilder, Status, Uri,
};

/// What an SBC sends: 18 header lines and a session description.
const INVITE: &str = concat!(
    "INVITE sip:+33123456789@198.51.100.20:5060;transport=udp SIP/2.0\r\n",
    "Record-Route: <sip:203.0.113.7;lr;ftag=gK0c2a3b4d>\r\n",
    "Via: SIP/2.0/UDP 203.0.113.7:5060;branch=z9hG4bKcydzigwkX7f3a.5c2d9e81.0\r\n",
    "Via: SIP/2.0/UDP 198.51.100.10:5080;rport=5080;received=198.51.100.10;branch=z9hG4bKt7vQ2Kj9\r\n",
    "Max-Forwards: 69\r\n",
    "From: \"Smith, John\" <sip:+33611223344@carrier.example.net;user=phone>;tag=gK0c2a3b4d\r\n",
    "To: <sip:+33123456789@sbc1.carrier.example.net;user=phone>\r\n",
    "Call-ID: 5f2c8d1e-7a3b-4c9d-8e0f-1a2b3c4d5e6f@198.51.100.10\r\n",
    "CSeq: 102938475 INVITE\r\n",
    "Contact: <sip:198.51.100.10:5080;transport=udp>\r\n",
    "User-Agent: SBC/7.2.1\r\n",
    "Organization: Example Carrier Ltd.\r\n",
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY\r\n",
    "Supported: timer, replaces, 100rel\r\n",
    "Session-Expires: 1800;refresher=uac\r\n",
    "P-Asserted-Identity: <sip:+33611223344@carrier.example.net>\r\n",
    "Content-Type: application/sdp\r\n",
    "Content-Length: 174\r\n",
    "\r\n",
    "v=0\r\n",
    "o=- 53655765 2353687637 IN IP4 198.51.100.10\r\n",
    "s=-\r\n",
    "c=IN IP4 198.51.100.10\r\n",
    "t=0 0\r\n",
    "m=audio 49170 RTP/AVP 0 8 101\r\n",
    "a=rtpmap:0 PCMU/8000\r\n",
    "a=rtpmap:8 PCMA/8000\r\n",
    "a=sendrecv\r\n",
);

fn messages() -> Vec<(String, Bytes)> {
    let mut all = vec![("own".to_owned(), Bytes::from_static(INVITE.as_bytes()))];
    let root = std::env::var("SMARTALEX_VECTORS").unwrap_or_else(|_| {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors").to_owned()
    });
    for file in ["invite.sip", "biginvite.sip", "refer.sip", "reg200.sip"] {
        if let Ok(octets) = std::fs::read(Path::new(&root).join("sip-bench").join(file)) {
            all.push((file.to_owned(), Bytes::from(octets)));
        }
    }
    all
}

fn request() -> Request {
    match Message::parse(Bytes::from_static(INVITE.as_bytes()), &Limits::default()) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn reading(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, octets) in messages() {
        let mut group = c.benchmark_group(format!("sip/{name} ({} octets)", octets.len()));
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function("index", |b| {
            b.iter(|| index_only(black_box(&octets), &limits).unwrap())
        });
        group.bench_function("parse: URI, branch, tags, Call-ID, CSeq", |b| {
            b.iter(|| {
                let message = Message::parse(black_box(octets.clone()), &limits).unwrap();
                black_box((
                    message.via().branch().map(str::len),
                    message.call_id().len(),
                    message.cseq().seq,
                    message.from().tag().map(str::len),
                    message.to().tag().map(str::len),
                ))
            });
        });
        group.bench_function("copy, then parse", |b| {
            b.iter(|| Message::parse(Bytes::copy_from_slice(black_box(&octets)), &limits).unwrap());
        });
        group.finish();
    }
    let invite = request();
    c.bench_function(
        "sip/typed: all Via, Record-Route, Contact, Allow, Supported",
        |b| {
            b.iter(|| {
                let invite = black_box(&invite);
                (
                    invite.all::<Via>().unwrap(),
                    invite.all::<RecordRoute>().unwrap(),
                    invite.typed::<Contact>().unwrap().unwrap(),
                    invite.typed::<Allow>().unwrap().unwrap(),
                    invite.typed::<Supported>().unwrap().unwrap(),
                )
            });
        },
    );
    let mut framer = Framer::new(limits);
    c.bench_function("sip/stream: frame one message", |b| {
        b.iter(|| {
            framer.push(black_box(INVITE.as_bytes()));
            framer.next().unwrap().unwrap()
        });
    });
}

fn writing(c: &mut Criterion) {
    let invite = request();
    let source = "203.0.113.7:5060".parse().unwrap();
    c.bench_function("sip/build: 200 to the INVITE", |b| {
        b.iter(|| {
            ResponseBuilder::to(black_box(&invite), Status::OK)
                .to_tag("as6f2d1e0c")
                .unwrap()
                .source(source)
                .record_route()
                .header(Name::Contact, "<sip:192.0.2.1:5060>")
                .unwrap()
                .body("application/sdp", invite.body())
                .unwrap()
                .finish()
        });
    });
    let uri: Uri = "sip:101@pbx.example.com".parse().unwrap();
    let via = Via::new("UDP", "192.0.2.1", Some(5060), "z9hG4bK1a2b3c4d", true).unwrap();
    let from = NameAddr::new("sip:trunk@example.com".parse().unwrap())
        .with_tag("88aa")
        .unwrap();
    let to = NameAddr::new(uri.clone());
    c.bench_function("sip/build: BYE", |b| {
        b.iter(|| {
            RequestBuilder::new(Method::Bye, black_box(&uri))
                .via(&via)
                .header(Name::MaxForwards, 70)
                .unwrap()
                .header(Name::From, &from)
                .unwrap()
                .header(Name::To, &to)
                .unwrap()
                .header(Name::CallId, "5f2c8d1e7a3b4c9d")
                .unwrap()
                .typed(&CSeq::new(2, Method::Bye))
                .unwrap()
                .finish()
        });
    });
}

criterion_group!(benches, reading, writing);
criterion_main!(benches);
