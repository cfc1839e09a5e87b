//! Via (RFC 3261 20.42): the path the request took, and so the path of its response.
//! With `received` and `rport` of RFC 3581.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::grammar::{Input, Parsed, colon, host, lws, params, port, slash, sws, token};
use super::params::Params;
use super::{Header, Shape, SharedText, fault, host_ip, parse_whole};
use crate::error::{Fault, HeaderError};
use crate::message::text::{Span, Text};
use crate::name::Name;

/// One hop. What was received is written back octet for octet.
#[derive(Clone, PartialEq, Eq)]
pub struct Via {
    text: Text,
    transport: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
    branch: Option<Span>,
}

impl Via {
    /// The start of each branch that a client of RFC 3261 made (8.1.1.7).
    pub const MAGIC_COOKIE: &str = "z9hG4bK";

    /// `SIP/2.0/TRANSPORT host:port;branch=…`, with an empty `rport` when asked for (RFC 3581 3).
    /// Transport and branch are tokens, the host is a name or address (IPv6 with or without
    /// brackets).
    pub fn new(
        transport: &str,
        host: &str,
        port: Option<u16>,
        branch: &str,
        rport: bool,
    ) -> Result<Via, HeaderError> {
        let mut text = format!("SIP/2.0/{transport} ");
        match host.parse() {
            Ok(IpAddr::V6(ip)) => text.push_str(&format!("[{ip}]")),
            _ => text.push_str(host),
        }
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        if rport {
            text.push_str(";rport");
        }
        text.push_str(";branch=");
        text.push_str(branch);
        let via = Via::parse(&text)?;
        if via.branch() == Some(branch)
            && via.host().trim_matches(['[', ']']) == host.trim_matches(['[', ']'])
        {
            Ok(via)
        } else {
            Err(fault::<Via>(Fault::Malformed { rule: "Via", at: 0 }))
        }
    }

    /// The transport as written: `UDP`, `TCP`, `TLS`, `WS` and so on.
    pub fn transport(&self) -> &str {
        self.text.get(self.transport)
    }

    /// The host of `sent-by` as written, IPv6 in its brackets.
    pub fn host(&self) -> &str {
        self.text.get(self.host)
    }

    /// The port of `sent-by`.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The `branch` parameter: names the transaction when it begins with [`Via::MAGIC_COOKIE`].
    pub fn branch(&self) -> Option<&str> {
        self.branch.map(|span| self.text.get(span))
    }

    /// The `received` parameter: the address the request really came from (RFC 3261 18.2.1).
    pub fn received(&self) -> Option<IpAddr> {
        self.param("received").and_then(|value| host_ip(&value))
    }

    /// The `rport` parameter: `Some(None)` when the client asks for it, `Some(Some(port))` when a
    /// server has filled it (RFC 3581). A value that is no port counts as asked for.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.param("rport").map(|value| value.parse().ok())
    }

    /// The `maddr` parameter (RFC 3261 18.1.1).
    pub fn maddr(&self) -> Option<Cow<'_, str>> {
        self.param("maddr")
    }

    /// The `ttl` parameter (RFC 3261 18.1.1).
    pub fn ttl(&self) -> Option<u8> {
        self.param("ttl").and_then(|value| value.parse().ok())
    }

    /// The value of a parameter, quotes undone; `""` without a value, `None` when absent.
    pub fn param(&self, name: &str) -> Option<Cow<'_, str>> {
        self.params().value(name)
    }

    /// The parameters in order.
    pub fn params(&self) -> Params<'_> {
        Params::new(self.text.get(self.params))
    }

    /// The value as written or received.
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    //= RFC 3261 18.2.1
    //= RFC 3581 4
    /// The value as a server notes it: `received` when `sent-by` is another host than `source`
    /// or the client asked for `rport`, and `rport` filled when it asked for it.
    pub fn noted(&self, source: SocketAddr) -> String {
        let asked = self.rport().is_some();
        let differs = host_ip(self.host()) != Some(source.ip());
        if !asked && !differs {
            return self.as_str().to_owned();
        }
        let head = Span {
            from: 0,
            to: self.params.from,
        };
        let mut text = match self.params.is_empty() {
            true => self.as_str().to_owned(),
            false => self.text.get(head).trim_end().to_owned(),
        };
        for (name, value) in self.params() {
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text.push_str(&format!(";received={}", source.ip()));
        if asked {
            text.push_str(&format!(";rport={}", source.port()));
        }
        text
    }

    pub(crate) fn from_text(text: Text) -> Result<Via, HeaderError> {
        let parts = parse_whole::<Via, _>(text.as_bytes(), via_parm)?;
        if parts.branches > 1 {
            return Err(fault::<Via>(Fault::Repeated("branch")));
        }
        let span = |part: &[u8]| {
            if part.is_empty() {
                Span::default()
            } else {
                text.span_of(part)
            }
        };
        Ok(Via {
            transport: span(parts.transport),
            host: span(parts.host),
            port: parts.port,
            params: span(parts.params),
            branch: parts.branch.map(span),
            text,
        })
    }
}

impl Header for Via {
    const NAME: Name = Name::Via;
    const SHAPE: Shape = Shape::List;

    fn parse(value: &str) -> Result<Via, HeaderError> {
        Via::from_text(Text::copy(value).map_err(fault::<Via>)?)
    }

    fn parse_shared(value: SharedText) -> Result<Via, HeaderError> {
        Via::from_text(value.0)
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

struct Parts<'a> {
    transport: Input<'a>,
    host: Input<'a>,
    port: Option<u16>,
    params: Input<'a>,
    branch: Option<Input<'a>>,
    branches: usize,
}

/// `via-parm = sent-protocol LWS sent-by *( SEMI via-params )`
fn via_parm(input: Input<'_>) -> Parsed<'_, Parts<'_>> {
    let (input, transport) = sent_protocol(input)?;
    let (input, _) = lws(input)?;
    let (input, (host, port)) = sent_by(input)?;
    let mut branch = None;
    let mut branches = 0;
    let (input, section) = params(input, |name, value| {
        if name.eq_ignore_ascii_case(b"branch") {
            branch = value;
            branches += 1;
        }
    })?;
    Ok((
        input,
        Parts {
            transport,
            host,
            port,
            params: section,
            branch,
            branches,
        },
    ))
}

/// `sent-protocol = protocol-name SLASH protocol-version SLASH transport`
fn sent_protocol(input: Input<'_>) -> Parsed<'_, Input<'_>> {
    if let [b'S', b'I', b'P', b'/', b'2', b'.', b'0', b'/', rest @ ..] = input {
        return token(rest);
    }
    let (input, _) = token(input)?;
    let (input, ()) = slash(input)?;
    let (input, _) = token(input)?;
    let (input, ()) = slash(input)?;
    token(input)
}

/// `sent-by = host [ COLON port ]`
fn sent_by(input: Input<'_>) -> Parsed<'_, (Input<'_>, Option<u16>)> {
    let (input, host) = host(input)?;
    let (after, _) = sws(input)?;
    match after {
        [b':', ..] => {
            let (input, ()) = colon(after)?;
            let (input, port) = port(input)?;
            let (input, _) = sws(input)?;
            Ok((input, (host, Some(port))))
        }
        _ => Ok((after, (host, None))),
    }
}
