//! Source addresses that may call: a list of networks.
//! An IPv4 address that arrives mapped into IPv6 counts as IPv4.

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of networks in CIDR notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    networks: Vec<IpNet>,
}

impl Allowlist {
    /// Takes networks.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Self {
        Self {
            networks: networks.into_iter().collect(),
        }
    }

    /// Reads networks (`192.0.2.0/24`) and single addresses (`192.0.2.7`).
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, AllowlistError> {
        let network = |entry: &'a str| {
            let entry = entry.trim();
            entry
                .parse::<IpNet>()
                .or_else(|_| entry.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| AllowlistError {
                    entry: entry.to_owned(),
                })
        };
        Ok(Self {
            networks: entries.into_iter().map(network).collect::<Result<_, _>>()?,
        })
    }

    /// True when one of the networks holds the address. An empty list holds none.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The networks.
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }
}

/// An entry that is neither a network nor an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{entry}` is neither an IP address nor a network such as 192.0.2.0/24")]
pub struct AllowlistError {
    /// The entry.
    pub entry: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_single_addresses_are_matched() {
        let list = Allowlist::parse(["192.0.2.0/24", " 198.51.100.7 ", "2001:db8::/32"]).unwrap();
        for (address, inside) in [
            ("192.0.2.200", true),
            ("192.0.3.1", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("::ffff:192.0.2.1", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(list.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(!Allowlist::default().contains("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn a_bad_entry_is_named() {
        let error = Allowlist::parse(["10.0.0.0/8", "10.0.0.0/33"]).unwrap_err();
        assert_eq!(error.entry, "10.0.0.0/33");
    }
}
