//! Who may call, decided in one place: credentials or address, then the trunk's state, then its
//! number, then limits. It runs in the driver, before a call costs anything.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sip_core::auth::{self, Authenticator, Secret};
use sip_core::endpoint::{Event, Flow, Reply};
use sip_core::header::{self, Header as _, NameAddr, PAssertedIdentity};
use sip_core::message::Request;
use sip_core::method::Method;
use sip_core::name::Name;
use sip_core::status::Status;
use voice_bridge::{Gate, Verdict};

use super::challenged::Challenged;
use super::limits::Permit;
use super::live::Live;
use super::refusal::Refusal;
use super::registrations::Registrations;
use crate::agents::Agent;
use crate::app::App;
use crate::calls::RefusedCall;
use crate::clock;
use crate::directory::{Line, Snapshot};
use crate::ids::TrunkId;
use crate::trunks::TrunkAuth;

/// The gate of the server.
#[derive(Debug)]
pub(super) struct Admission {
    app: Arc<App>,
    live: Arc<Live>,
    registrations: Registrations,
    challenged: Mutex<Challenged>,
}

/// What goes with a call that was let in.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The trunk that it came in on.
    pub(super) line: Arc<Line>,
    /// The agent of the number that was called.
    pub(super) agent: Arc<Agent>,
    /// Its place.
    pub(super) permit: Permit,
    /// The number that was called.
    pub(super) number: String,
}

/// What the check of a request's origin came to.
enum Origin {
    Known(Arc<Line>),
    /// To be challenged; when the credentials it brought were wrong, that is an attempt.
    Stranger {
        stale: bool,
        wrong: bool,
    },
    Refused(Refusal, Option<Arc<Line>>),
}

impl Admission {
    pub(super) fn new(app: Arc<App>, live: Arc<Live>) -> Self {
        let registrations = Registrations::new(app.metrics.clone());
        Self {
            app,
            live,
            registrations,
            challenged: Mutex::default(),
        }
    }

    pub(super) fn is_registered(&self, now: Instant, trunk: &TrunkId) -> bool {
        self.registrations.is_registered(now, trunk)
    }

    pub(super) fn withdraw(&self, trunk: &TrunkId) {
        self.registrations.withdraw(trunk);
    }

    /// Time passes: registrations lapse, and challenged callers are given up.
    pub(super) fn tick(&self, now: Instant) {
        self.registrations.expire(now);
        let lost = self.challenged().expire(now);
        for call in lost {
            self.record(call);
        }
    }

