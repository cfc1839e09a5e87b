//! Our own names and the peer's addresses: sent-by, Contact, and where a URI or a Via points to.
//! Host names become questions to the resolver; literal addresses are answered here.

use std::net::{IpAddr, SocketAddr};

use super::{Endpoint, Flow, Target, Transport};
use crate::header::Via;
use crate::uri::{Scheme, Uri};

/// Where a request is to go, as far as can be told without the resolver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hop {
    /// There.
    Flow(Flow),
    /// Wherever this name leads.
    Name {
        host: String,
        port: Option<u16>,
        transport: Option<Transport>,
        secure: bool,
    },
    /// Nowhere: the scheme or transport is not one that is routed.
    Nowhere,
}

impl Endpoint {
    /// `host:port` for the sent-by of a Via and for a Contact on this flow.
    pub(super) fn sent_by(&self, flow: &Flow) -> String {
        let listener = self.listener(flow);
        let port = listener.map_or(flow.local.port(), |local| local.port());
        if let Some(public) = &self.config.public_address {
            return if has_port(public) {
                public.clone()
            } else {
                format!("{public}:{port}")
            };
        }
        let ip = match listener {
            Some(local) if flow.local.ip().is_unspecified() => local.ip(),
            _ => flow.local.ip(),
        };
        SocketAddr::new(ip, port).to_string()
    }

    /// The value of our Contact on this flow.
    pub(super) fn contact(&self, flow: &Flow, user: Option<&str>, secure: bool) -> String {
        let scheme = if secure { "sips" } else { "sip" };
        let at = self.sent_by(flow);
        let user = self.config.contact_user.as_deref().or(user);
        let user = user.map(|user| format!("{user}@")).unwrap_or_default();
        let transport = match flow.transport {
            Transport::Udp => "",
            Transport::Tcp => ";transport=tcp",
            Transport::Tls if secure => "",
            Transport::Tls => ";transport=tls",
        };
        format!("<{scheme}:{user}{at}{transport}>")
    }

    /// The flow to a target that was resolved.
    pub(super) fn flow_to(&self, target: Target) -> Flow {
        let local = self.listening.iter().find(|(transport, local)| {
            *transport == target.transport && local.is_ipv4() == target.addr.is_ipv4()
        });
        let local = local.map_or_else(|| unspecified(target.addr.ip()), |(_, local)| *local);
        Flow {
            transport: target.transport,
            local,
            remote: target.addr,
            connection: 0,
        }
    }

    /// Where a URI points to (RFC 3263 4, as far as it needs no DNS).
    pub(super) fn hop(&self, uri: &Uri) -> Hop {
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            _ => return Hop::Nowhere,
        };
        let named = match uri.transport() {
            None => None,
            Some(name) => match name.parse() {
                Ok(transport) => Some(transport),
                Err(_) => return Hop::Nowhere,
            },
        };
        let transport = match (secure, named) {
            //= RFC 3261 26.2.2
            // sips over anything but TLS is not possible.
            (true, None | Some(Transport::Tcp | Transport::Tls)) => Some(Transport::Tls),
            (true, Some(Transport::Udp)) => return Hop::Nowhere,
            (false, named) => named,
        };
        let host = uri.maddr().unwrap_or_else(|| uri.host().into());
        match crate::header::host_ip(&host) {
            Some(ip) => {
                let transport = transport.unwrap_or(Transport::Udp);
                let port = uri.port().unwrap_or(transport.default_port());
                Hop::Flow(self.flow_to(Target {
                    transport,
                    addr: SocketAddr::new(ip, port),
                }))
            }
            None => {
                let host = host.into_owned();
                Hop::Name {
                    host,
                    port: uri.port(),
                    transport,
                    secure,
                }
            }
        }
    }

    // The socket that peers reach us at on this flow's transport.
    fn listener(&self, flow: &Flow) -> Option<SocketAddr> {
        let fits = |(transport, local): &&(Transport, SocketAddr)| {
            *transport == flow.transport && local.is_ipv4() == flow.local.is_ipv4()
        };
        let exact = self
            .listening
            .iter()
            .filter(fits)
            .find(|(_, local)| *local == flow.local);
        exact
            .or_else(|| self.listening.iter().find(fits))
            .map(|(_, local)| *local)
    }
}

/// Where the responses to a request go that came over `flow` with this top Via.
pub(super) fn reply_flow(flow: Flow, via: &Via) -> Flow {
    if flow.transport != Transport::Udp || via.rport().is_some() {
        //= RFC 3581 4
        // The response goes to the address and port that the request came from.
        return flow;
    }
    //= RFC 3261 18.2.2
    // "if the top Via has a "received" parameter, the response MUST be sent to the address in the
    // "received" parameter, using the port indicated in the "sent-by" value, or using port 5060 if
    // none is specified explicitly". Not when sent-by is a literal address other than the source:
    // that is a NAT, whose mapping alone leads back, as every server on the public Internet has
    // learnt.
    match crate::header::host_ip(via.host()) {
        Some(ip) if ip != flow.remote.ip().to_canonical() => flow,
        _ => {
            let port = via.port().unwrap_or(Transport::Udp.default_port());
            Flow {
                remote: SocketAddr::new(flow.remote.ip(), port),
                ..flow
            }
        }
    }
}

/// An IPv4 address that a dual-stack socket shows mapped into IPv6, as the IPv4 address it is.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// True when the peer can be reached only where its packets come from: its URI names an address
/// that is private although the packets come from a public one.
pub(super) fn is_behind_nat(uri: &Uri, source: SocketAddr) -> bool {
    let private = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    uri.ip()
        .is_some_and(|ip| private(ip) && !private(source.ip().to_canonical()))
}

fn has_port(address: &str) -> bool {
    match address.rsplit_once(']') {
        Some((_, rest)) => rest.starts_with(':'),
        None => address.contains(':'),
    }
}

fn unspecified(like: IpAddr) -> SocketAddr {
    let ip = match like {
        IpAddr::V4(_) => IpAddr::from([0_u8; 4]),
        IpAddr::V6(_) => IpAddr::from([0_u16; 8]),
    };
    SocketAddr::new(ip, 0)
}
