//! How a trunk is shown: its settings, its state, and what to enter at the PBX.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use serde_json::{Value, json};

use crate::app::App;
use crate::clock;
use crate::secrets::Secret;
use crate::trunks::{Trunk, TrunkAuth, TrunkTransport};

/// A trunk as the API shows it; `password` only right after it was made.
pub(super) fn view(app: &App, trunk: &Trunk, password: Option<&Secret>) -> Value {
    let status = app.trunk_status(&trunk.id);
    let more = json!({
        "id": trunk.id,
        "srtp": "off",
        "noise_suppression": false,
        "status": if trunk.suspended { "suspended" } else { "active" },
        "registered": status.registered,
        "active_calls": status.active_calls,
        "created_at": clock::rfc3339(trunk.created_at),
        "connection": connection(app, trunk, password),
    });
    super::with(as_request(trunk), more)
}

/// A trunk as it would be asked for.
pub(super) fn as_request(trunk: &Trunk) -> Value {
    let dids: Vec<&str> = trunk.dids.iter().map(|did| did.number.as_str()).collect();
    json!({
        "name": trunk.name,
        "pbx_type": trunk.pbx_type,
        "pbx_sip_domain": trunk.pbx_sip_domain,
        "auth": trunk.auth,
        "allowed_ips": trunk.allowed_ips,
        "username": trunk.username,
        "codecs": trunk.codecs,
        "transport": trunk.transport,
        "max_concurrent_calls": trunk.max_concurrent_calls,
        "dids": dids,
        "agent_id": trunk.agent,
        "transfer": trunk.transfer,
        "call_forwarding_number": trunk.call_forwarding_number,
    })
}

fn connection(app: &App, trunk: &Trunk, password: Option<&Secret>) -> Value {
    let listens = app.sip_addresses();
    let address = match trunk.transport {
        TrunkTransport::Udp => listens.udp.or(listens.tcp),
        TrunkTransport::Tcp => listens.tcp.or(listens.udp),
    };
    let port = address.map_or(5060, |address| address.port());
    let host = host(app, address);
    let by_digest = trunk.auth != TrunkAuth::Ip;
    json!({
        "registrar": host,
        "outbound_proxy": host,
        "port": port,
        "tls_port": null,
        "transport": trunk.transport,
        "auth_username": trunk.username.as_deref().filter(|_| by_digest),
        "auth_password": password.map(Secret::expose),
        "codec_priority": trunk.codecs,
        "dtmf": "rfc2833",
    })
}

/// What a PBX is told to reach this server at: the name or address that the operator set, else
/// the one that is listened on, else the one that this machine uses towards the internet.
fn host(app: &App, listens: Option<SocketAddr>) -> String {
    let sip = &app.config.sip;
    if let Some(domain) = &sip.domain {
        return domain.clone();
    }
    let address = sip
        .public_address
        .or_else(|| {
            listens
                .map(|address| address.ip())
                .filter(|ip| !ip.is_unspecified())
        })
        .or_else(outward)
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The address that packets to the internet would leave from. Connecting a UDP socket sends none.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: any that is routed the default way would do.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
