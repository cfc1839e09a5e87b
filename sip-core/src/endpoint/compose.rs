//! Writing messages: requests of ours, their ACKs and CANCELs, and responses.
//! The only place where the endpoint uses the builders.

use bytes::Bytes;

use super::outgoing::Scope;
use super::{Body, ClientTx, DialogId, Endpoint, EndpointError, Flow, Reply};
use crate::dialog::Plan;
use crate::error::BuildError;
use crate::header::{Header, Route};
use crate::message::{Limits, Message, Request, RequestBuilder, Response, ResponseBuilder};
use crate::method::Method;
use crate::name::Name;
use crate::status::Status;

/// What RFC 3261 8.1.1.7 puts at the start of each branch.
pub(super) const MAGIC_COOKIE: &str = "z9hG4bK";

/// What a CANCEL shares with its INVITE.
pub(super) struct Identity {
    pub(super) call_id: String,
    pub(super) from_tag: String,
    pub(super) seq: u32,
}

/// Why a message that depends on another one could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DerivedError {
    /// Our own request does not parse.
    #[error("own request is unreadable")]
    OwnRequest,
    /// The builder refused a value.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Endpoint {
    /// The bytes of a request of ours on a flow.
    pub(super) fn compose(
        &self,
        tx: ClientTx,
        flow: Flow,
        branch: &str,
    ) -> Result<Bytes, EndpointError> {
        let outgoing = self.outgoing.get(tx).ok_or(EndpointError::Gone)?;
        let method = &outgoing.method;
        let (plan, from, to, call_id, contact) = match &outgoing.scope {
            Scope::Fresh(fresh) => {
                let user = fresh.from.uri().raw_user();
                let contact = match &fresh.contact {
                    Some(contact) => contact.clone(),
                    None => self.contact(&flow, user, fresh.uri.is_sips()),
                };
                let plan = fresh.routes.plan(&fresh.uri);
                (
                    plan,
                    &fresh.from,
                    &fresh.to,
                    fresh.call_id.as_str(),
                    contact,
                )
            }
            Scope::Within(id) => {
                let dialog = self.dialogs.get(*id).ok_or(EndpointError::Gone)?;
                let plan = dialog.routes.plan(&dialog.remote_target);
                let contact = dialog.contact.to_string();
                (
                    plan,
                    &dialog.local,
                    &dialog.remote,
                    dialog.call_id(),
                    contact,
                )
            }
        };
        let given = |name: &Name| outgoing.headers.iter().any(|(given, _)| given == name);
        let mut out = self.begin(method, &plan, &flow, branch)?;
        if !given(&Name::MaxForwards) {
            out = out.header(Name::MaxForwards, MAX_FORWARDS)?;
        }
        for route in &plan.routes {
            out = out.header(Name::Route, route)?;
        }
        out = out
            .header(Name::From, from)?
            .header(Name::To, to)?
            .header(Name::CallId, call_id)?
            .header(Name::CSeq, format_args!("{} {method}", outgoing.seq))?;
        let reachable = !matches!(method, Method::Bye | Method::Info | Method::Message);
        if reachable && !contact.is_empty() && !given(&Name::Contact) {
            out = out.header(Name::Contact, &contact)?;
        }
        if matches!(method, Method::Invite | Method::Update | Method::Options) {
            if !given(&Name::Allow) {
                out = out.header(Name::Allow, self.allow())?;
            }
            if !given(&Name::Supported) && !self.config.supported.is_empty() {
                out = out.header(Name::Supported, self.config.supported.join(", "))?;
            }
        }
        if let Some(product) = self
            .config
            .product
            .as_ref()
            .filter(|_| !given(&Name::UserAgent))
        {
            out = out.header(Name::UserAgent, product)?;
        }
        for (name, value) in outgoing.authorization.iter().chain(&outgoing.headers) {
            out = out.header(name, value)?;
        }
        Ok(with_body(out, outgoing.body.as_ref())?.finish())
    }

    /// The ACK to a 2xx that we got in this dialog (RFC 3261 13.2.2.4).
    pub(super) fn compose_ack(
        &self,
        tx: ClientTx,
        id: DialogId,
        flow: Flow,
        branch: &str,
    ) -> Result<Bytes, EndpointError> {
        let outgoing = self.outgoing.get(tx).ok_or(EndpointError::Gone)?;
        let dialog = self.dialogs.get(id).ok_or(EndpointError::Gone)?;
        let plan = dialog.routes.plan(&dialog.remote_target);
        let mut out = self.begin(&Method::Ack, &plan, &flow, branch)?;
        out = out.header(Name::MaxForwards, MAX_FORWARDS)?;
        for route in &plan.routes {
            out = out.header(Name::Route, route)?;
        }
        out = out
            .header(Name::From, &dialog.local)?
            .header(Name::To, &dialog.remote)?
            .header(Name::CallId, dialog.call_id())?
            .header(Name::CSeq, format_args!("{} ACK", outgoing.seq))?;
        //= RFC 3261 13.2.2.4
        // "The ACK MUST contain the same credentials as the INVITE."
        for (name, value) in &outgoing.authorization {
            out = out.header(name, value)?;
        }
        Ok(out.finish())
    }

    fn begin(
        &self,
        method: &Method,
        plan: &Plan,
        flow: &Flow,
        branch: &str,
    ) -> Result<RequestBuilder, BuildError> {
        let via = format_args!(
            "SIP/2.0/{} {};rport;branch={branch}",
            flow.transport,
            self.sent_by(flow)
        )
        .to_string();
        RequestBuilder::new(method.clone(), &plan.uri).header(Name::Via, via)
    }

    /// The bytes of a response to `request`, which came over `flow`.
    ///
    /// `dialog` is set when the response makes, or is in, a dialog: it then has a Contact.
    pub(super) fn compose_reply(
        &self,
        request: &Request,
        flow: &Flow,
        tag: Option<&str>,
        contact: Option<&str>,
        reply: &Reply,
    ) -> Result<Bytes, BuildError> {
        let status = reply.status;
        let method = request.method();
        let given = |name: &Name| reply.headers.iter().any(|(given, _)| given == name);
        let mut out =
            ResponseBuilder::to(request, status).source(super::address::canonical(flow.remote));
        if let Some(reason) = &reply.reason {
            out = out.reason(reason)?;
        }
        if let Some(tag) = tag {
            out = out.to_tag(tag)?;
        }
        let opens = status.code() > 100 && !status.is_failure() && !status.is_redirect();
        if *method == Method::Invite && opens {
            out = out.record_route();
        }
        if let Some(contact) = contact.filter(|_| !given(&Name::Contact)) {
            out = out.header(Name::Contact, contact)?;
        }
        let capable = matches!(method, Method::Invite | Method::Options | Method::Update);
        let success = status.is_success() && capable;
        if (success || status == Status::METHOD_NOT_ALLOWED) && !given(&Name::Allow) {
            out = out.header(Name::Allow, self.allow())?;
        }
        if success && !given(&Name::Supported) && !self.config.supported.is_empty() {
            out = out.header(Name::Supported, self.config.supported.join(", "))?;
        }
        if let Some(product) = self
            .config
            .product
            .as_ref()
            .filter(|_| !given(&Name::Server))
        {
            out = out.header(Name::Server, product)?;
        }
        for (name, value) in &reply.headers {
            out = out.header(name, value)?;
        }
        if let Some(body) = &reply.body {
            out = out.body(&body.content_type, body.bytes.clone())?;
        }
        Ok(out.finish())
    }

    fn allow(&self) -> String {
        let methods: Vec<_> = self.config.allow.iter().map(Method::as_str).collect();
        methods.join(", ")
    }
}

