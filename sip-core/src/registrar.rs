//! A registrar (RFC 3261 10.3): which addresses of record are bound to which contacts, until when.
//! Pure: it takes a REGISTER that has been authenticated, and gives the answer to send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::endpoint::{Flow, Reply};
use crate::header::{Contact, Expires, Path, UserAgent};
use crate::message::Request;
use crate::name::Name;
use crate::status::Status;
use crate::uri::Uri;

/// Bounds of a [`Registrar`]. Durations are in whole seconds on the wire.
#[derive(Clone, Debug)]
pub struct RegistrarConfig {
    /// The shortest binding that is accepted: 60 s. Shorter ones are answered 423.
    pub min_expires: Duration,
    /// The longest binding: 3600 s. Longer wishes are shortened to it.
    pub max_expires: Duration,
    /// For requests that name no duration: 300 s.
    pub default_expires: Duration,
    /// Contacts of one address of record: 10. More are answered 403.
    pub max_bindings_per_aor: usize,
    /// Addresses of record with bindings: 100,000. More are answered 503.
    pub max_aors: usize,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        Self {
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            default_expires: Duration::from_secs(300),
            max_bindings_per_aor: 10,
            max_aors: 100_000,
        }
    }
}

/// One contact of an address of record.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The contact as it was registered.
    pub contact: Uri,
    /// When it lapses.
    pub expires_at: Instant,
    /// Where the REGISTER came from: the way through the peer's NAT, or its connection.
    pub flow: Flow,
    /// The proxies that the REGISTER recorded (RFC 3327), in visiting order.
    pub path: Vec<String>,
    /// What the peer calls itself.
    pub user_agent: Option<String>,
    call_id: String,
    seq: u32,
}

/// The answer to a REGISTER, and what it changed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What to [`respond`](crate::endpoint::Endpoint::respond) with.
    pub reply: Reply,
    /// What it changed.
    pub change: Change,
}

/// What a REGISTER changed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The address of record had no binding and has one now.
    Registered,
    /// It had bindings and has some still.
    Refreshed,
    /// Its last binding is gone.
    Removed,
    /// Nothing: the request only asked.
    Nothing,
    /// Nothing: the request was refused.
    Refused,
}

/// Bindings by address of record.
#[derive(Debug)]
pub struct Registrar {
    config: RegistrarConfig,
    bindings: BTreeMap<String, Vec<Binding>>,
    // Not after the earliest expiry.
    next: Option<Instant>,
}

impl Registrar {
    /// A registrar without bindings.
    pub fn new(config: RegistrarConfig) -> Self {
        Self {
            config,
            bindings: BTreeMap::new(),
            next: None,
        }
    }

    /// Takes a REGISTER for `aor`, whatever its To says: who may register what is the caller's
    /// decision, taken before.
    ///
    /// A contact replaces the binding with the same host and port, even if other parts of the URI
    /// differ: Asterisk binds anew with another `;line=` after each restart and never removes the
    /// old one.
    pub fn register(&mut self, now: Instant, request: &Request, flow: Flow, aor: &str) -> Outcome {
        self.drop_expired(now, aor);
        let before = self.bindings.get(aor).map_or(0, Vec::len);
        match self.apply(now, request, flow, aor) {
            Ok(asked) => {
                let after = self.bindings.get(aor).map_or(0, Vec::len);
                let change = match (before, after) {
                    _ if asked == Asked::Only => Change::Nothing,
                    (0, 0) => Change::Nothing,
                    (0, _) => Change::Registered,
                    (_, 0) => Change::Removed,
                    _ => Change::Refreshed,
                };
                Outcome {
                    reply: self.success(now, aor),
                    change,
                }
            }
            Err(reply) => Outcome {
                reply,
                change: Change::Refused,
            },
        }
    }

    /// The live bindings of an address of record, oldest first.
    pub fn bindings(&self, now: Instant, aor: &str) -> impl Iterator<Item = &Binding> {
        let all = self
            .bindings
            .get(aor)
            .map(Vec::as_slice)
            .unwrap_or_default();
        all.iter().filter(move |binding| binding.expires_at > now)
    }

