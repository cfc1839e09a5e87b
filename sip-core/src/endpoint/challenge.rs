//! Challenges that requests of ours meet: 401 and 407, answered with the credentials at hand.
//! Once each, and once more when the server says that only the nonce was stale.

use std::time::Instant;

use super::entropy::draw_hex;
use super::event::Ended;
use super::outgoing::Scope;
use super::{ClientTx, Endpoint, Flow};
use crate::auth;
use crate::header::{Challenge, Header, ProxyAuthenticate, WwwAuthenticate};
use crate::message::Response;
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;

impl Endpoint {
    /// Sends a challenged request again, with credentials. False when that is not possible: the
    /// challenge is then the final answer.
    pub(super) fn answer_challenge(
        &mut self,
        now: Instant,
        tx: ClientTx,
        flow: Flow,
        response: &Response,
    ) -> bool {
        let (kind, name, challenges) = match response.status() {
            Status::UNAUTHORIZED => (0, Name::Authorization, www_challenges(response)),
            Status::PROXY_AUTHENTICATION_REQUIRED => {
                (1, Name::ProxyAuthorization, proxy_challenges(response))
            }
            _ => return false,
        };
        let Some(outgoing) = self.outgoing.get(tx).filter(|out| out.giving_up.is_none()) else {
            return false;
        };
        let (uri, credentials) = match &outgoing.scope {
            Scope::Fresh(fresh) => (fresh.routes.plan(&fresh.uri).uri, fresh.credentials.clone()),
            Scope::Within(id) => match self.dialogs.get(*id) {
                Some(dialog) => {
                    let plan = dialog.routes.plan(&dialog.remote_target);
                    (plan.uri, dialog.credentials.clone())
                }
                None => return false,
            },
        };
        let (Some(credentials), tries) = (credentials, outgoing.tries) else {
            return false;
        };
        //= RFC 3261 22.2
        // "A UAC MUST NOT re-attempt requests with the credentials that have just been rejected
        // (though the request may be retried if the nonce was stale)."
        let stale = challenges.iter().any(|challenge| challenge.stale);
        let tried = tries.get(kind).copied().unwrap_or(u8::MAX);
        if tried > 1 || (tried == 1 && !stale) {
            return false;
        }
        let cnonce = draw_hex(&mut *self.entropy);
        let method = outgoing.method.clone();
        let uri = uri.without_headers();
        let Some(answer) =
            auth::answer(&challenges, &credentials, &method, uri.as_str(), &cnonce, 1)
        else {
            return false;
        };
        self.end_forks(now, tx, None, |_| Ended::Rejected(response.status()));
        let Some(outgoing) = self.outgoing.get_mut(tx) else {
            return false;
        };
        outgoing.authorization.retain(|(given, _)| *given != name);
        outgoing.authorization.push((name, answer.to_string()));
        if let Some(tries) = outgoing.tries.get_mut(kind) {
            *tries += 1;
        }
        let before = outgoing.seq;
        //= RFC 3261 22.2
        // "it MUST increment the CSeq header field value as it would normally when sending an
        // updated request"
        outgoing.seq = match outgoing.within().and_then(|id| self.dialogs.get_mut(id)) {
            Some(dialog) => {
                dialog.local_seq = dialog.local_seq.saturating_add(1);
                if method == Method::Refer {
                    dialog.refers_sent.remove(before);
                    dialog.refers_sent.add(dialog.local_seq);
                }
                dialog.local_seq
            }
            None => before.saturating_add(1),
        };
        if let Some(timer) = outgoing.patience.take() {
            self.timers.cancel(timer);
        }
        let same = outgoing.flow.map(|sent| Flow {
            connection: flow.connection,
            ..sent
        });
        let Some(flow) = same else {
            return false;
        };
        match self.send_on(now, tx, flow) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "request could not be sent with credentials");
                false
            }
        }
    }
}

fn www_challenges(response: &Response) -> Vec<Challenge> {
    let lines = response.header_values(&Name::WwwAuthenticate);
    lines
        .filter_map(|line| Header::parse(&line).ok())
        .map(|WwwAuthenticate(challenge)| challenge)
        .collect()
}

fn proxy_challenges(response: &Response) -> Vec<Challenge> {
    let lines = response.header_values(&Name::ProxyAuthenticate);
    lines
        .filter_map(|line| Header::parse(&line).ok())
        .map(|ProxyAuthenticate(challenge)| challenge)
        .collect()
}
