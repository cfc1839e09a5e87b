//! Answers an endpoint's questions for hosts: literal addresses at once, names by the system.
//! A and AAAA records; how many lookups run and how long one may take is bounded.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sip_core::endpoint::{Query, QueryId, Target, Transport};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Lookups that the system's resolver works on at once; each may hold a thread.
const RUNNING: usize = 32;
/// Lookups that may wait for their turn; further ones fail at once.
const WAITING: usize = 512;
/// How long a question waits for its answer. Below Timer B, so that a caller hears why.
const DEADLINE: Duration = Duration::from_secs(8);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// Which address families the driver has sockets for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

/// The answer to one question; no targets when it failed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) query: QueryId,
    pub(crate) targets: Vec<Target>,
}

pub(crate) struct Resolver {
    families: Families,
    running: Arc<Semaphore>,
    /// Shared with the tasks through its strong count: one clone per open question.
    open: Arc<()>,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Resolver {
    /// The resolver, and where its answers come out: at most [`WAITING`] of them at a time.
    pub(crate) fn new(families: Families) -> (Self, mpsc::UnboundedReceiver<Answer>) {
        let (answers, receiver) = mpsc::unbounded_channel();
        let resolver = Self {
            families,
            running: Arc::new(Semaphore::new(RUNNING)),
            open: Arc::new(()),
            answers,
        };
        (resolver, receiver)
    }

    /// Answers at once, or looks the name up on a task in `tasks`.
    pub(crate) fn resolve(&self, query: &Query, tasks: &mut JoinSet<()>) -> Option<Answer> {
        let id = query.id;
        let nothing = Answer {
            query: id,
            targets: Vec::new(),
        };
        if query.secure || query.transport == Some(Transport::Tls) {
            tracing::warn!(host = %query.host, "this build has no TLS: a sips target fails");
            return Some(nothing);
        }
        //= RFC 3263 4.1
        //# Otherwise, if no transport protocol is specified, but the TARGET is a numeric IP address,
        //# the client SHOULD use UDP for a SIP URI
        let transport = query.transport.unwrap_or(Transport::Udp);
        let port = query.port.unwrap_or(transport.default_port());
        if let Some(ip) = literal(&query.host) {
            let targets = self
                .families
                .order([SocketAddr::new(ip, port)].into_iter(), transport);
            return Some(Answer { query: id, targets });
        }
        if Arc::strong_count(&self.open) > WAITING {
            tracing::warn!(host = %query.host, waiting = WAITING, "too many lookups: failed");
            return Some(nothing);
        }
        let (families, host) = (self.families, query.host.clone());
        let (running, open, answers) = (
            self.running.clone(),
            self.open.clone(),
            self.answers.clone(),
        );
        tasks.spawn(async move {
            let lookup = lookup(running, host.clone(), port);
            let targets = match tokio::time::timeout(DEADLINE, lookup).await {
                Ok(Ok(found)) => families.order(found.into_iter(), transport),
                Ok(Err(cause)) => {
                    tracing::warn!(%host, %cause, "host could not be resolved");
                    Vec::new()
                }
                Err(_) => {
                    tracing::warn!(%host, seconds = DEADLINE.as_secs(), "lookup timed out");
                    Vec::new()
                }
            };
            // The driver may have ended meanwhile: then nobody waits for this.
            let _ = answers.send(Answer { query: id, targets });
            drop(open);
        });
        None
    }
}

impl Families {
    /// The addresses that we have a socket for, in the order they were found.
    fn order(self, found: impl Iterator<Item = SocketAddr>, transport: Transport) -> Vec<Target> {
        found
            .filter(|addr| if addr.is_ipv4() { self.v4 } else { self.v6 })
            .map(|addr| Target { transport, addr })
            .take(ADDRESSES)
            .collect()
    }
}

/// One lookup in its turn.
async fn lookup(
    running: Arc<Semaphore>,
    host: String,
    port: u16,
) -> Result<Vec<SocketAddr>, String> {
    let permit = running.acquire_owned().await.map_err(|e| e.to_string())?;
    // A task of its own keeps the permit until the system's resolver returns, even when the
    // question has timed out: the thread it holds cannot be taken back.
    let lookup = tokio::spawn(async move {
        let found = tokio::net::lookup_host((host, port)).await;
        drop(permit);
        found.map(Vec::from_iter)
    });
    match lookup.await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// An address as a URI's host spells it: IPv6 in brackets (or, tolerated, without).
fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_known_with_and_without_brackets() {
        assert_eq!(literal("192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(
            literal("[2001:db8::1]"),
            Some("2001:db8::1".parse().unwrap())
        );
        assert_eq!(literal("2001:db8::1"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(literal("pbx.example.com"), None);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_by_the_system() {
        let found = lookup(Arc::new(Semaphore::new(1)), "localhost".to_owned(), 5070).await;
        let found = found.unwrap();
        assert!(
            found
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 5070)
        );
        assert!(!found.is_empty());
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_fails_with_its_cause() {
        let found = lookup(Arc::new(Semaphore::new(1)), "no-such.invalid".to_owned(), 1).await;
        assert!(!found.unwrap_err().is_empty());
    }

    #[test]
    fn addresses_of_a_family_without_socket_are_left_out() {
        let found = ["[::1]:5060", "127.0.0.1:5060"].map(|addr| addr.parse().unwrap());
        let only_v4 = Families {
            v4: true,
            v6: false,
        };
        let targets = only_v4.order(found.into_iter(), Transport::Tcp);
        assert_eq!(targets, [Target::tcp("127.0.0.1:5060".parse().unwrap())]);
    }
}