    /// True when an address of record has a live binding.
    pub fn is_registered(&self, now: Instant, aor: &str) -> bool {
        self.bindings(now, aor).next().is_some()
    }

    /// Forgets all bindings of an address of record, as when its credentials were withdrawn. True
    /// when there were any.
    pub fn remove(&mut self, aor: &str) -> bool {
        self.bindings.remove(aor).is_some()
    }

    /// Forgets what has lapsed; gives the addresses of record that have no binding any more.
    pub fn expire(&mut self, now: Instant) -> Vec<String> {
        let mut gone = Vec::new();
        self.bindings.retain(|aor, bindings| {
            bindings.retain(|binding| binding.expires_at > now);
            if bindings.is_empty() {
                gone.push(aor.clone());
            }
            !bindings.is_empty()
        });
        self.next = self
            .bindings
            .values()
            .flatten()
            .map(|binding| binding.expires_at)
            .min();
        gone
    }

    /// When [`expire`](Self::expire) is due; perhaps a little early, never late.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// How many bindings are held.
    pub fn len(&self) -> usize {
        self.bindings.values().map(Vec::len).sum()
    }

    /// True when no binding is held.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    fn apply(
        &mut self,
        now: Instant,
        request: &Request,
        flow: Flow,
        aor: &str,
    ) -> Result<Asked, Reply> {
        let contacts = request
            .all::<Contact>()
            .map_err(|error| bad(&error.to_string()))?;
        let header = match request.typed::<Expires>() {
            None => None,
            Some(Ok(Expires(seconds))) => Some(seconds),
            //= RFC 3261 20.10
            // "Malformed values SHOULD be treated as equivalent to 3600."
            Some(Err(_)) => Some(3600),
        };
        if contacts.is_empty() {
            return Ok(Asked::Only);
        }
        let (call_id, seq) = (request.call_id(), request.cseq().seq);
        if contacts.contains(&Contact::Any) {
            //= RFC 3261 10.3
            // "If the request has additional Contact fields or an expiration time other than zero,
            // the request is invalid, and the server MUST return a 400"
            if contacts.len() > 1 || header != Some(0) {
                return Err(bad("`*` stands alone, with Expires: 0"));
            }
            let bindings = self
                .bindings
                .get(aor)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if bindings
                .iter()
                .any(|binding| !binding.may_change(call_id, seq))
            {
                return Err(out_of_order());
            }
            self.bindings.remove(aor);
            return Ok(Asked::Change);
        }
        // Everything is checked before anything is changed.
        let mut changes = Vec::new();
        for contact in &contacts {
            let Some(uri) = contact.uri() else {
                continue;
            };
            let wish = contact
                .expires()
                .or(header)
                .map(|wish| Duration::from_secs(wish.into()));
            let wish = wish.unwrap_or(self.config.default_expires);
            //= RFC 3261 10.3
            // "the registrar MAY reject the registration with a response of 423 (Interval Too
            // Brief). This response MUST contain a Min-Expires header field"
            if !wish.is_zero() && wish < self.config.min_expires {
                let least = self.config.min_expires.as_secs().to_string();
                let reply = Reply::new(Status::INTERVAL_TOO_BRIEF);
                return Err(reply.header(Name::MinExpires, least));
            }
            let old = self
                .bindings
                .get(aor)
                .into_iter()
                .flatten()
                .find(|old| old.is_at(uri));
            //= RFC 3261 10.3
            // "If it does agree, it MUST remove the binding only if the CSeq in the request is
            // higher than the value stored for that binding. Otherwise, the update MUST be aborted
            // and the request fails."
            if old.is_some_and(|old| !old.may_change(call_id, seq)) {
                return Err(out_of_order());
            }
            changes.push((uri.detached(), wish.min(self.config.max_expires)));
        }
        self.check_room(aor, &changes)?;
        for (uri, wish) in changes {
            self.bind(now, request, flow, aor, uri, wish);
        }
        if self.bindings.get(aor).is_some_and(Vec::is_empty) {
            self.bindings.remove(aor);
        }
        Ok(Asked::Change)
    }

    fn check_room(&self, aor: &str, changes: &[(Uri, Duration)]) -> Result<(), Reply> {
        let bindings = self.bindings.get(aor);
        if bindings.is_none() && self.bindings.len() >= self.config.max_aors {
            return Err(Reply::new(Status::SERVICE_UNAVAILABLE));
        }
        let held = bindings.map(Vec::as_slice).unwrap_or_default();
        let new = changes
            .iter()
            .filter(|(uri, wish)| !wish.is_zero() && !held.iter().any(|old| old.is_at(uri)));
        if held.len() + new.count() > self.config.max_bindings_per_aor {
            return Err(Reply::new(Status::FORBIDDEN).reason("Too Many Contacts"));
        }
        Ok(())
    }

    fn bind(
        &mut self,
        now: Instant,
        request: &Request,
        flow: Flow,
        aor: &str,
        contact: Uri,
        wish: Duration,
    ) {
        let bindings = self.bindings.entry(aor.to_owned()).or_default();
        bindings.retain(|old| !old.is_at(&contact));
        if wish.is_zero() {
            return;
        }
        let expires_at = now + wish;
        let path = request.all::<Path>().unwrap_or_default();
        let user_agent = request.typed::<UserAgent>().and_then(Result::ok);
        bindings.push(Binding {
            contact,
            expires_at,
            flow,
            path: path.iter().map(ToString::to_string).collect(),
            user_agent: user_agent.map(|agent| agent.to_string()),
            call_id: request.call_id().to_owned(),
            seq: request.cseq().seq,
        });
        self.next = Some(self.next.map_or(expires_at, |next| next.min(expires_at)));
    }

    fn drop_expired(&mut self, now: Instant, aor: &str) {
        if let Some(bindings) = self.bindings.get_mut(aor) {
            bindings.retain(|binding| binding.expires_at > now);
            if bindings.is_empty() {
                self.bindings.remove(aor);
            }
        }
    }

    //= RFC 3261 10.3
    // "The response MUST contain Contact header field values enumerating all current bindings. Each
    // Contact value MUST feature an "expires" parameter indicating its expiration interval chosen by
    // the registrar."
    fn success(&self, now: Instant, aor: &str) -> Reply {
        let mut reply = Reply::new(Status::OK);
        for binding in self.bindings(now, aor) {
            // Rounded up: a binding just made for 300 s says 300.
            let left =
                binding.expires_at.saturating_duration_since(now) + Duration::from_millis(999);
            let contact = format!("<{}>;expires={}", binding.contact, left.as_secs());
            reply = reply.header(Name::Contact, contact);
        }
        reply
    }
}

impl Binding {
    fn is_at(&self, uri: &Uri) -> bool {
        let port = |uri: &Uri| {
            let tls = uri.is_sips() || uri.transport().is_some_and(|name| name == "tls");
            uri.port().unwrap_or(if tls { 5061 } else { 5060 })
        };
        self.contact.host().eq_ignore_ascii_case(uri.host()) && port(&self.contact) == port(uri)
    }

    fn may_change(&self, call_id: &str, seq: u32) -> bool {
        self.call_id != call_id || seq > self.seq
    }
}

#[derive(PartialEq, Eq)]
enum Asked {
    Only,
    Change,
}

fn bad(cause: &str) -> Reply {
    let cause = cause
        .chars()
        .filter(|c| !c.is_control())
        .collect::<String>();
    Reply::new(Status::BAD_REQUEST).reason(format!("Bad Request: {cause}"))
}

fn out_of_order() -> Reply {
    Reply::new(Status::SERVER_INTERNAL_ERROR).reason("Out-of-Order CSeq")
}

#[cfg(test)]
mod tests;
