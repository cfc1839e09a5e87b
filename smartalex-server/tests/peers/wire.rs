//! A caller that writes its own bytes: for messages that no well-behaved client sends,
//! and for sending the very same bytes twice.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use md5::{Digest, Md5};

/// A UDP socket that speaks SIP by hand.
pub struct Caller {
    socket: UdpSocket,
    server: SocketAddr,
    pub user: String,
    pub password: String,
    next: u32,
}

impl Caller {
    pub fn new(server: SocketAddr, user: &str, password: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self {
            socket,
            server,
            user: user.to_owned(),
            password: password.to_owned(),
            next: 0,
        }
    }

    pub fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).unwrap();
    }

    /// The next message within `limit`.
    pub fn receive(&self, limit: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 65_536];
        let n = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }

    /// The next response to `cseq` (as `1 INVITE`) that is not provisional.
    pub fn final_response(&self, call_id: &str, cseq: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let Some(message) = self.receive(Duration::from_secs(5)) else {
                continue;
            };
            if message.starts_with("SIP/2.0 ")
                && !message.starts_with("SIP/2.0 1")
                && field(&message, "Call-ID") == call_id
                && field(&message, "CSeq") == cseq
            {
                return message;
            }
        }
        panic!("no final response to {cseq}");
    }

    pub fn fresh_call_id(&mut self) -> String {
        self.next += 1;
        format!(
            "{}-{}-{}@127.0.0.1",
            std::process::id(),
            self.local().port(),
            self.next
        )
    }

    /// An INVITE as bytes; `extra` are whole header lines.
    pub fn invite(&self, did: &str, call_id: &str, cseq: u32, extra: &str, sdp: &str) -> String {
        let (local, server, user) = (self.local(), self.server, &self.user);
        format!(
            "INVITE sip:{did}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK-{call_id}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{server}>;tag=f{call_id}\r\nTo: <sip:{did}@{server}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} INVITE\r\nContact: <sip:{user}@{local}>\r\n\
             {extra}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    }

    /// An offer of these payload lines, as `0` or `18`.
    pub fn sdp(payloads: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio 49170 RTP/AVP {payloads}\r\n"
        )
    }

    /// Acknowledges a final response that is not 2xx, on the INVITE's own branch.
    pub fn ack_failure(&self, invite: &str, response: &str) {
        let (line, _) = invite.split_once("\r\n").unwrap();
        let cseq = field(invite, "CSeq").replace("INVITE", "ACK");
        self.send(&format!(
            "{}\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq}\r\nContent-Length: 0\r\n\r\n",
            line.replace("INVITE ", "ACK "),
            field(invite, "Via"),
            field(invite, "From"),
            field(response, "To"),
            field(invite, "Call-ID"),
        ));
    }

    /// A request inside the dialog that `response` made.
    pub fn in_dialog(&self, method: &str, cseq: u32, invite: &str, response: &str) -> String {
        let contact = field(response, "Contact");
        let uri = contact
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap()
            .to_owned();
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};rport;branch=z9hG4bK-{}-{cseq}{method}\r\n\
             Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
            self.local(),
            field(invite, "Call-ID"),
            field(invite, "From"),
            field(response, "To"),
            field(invite, "Call-ID"),
        )
    }

    /// The Authorization line that answers a 401 with MD5.
    pub fn authorization(&self, response: &str, method: &str, uri: &str) -> String {
        let challenge = response
            .lines()
            .find(|line| line.starts_with("WWW-Authenticate:") && line.contains("MD5"))
            .unwrap();
        let value = |name: &str| {
            let at = challenge.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
            challenge[at..].split('"').next().unwrap().to_owned()
        };
        let hex = |text: String| -> String {
            Md5::digest(text)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        let (realm, nonce) = (value("realm"), value("nonce"));
        let ha1 = hex(format!("{}:{realm}:{}", self.user, self.password));
        let ha2 = hex(format!("{method}:{uri}"));
        let digest = hex(format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}"));
        format!(
            "Authorization: Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0a4f113b\", response=\"{digest}\"\r\n",
            self.user
        )
    }

    /// INVITE, 401, ACK, and the INVITE with credentials (not sent yet): its Call-ID and bytes.
    pub fn challenged_invite(&mut self, did: &str, sdp: &str) -> (String, String) {
        let call_id = self.fresh_call_id();
        let first = self.invite(did, &call_id, 1, "", sdp);
        self.send(&first);
        let refused = self.final_response(&call_id, "1 INVITE");
        assert!(refused.starts_with("SIP/2.0 401"), "{refused}");
        self.ack_failure(&first, &refused);
        let uri = format!("sip:{did}@{}", self.server);
        let authorization = self.authorization(&refused, "INVITE", &uri);
        (
            call_id.clone(),
            self.invite(did, &call_id, 2, &authorization, sdp),
        )
    }
}

/// The value of a header field, first of its name.
pub fn field(message: &str, name: &str) -> String {
    message
        .lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim()
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
        .unwrap_or_default()
}
