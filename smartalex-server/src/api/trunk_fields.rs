//! The fields of a trunk: what may stand in each, and the words for what may not.

use ipnet::IpNet;

use crate::directory::normal;
use crate::secrets::Secret;
use crate::trunks::{Did, TrunkCodec};

/// A host, and a port if it is not 5060.
pub(super) fn check_domain(domain: &str) -> Result<String, String> {
    let domain = domain.trim();
    let wrong = || "has to be a host name or address, with a port if it is not 5060".to_owned();
    if domain.len() > 255 || domain.contains('@') {
        return Err(wrong());
    }
    let authority: hyper::http::uri::Authority = domain.parse().map_err(|_| wrong())?;
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let named = !bare.is_empty()
        && bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if !named && bare.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong());
    }
    // `host:` and `host:99999` parse as an authority without a port.
    if authority.as_str().len() > host.len() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err(wrong());
    }
    Ok(domain.to_owned())
}

pub(super) fn check_networks(networks: &[String]) -> Result<Vec<IpNet>, String> {
    if networks.len() > 100 {
        return Err(format!("are {}, 100 are the most", networks.len()));
    }
    networks
        .iter()
        .map(|text| {
            let text = text.trim();
            let net: Option<IpNet> = match text.parse() {
                Ok(net) => Some(net),
                Err(_) => text.parse::<std::net::IpAddr>().ok().map(IpNet::from),
            };
            net.filter(|net| net.prefix_len() > 0)
                .map(|net| net.trunc())
                .ok_or_else(|| {
                    format!(
                        "{text:?} is no address or network, as in 203.0.113.7 or 203.0.113.0/28"
                    )
                })
        })
        .collect()
}

pub(super) fn check_codecs(codecs: Option<&[String]>) -> Result<Vec<TrunkCodec>, String> {
    let Some(names) = codecs else {
        return Ok(vec![TrunkCodec::Pcmu, TrunkCodec::Pcma]);
    };
    let mut codecs = Vec::new();
    for name in names {
        let codec = TrunkCodec::named(&name.to_ascii_uppercase())
            .ok_or_else(|| format!("{name:?} is not available; this server knows PCMU, PCMA"))?;
        if codecs.contains(&codec) {
            return Err(format!("{name:?} is there twice"));
        }
        codecs.push(codec);
    }
    if codecs.is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(codecs)
}

pub(super) fn check_dids(numbers: &[String]) -> Result<Vec<Did>, String> {
    if numbers.len() > 1_000 {
        return Err(format!("are {}, 1000 are the most", numbers.len()));
    }
    let mut dids: Vec<Did> = Vec::new();
    for number in numbers {
        let digits = normal(number)
            .ok_or_else(|| format!("{number:?} is no telephone number, as in +27872500100"))?;
        if dids.iter().any(|did| did.digits == digits) {
            return Err(format!("{number:?} is there twice"));
        }
        dids.push(Did {
            number: number.trim().to_owned(),
            digits,
        });
    }
    Ok(dids)
}

pub(super) fn check_forwarding(number: Option<&str>) -> Result<Option<String>, String> {
    match number.map(str::trim).filter(|number| !number.is_empty()) {
        None => Ok(None),
        Some(number) if normal(number).is_some() => Ok(Some(number.to_owned())),
        Some(number) => Err(format!("{number:?} is no telephone number")),
    }
}

pub(super) fn check_username(username: Option<&str>) -> Result<Option<String>, String> {
    let Some(username) = username else {
        return Ok(None);
    };
    let fits = (1..=64).contains(&username.len())
        && username
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'));
    if fits {
        Ok(Some(username.to_owned()))
    } else {
        Err("has to be 1 to 64 letters, digits or any of - _ . +".to_owned())
    }
}

/// Trunks are tried from the whole internet: a password that people think up is too weak.
pub(super) fn check_password(password: Option<&str>) -> Result<Option<Secret>, String> {
    let Some(password) = password else {
        return Ok(None);
    };
    let fits = (16..=128).contains(&password.len())
        && password
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if fits {
        Ok(Some(Secret::new(password)))
    } else {
        Err("has to be 16 to 128 visible ASCII characters without \" and \\".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_hosts_with_a_port_at_most() {
        for good in [
            "pbx.example.com",
            "10.0.0.5:5080",
            "[2001:db8::1]:5060",
            "localhost",
        ] {
            assert_eq!(check_domain(good), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "a b",
            "sip:pbx",
            "u@pbx",
            "pbx:",
            "pbx:0",
            "pbx:99999",
            "pbx/x",
            "pbx?x",
            "pbx>",
        ] {
            assert!(check_domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_are_addresses_or_prefixes() {
        let nets = check_networks(&["203.0.113.7".into(), "10.1.2.3/8".into()]).unwrap();
        assert_eq!(nets[0].to_string(), "203.0.113.7/32");
        assert_eq!(nets[1].to_string(), "10.0.0.0/8");
        assert!(check_networks(&["0.0.0.0/0".into()]).is_err());
        assert!(check_networks(&["pbx".into()]).is_err());
    }
}
