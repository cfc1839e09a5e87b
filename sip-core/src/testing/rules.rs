//! What RFC 3261 says about any exchange, checked on the messages as they are sent.
//! Broken rules are collected, so that a failing seed tells all of them at once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::Side;
use crate::message::{Limits, Message, Request, Response};
use crate::method::Method;
use crate::name::Name;

/// Watches the wire between two nodes.
#[derive(Debug, Default)]
pub struct WireRules {
    broken: Vec<String>,
    /// First bytes of each request, by sender, branch and method.
    requests: BTreeMap<(Side, String, String), Bytes>,
    /// Highest CSeq of new requests, by sender, Call-ID and From tag.
    highest: BTreeMap<(Side, String, String), u32>,
    /// Final responses sent, by sender, branch and method.
    finals: BTreeMap<(Side, String, String), Bytes>,
    /// To tags of responses above 100, by sender, Call-ID and CSeq.
    tags: BTreeMap<(Side, String, String, String), String>,
    /// 2xx to INVITE that arrived, as Call-ID, tags and CSeq number.
    answered: BTreeSet<Leg>,
    /// ACKs sent, likewise.
    acknowledged: BTreeSet<Leg>,
}

// Call-ID, tag of the INVITE's sender, tag of its receiver, CSeq number.
type Leg = (String, String, String, u32);

impl WireRules {
    /// Takes a message that `from` sends; `arrives` tells whether any copy of it will.
    pub fn observe(&mut self, from: Side, bytes: &Bytes, arrives: bool) {
        match Message::parse(bytes.clone(), &Limits::default()) {
            Ok(Message::Request(request)) => self.observe_request(from, bytes, &request),
            Ok(Message::Response(response)) => {
                self.observe_response(from, bytes, &response, arrives);
            }
            Err(error) => self
                .broken
                .push(format!("{from:?} sent what does not parse: {error}")),
        }
    }

    /// What was broken so far.
    pub fn broken(&self) -> Vec<String> {
        let missing = self.answered.difference(&self.acknowledged);
        let missing = missing.map(|leg| format!("no ACK was sent to the 2xx of {leg:?}"));
        self.broken.iter().cloned().chain(missing).collect()
    }

    /// # Panics
    /// When a rule was broken, with all that were.
    pub fn assert_obeyed(&self) {
        let broken = self.broken();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    fn observe_request(&mut self, from: Side, bytes: &Bytes, request: &Request) {
        let method = request.method();
        let branch = request.via().branch().unwrap_or_default().to_owned();
        self.must(branch.starts_with("z9hG4bK"), || {
            format!("{method} without cookie branch")
        });
        self.must(request.has(&Name::MaxForwards), || {
            format!("{method} without Max-Forwards")
        });
        self.must(request.from().tag().is_some(), || {
            format!("{method} without From tag")
        });
        self.must(request.has(&Name::ContentLength), || {
            format!("{method} without length")
        });

        //= RFC 3261 17.1.1.2
        // A retransmission is the same message.
        let key = (from, branch, method.to_string());
        if let Some(first) = self.requests.get(&key) {
            let same = first == bytes;
            self.must(same, || {
                format!("{method} was retransmitted with other bytes")
            });
            return;
        }
        self.requests.insert(key, bytes.clone());

        let seq = request.cseq().seq;
        let call_id = request.call_id().to_owned();
        let tag = request.from().tag().unwrap_or_default().to_owned();
        if *method == Method::Ack {
            let to = request.to().tag().unwrap_or_default().to_owned();
            self.acknowledged.insert((call_id, tag, to, seq));
        } else if *method != Method::Cancel {
            //= RFC 3261 12.2.1.1
            // "Requests within a dialog MUST contain strictly monotonically increasing and
            // contiguous CSeq sequence numbers (increasing-by-one) in each direction"
            let before = self.highest.insert((from, call_id, tag), seq);
            self.must(before.is_none_or(|before| seq > before), || {
                format!("CSeq of {method} is {seq} after {before:?}")
            });
        }
    }

    fn observe_response(&mut self, from: Side, bytes: &Bytes, response: &Response, arrives: bool) {
        let (status, cseq) = (response.status(), response.cseq());
        let branch = response.via().branch().unwrap_or_default().to_owned();
        let call_id = response.call_id().to_owned();
        let caller = response.from().tag().unwrap_or_default().to_owned();
        let callee = response.to().tag().unwrap_or_default().to_owned();
        if status.code() == 100 {
            return;
        }
        //= RFC 3261 8.2.6.2
        // "the UAS MUST add a tag to the To header field in the response (with the exception of the
        // 100 (Trying) response [...]) The same tag MUST be used for all responses to that request"
        self.must(!callee.is_empty(), || {
            format!("{status} to {} without To tag", cseq.method)
        });
        let key = (from, call_id.clone(), cseq.to_string(), branch.clone());
        let before = self.tags.insert(key, callee.clone());
        self.must(before.is_none_or(|before| before == callee), || {
            format!("To tag of {status} to {} changed", cseq.method)
        });
        // Challenges are stateless: each has a nonce of its own.
        if !status.is_final() || matches!(status.code(), 401 | 407) {
            return;
        }
        let key = (from, branch, cseq.method.to_string());
        let before = self.finals.insert(key, bytes.clone());
        self.must(before.is_none_or(|before| before == bytes), || {
            format!("a second final answer, {status}, to {}", cseq.method)
        });
        if cseq.method == Method::Invite && status.is_success() && arrives {
            self.answered.insert((call_id, caller, callee, cseq.seq));
        }
    }

    fn must(&mut self, obeyed: bool, rule: impl FnOnce() -> String) {
        if !obeyed {
            self.broken.push(rule());
        }
    }
}
