//! Route sets (RFC 3261 12.1 and 12.2.1.1): how a request inside a dialog finds its way.
//! Loose and strict routers; no addresses are resolved here.

use crate::header::{RecordRoute, Route};
use crate::uri::Uri;

/// The route set of a dialog, in the order in which our requests visit it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteSet(Box<[Route]>);

impl RouteSet {
    /// What the UAS takes from the Record-Route of the request: same order (RFC 3261 12.1.1).
    pub fn of_request(record: Vec<RecordRoute>) -> Self {
        Self(
            record
                .into_iter()
                .map(|hop| Route(hop.0.detached()))
                .collect(),
        )
    }

    /// What the UAC takes from the Record-Route of the response: reverse order (RFC 3261 12.1.2).
    pub fn of_response(record: Vec<RecordRoute>) -> Self {
        Self(
            record
                .into_iter()
                .rev()
                .map(|hop| Route(hop.0.detached()))
                .collect(),
        )
    }

    /// A route set that was configured, in visiting order.
    pub fn preloaded(routes: Vec<Route>) -> Self {
        Self(routes.into())
    }

    /// True when requests go straight to the remote target.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The routers, in visiting order.
    pub fn hops(&self) -> &[Route] {
        &self.0
    }

    /// Request-URI, Route values and next hop for a request to `target`.
    pub fn plan(&self, target: &Uri) -> Plan {
        let Some((first, rest)) = self.0.split_first() else {
            return Plan {
                uri: target.clone(),
                routes: Vec::new(),
                next_hop: target.clone(),
            };
        };
        let next_hop = first.uri().clone();
        if next_hop.is_loose_router() {
            //= RFC 3261 12.2.1.1
            // "the UAC MUST place the remote target URI into the Request-URI and MUST include a
            // Route header field containing the route set values in order, including all
            // parameters."
            let routes = self.0.iter().map(|hop| hop.as_str().to_owned()).collect();
            return Plan {
                uri: target.clone(),
                routes,
                next_hop,
            };
        }
        //= RFC 3261 12.2.1.1
        // "the UAC MUST place the first URI from the route set into the Request-URI, stripping any
        // parameters that are not allowed in a Request-URI [...] The UAC MUST then place the remote
        // target URI into the Route header field as the last value."
        let mut routes: Vec<_> = rest.iter().map(|hop| hop.as_str().to_owned()).collect();
        routes.push(format!("<{}>", target.as_str()));
        Plan {
            uri: next_hop.without_headers(),
            routes,
            next_hop,
        }
    }
}

/// How one request is addressed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The Request-URI.
    pub uri: Uri,
    /// Values of Route, one header line each.
    pub routes: Vec<String>,
    /// The URI whose host the request is sent to.
    pub next_hop: Uri,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Header;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    fn record(values: &[&str]) -> Vec<RecordRoute> {
        values
            .iter()
            .map(|value| RecordRoute::parse(value).unwrap())
            .collect()
    }

    #[test]
    fn without_routes_the_target_is_uri_and_next_hop() {
        let plan = RouteSet::default().plan(&uri("sip:bob@192.0.2.4"));
        assert_eq!(plan.uri.as_str(), "sip:bob@192.0.2.4");
        assert_eq!(plan.next_hop.as_str(), "sip:bob@192.0.2.4");
        assert!(plan.routes.is_empty());
    }

    #[test]
    fn the_caller_visits_recorded_routes_in_reverse() {
        let values = ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr>"];
        let caller = RouteSet::of_response(record(&values)).plan(&uri("sip:bob@b"));
        assert_eq!(
            caller.routes,
            ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"]
        );
        assert_eq!(caller.next_hop.host(), "p1.example.com");
        assert_eq!(caller.uri.as_str(), "sip:bob@b");
        let callee = RouteSet::of_request(record(&values)).plan(&uri("sip:alice@a"));
        assert_eq!(callee.routes, values);
    }

    #[test]
    fn a_strict_router_takes_the_request_uri_and_the_target_goes_last() {
        //= RFC 3261 12.2.1.1
        // The RFC's own example.
        let routes = RouteSet::of_request(record(&[
            "<sip:proxy1>",
            "<sip:proxy2>",
            "<sip:proxy3;lr>",
            "<sip:proxy4>",
        ]));
        let plan = routes.plan(&uri("sip:user@remoteua"));
        assert_eq!(plan.uri.as_str(), "sip:proxy1");
        assert_eq!(
            plan.routes,
            [
                "<sip:proxy2>",
                "<sip:proxy3;lr>",
                "<sip:proxy4>",
                "<sip:user@remoteua>"
            ]
        );
        assert_eq!(plan.next_hop.as_str(), "sip:proxy1");
    }
}