/// The ACK to a 300–699 (RFC 3261 17.1.1.3), from the INVITE as it was sent.
pub(super) fn ack_to_refusal(invite: &Bytes, response: &Response) -> Result<Bytes, DerivedError> {
    let invite = own(invite)?;
    let mut out = derived(&invite, Method::Ack)?;
    //= RFC 3261 17.1.1.3
    // "The To header field in the ACK MUST equal the To header field in the response being
    // acknowledged"
    out = out.header(Name::To, response.to())?;
    Ok(out.finish())
}

/// The CANCEL to an INVITE (RFC 3261 9.1), from the INVITE as it was sent.
pub(super) fn cancel(invite: &Bytes) -> Result<(Bytes, Identity), DerivedError> {
    let invite = own(invite)?;
    let out = derived(&invite, Method::Cancel)?.header(Name::To, invite.to())?;
    let identity = Identity {
        call_id: invite.call_id().to_owned(),
        from_tag: invite.from().tag().unwrap_or_default().to_owned(),
        seq: invite.cseq().seq,
    };
    Ok((out.finish(), identity))
}

// Same Request-URI, top Via, From, Call-ID, CSeq number and Route; another method.
fn derived(invite: &Request, method: Method) -> Result<RequestBuilder, DerivedError> {
    let cseq = format!("{} {method}", invite.cseq().seq);
    let mut out = RequestBuilder::new(method, invite.uri())
        .header(Name::Via, invite.via())?
        .header(Name::MaxForwards, MAX_FORWARDS)?;
    for route in invite.header_values(&Route::NAME) {
        out = out.header(Name::Route, route)?;
    }
    Ok(out
        .header(Name::From, invite.from())?
        .header(Name::CallId, invite.call_id())?
        .header(Name::CSeq, cseq)?)
}

fn own(bytes: &Bytes) -> Result<Request, DerivedError> {
    match Message::parse(bytes.clone(), &Limits::default()) {
        Ok(Message::Request(request)) => Ok(request),
        _ => Err(DerivedError::OwnRequest),
    }
}

fn with_body(out: RequestBuilder, body: Option<&Body>) -> Result<RequestBuilder, BuildError> {
    match body {
        Some(body) => out.body(&body.content_type, body.bytes.clone()),
        None => Ok(out),
    }
}

//= RFC 3261 8.1.1.6
// "A UAC MUST insert a Max-Forwards header field into each request it originates with a value that
// SHOULD be 70."
const MAX_FORWARDS: u8 = 70;