    fn invite(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict {
        let directory = self.app.directory.snapshot();
        let number = number_called(request);
        let line = match self.origin(now, request, flow, auth, &directory, &number) {
            Origin::Known(line) => line,
            Origin::Stranger { stale, wrong } => {
                return self.challenge(now, request, flow, &number, stale, wrong);
            }
            Origin::Refused(refusal, line) => {
                return self.refuse(request, flow, &number, refusal, line.as_deref());
            }
        };
        self.challenged().came_back(request.call_id());
        // Some PBXs put the trunk's own user into the Request-URI and the number into To only.
        let number = match line.trunk.username.as_deref() {
            Some(own) if own == number => user(request.to()).unwrap_or(number),
            _ => number,
        };
        match self.admit(&directory, &line, &number) {
            Ok((agent, permit)) => Verdict::Pass(Box::new(Admitted {
                line,
                agent,
                permit,
                number,
            })),
            Err(refusal) => self.refuse(request, flow, &number, refusal, Some(&line)),
        }
    }

    /// The trunk's state, its number and the limits, in the order in which they are told.
    fn admit(
        &self,
        directory: &Snapshot,
        line: &Line,
        number: &str,
    ) -> Result<(Arc<Agent>, Permit), Refusal> {
        standing(line)?;
        let routed = directory
            .did(&line.workspace.id, number)
            .ok_or_else(|| Refusal::UnknownNumber(number.to_owned()))?;
        // The number may be another trunk's of the same workspace: then that one counts, too.
        standing(routed)?;
        let agent = routed
            .agent
            .clone()
            .ok_or_else(|| Refusal::NoAgent(number.to_owned()))?;
        if self.app.drain.is_draining() {
            return Err(Refusal::Draining);
        }
        let trunk = &line.trunk;
        let permit =
            self.live
                .places
                .take(&line.workspace.id, &trunk.id, trunk.max_concurrent_calls)?;
        Ok((agent, permit))
    }

    /// Which trunk a request comes from.
    fn origin(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
        directory: &Snapshot,
        number: &str,
    ) -> Origin {
        let source = flow.remote.ip();
        let realm = self.app.config.sip.realm();
        let verdict = auth.check(now, request, realm, |user| {
            let line = directory.trunk_by_username(user)?;
            let password = line.password.as_ref()?;
            Some(Secret::password(password.expose()))
        });
        if let auth::Verdict::Accepted { user } = &verdict
            && let Some(line) = directory.trunk_by_username(user)
        {
            return match line.trunk.auth {
                TrunkAuth::Both if !line.trunk.allows(source) => Origin::Refused(
                    Refusal::CredentialsWithoutAddress(source.to_string()),
                    Some(line.clone()),
                ),
                _ => Origin::Known(line.clone()),
            };
        }
        if let Some(line) = directory.trunk_by_source(source, number) {
            return Origin::Known(line.clone());
        }
        match &verdict {
            // One of the two passed, so this is no stranger: it may be told that both must.
            auth::Verdict::BadResponse { user } if listed_by_both(directory, user, source) => {
                Origin::Refused(
                    Refusal::AddressWithoutCredentials,
                    directory.trunk_by_username(user).cloned(),
                )
            }
            auth::Verdict::Missing if directory.is_number_by_address(number) => {
                Origin::Refused(Refusal::AddressNotListed(source.to_string()), None)
            }
            verdict => Origin::Stranger {
                stale: verdict.is_stale(),
                wrong: !verdict.is_stale() && !matches!(verdict, auth::Verdict::Missing),
            },
        }
    }

    fn challenge(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        number: &str,
        stale: bool,
        wrong: bool,
    ) -> Verdict {
        if wrong {
            self.challenged().came_back(request.call_id());
            let refusal = Refusal::WrongCredentials;
            self.note(request, flow, number, &refusal, None);
        } else {
            let call = refused_call(request, number, &Refusal::NoCredentials, None);
            let at_once = self.challenged().challenged(now, call);
            if let Some(call) = at_once {
                self.record(call);
            }
        }
        Verdict::Challenge {
            realm: self.app.config.sip.realm().to_owned(),
            stale,
            reason: String::new(),
        }
    }

    fn refuse(
        &self,
        request: &Request,
        flow: &Flow,
        number: &str,
        refusal: Refusal,
        line: Option<&Line>,
    ) -> Verdict {
        self.note(request, flow, number, &refusal, line);
        let reply = refusal.reply(AGENT);
        // A stranger's repetition is asked anew rather than remembered.
        match refusal.trusted() {
            true => Verdict::Reply(reply),
            false => Verdict::Refuse(reply),
        }
    }

    /// The log line and the record of a refusal.
    fn note(
        &self,
        request: &Request,
        flow: &Flow,
        number: &str,
        refusal: &Refusal,
        line: Option<&Line>,
    ) {
        let call = refused_call(request, number, refusal, line);
        tracing::warn!(
            call_id = request.call_id(),
            source = %flow.remote,
            status = refusal.status().code(),
            trunk = line.map(|line| line.trunk.id.as_str()),
            number,
            reason = call.reason,
            "call refused"
        );
        self.app.ledger.record_refused(call);
    }

    fn record(&self, call: RefusedCall) {
        tracing::warn!(
            call_id = call.sip_call_id,
            status = call.code,
            reason = call.reason,
            "call refused"
        );
        self.app.ledger.record_refused(call);
    }

    fn register(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict {
        let directory = self.app.directory.snapshot();
        let line = match self.origin(now, request, flow, auth, &directory, "") {
            Origin::Known(line) => line,
            Origin::Stranger { stale, wrong } => {
                if wrong {
                    tracing::warn!(
                        call_id = request.call_id(), source = %flow.remote,
                        reason = Refusal::WrongCredentials.reason(), "REGISTER refused"
                    );
                }
                return Verdict::Challenge {
                    realm: self.app.config.sip.realm().to_owned(),
                    stale,
                    reason: String::new(),
                };
            }
            Origin::Refused(refusal, _) => return self.refuse_other(request, flow, &refusal),
        };
        // A suspended or empty trunk stays registered in nobody's list.
        if let Err(refusal) = standing(&line) {
            return self.refuse_other(request, flow, &refusal);
        }
        Verdict::Reply(
            self.registrations
                .register(now, request, flow, &line.trunk.id),
        )
    }

    fn refuse_other(&self, request: &Request, flow: &Flow, refusal: &Refusal) -> Verdict {
        tracing::warn!(
            call_id = request.call_id(), source = %flow.remote, method = %request.method(),
            status = refusal.status().code(), reason = refusal.reason(), "request refused"
        );
        Verdict::Refuse(refusal.reply(AGENT))
    }

    fn challenged(&self) -> std::sync::MutexGuard<'_, Challenged> {
        // Nothing panics while holding it.
        self.challenged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Admission {
    fn admit(
        &self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        auth: &mut Authenticator,
    ) -> Verdict {
        match request.method() {
            Method::Invite => self.invite(now, request, flow, auth),
            Method::Register => self.register(now, request, flow, auth),
            // PBXs ask whether we live; balancers, whether to go on sending calls here.
            Method::Options if self.app.drain.is_draining() => {
                Verdict::Refuse(Refusal::Draining.reply(AGENT))
            }
            Method::Options => {
                Verdict::Reply(Reply::new(Status::OK).header(Name::Accept, "application/sdp"))
            }
            method => {
                tracing::info!(
                    call_id = request.call_id(), source = %flow.remote, %method,
                    "method not allowed outside a dialog"
                );
                Verdict::Refuse(Reply::new(Status::METHOD_NOT_ALLOWED))
            }
        }
    }

    fn refused(&self, event: &Event) {
        let Event::Refused {
            flow,
            status,
            cause,
            method,
            call_id,
            from,
            to,
        } = event
        else {
            return;
        };
        let code = status.map(|status| status.code());
        tracing::warn!(
            call_id, source = %flow.remote, status = code, method, reason = cause,
            "message refused"
        );
        // One with a To tag belongs to a call that has its record already.
        let in_dialog = to.as_deref().is_some_and(|to| to.contains(";tag="));
        if method.as_deref() != Some("INVITE") || in_dialog {
            return;
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = |value: &Option<String>| {
            let parsed = header::From::parse(value.as_deref()?).ok()?;
            user(&parsed)
        };
        self.app.ledger.record_refused(RefusedCall {
            workspace: None,
            trunk: None,
            agent: None,
            agent_name: None,
            at: clock::now(),
            from: number(from).unwrap_or_else(|| text(from)),
            to: number(to).unwrap_or_else(|| text(to)),
            sip_call_id: text(call_id),
            sip_from: text(from),
            sip_to: text(to),
            code,
            reason: cause.clone(),
            trusted: false,
        });
    }
}

/// Whether calls of this trunk are taken at all.
fn standing(line: &Line) -> Result<(), Refusal> {
    if line.trunk.suspended {
        return Err(Refusal::Suspended);
    }
    if line.workspace.read_only {
        return Err(Refusal::ReadOnly);
    }
    if line.workspace.wallet_empty {
        return Err(Refusal::WalletEmpty);
    }
    Ok(())
}

fn listed_by_both(directory: &Snapshot, user: &str, source: IpAddr) -> bool {
    directory
        .trunk_by_username(user)
        .is_some_and(|line| line.trunk.auth == TrunkAuth::Both && line.trunk.allows(source))
}

/// The record of a call that ends before it is one.
pub(super) fn refused_call(
    request: &Request,
    number: &str,
    refusal: &Refusal,
    line: Option<&Line>,
) -> RefusedCall {
    RefusedCall {
        code: Some(refusal.status().code()),
        reason: refusal.reason(),
        trusted: refusal.trusted(),
        ..unanswered(request, number, line)
    }
}

/// What is known of a call from its INVITE alone.
pub(super) fn unanswered(request: &Request, number: &str, line: Option<&Line>) -> RefusedCall {
    let agent = line.and_then(|line| line.agent.as_ref());
    RefusedCall {
        at: clock::now(),
        workspace: line.map(|line| line.workspace.id.clone()),
        trunk: line.map(|line| line.trunk.id.clone()),
        agent: agent.map(|agent| agent.id.clone()),
        agent_name: agent.map(|agent| agent.name.clone()),
        from: number_calling(request),
        to: number.to_owned(),
        sip_call_id: request.call_id().to_owned(),
        sip_from: request.from().to_string(),
        sip_to: request.to().to_string(),
        code: None,
        reason: String::new(),
        trusted: false,
    }
}

/// The caller's number: P-Asserted-Identity (RFC 3325), else From.
pub(super) fn number_calling(request: &Request) -> String {
    let asserted = match request.typed::<PAssertedIdentity>() {
        Some(Ok(identity)) => user(&identity),
        _ => None,
    };
    asserted
        .or_else(|| user(request.from()))
        .unwrap_or_default()
}

/// The number called: the user part of the Request-URI, else of To.
fn number_called(request: &Request) -> String {
    let user_part = request.uri().user().map(|user| user.to_string());
    user_part
        .filter(|user| !user.is_empty())
        .or_else(|| user(request.to()))
        .unwrap_or_default()
}

fn user(address: &NameAddr) -> Option<String> {
    let user = address.uri().user()?.to_string();
    Some(user).filter(|user| !user.is_empty())
}

/// Who speaks in the Warning fields of this server (RFC 3261 20.43).
pub(super) const AGENT: &str = "smartalex";
