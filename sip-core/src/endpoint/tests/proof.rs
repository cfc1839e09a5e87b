//! The proof: thousands of calls over a network that loses 20 %, duplicates and reorders.
//! Whatever happens, nothing is left over and the wire obeys the RFC.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::*;
use crate::name::Name;
use crate::testing::{Link, Random};

/// What the two applications have decided to do.
#[derive(Clone, Debug)]
enum Deed {
    Call,
    Ring(ServerTx),
    Answer(ServerTx, Status),
    Cancel(ClientTx),
    HangUp(DialogId),
    Refer(DialogId),
    Notify(DialogId, &'static str),
    Info(DialogId),
    Reinvite(DialogId),
}

/// Two nodes with applications that decide by a seed.
struct World {
    pair: Pair,
    minds: Minds,
}

/// The applications: what they will do, and what they have seen.
struct Minds {
    random: Random,
    plan: BTreeMap<(Instant, u64), (Side, Deed)>,
    serial: u64,
    open_requests: BTreeSet<(Side, ClientTx)>,
    open_dialogs: BTreeSet<(Side, DialogId)>,
    invites: BTreeSet<(Side, ClientTx)>,
    transferring: BTreeSet<(Side, DialogId)>,
    seen: BTreeMap<String, usize>,
}

impl World {
    fn new(seed: u64, link: Link) -> Self {
        let mut world = Self {
            pair: Pair::new(seed).link(link),
            minds: Minds {
                random: Random::new(seed ^ 0x5eed),
                plan: BTreeMap::new(),
                serial: 0,
                open_requests: BTreeSet::new(),
                open_dialogs: BTreeSet::new(),
                invites: BTreeSet::new(),
                transferring: BTreeSet::new(),
                seen: BTreeMap::new(),
            },
        };
        let calls = 1 + world.minds.random.below(2);
        for _ in 0..calls {
            let side = if world.minds.random.chance(0.5) {
                Side::A
            } else {
                Side::B
            };
            world.minds.will(world.pair.now, 500, side, Deed::Call);
        }
        world
    }

    fn run(mut self) -> Self {
        for _ in 0..100_000 {
            let Self { pair, minds } = &mut self;
            pair.flush_with(&mut |side, endpoint, now, event| {
                minds.think(side, endpoint, now, event);
            });
            let next = pair.next();
            let planned = minds.plan.first_key_value().map(|((at, _), _)| *at);
            match (next, planned) {
                (None, None) => return self,
                (next, Some(at)) if next.is_none_or(|next| at <= next) => {
                    pair.now = pair.now.max(at);
                    if let Some((_, (side, deed))) = minds.plan.pop_first() {
                        minds.act(side, pair, deed);
                    }
                }
                _ => {
                    pair.step_with(&mut |side, endpoint, now, event| {
                        minds.think(side, endpoint, now, event);
                    });
                }
            }
        }
        panic!("the simulation does not settle");
    }

    fn assert_conserved(&self, seed: u64) {
        let Minds {
            open_requests,
            open_dialogs,
            ..
        } = &self.minds;
        let counts = [self.pair.a.endpoint.counts(), self.pair.b.endpoint.counts()];
        assert!(
            counts.iter().all(|counts| counts.is_zero()),
            "seed {seed}: left {counts:?}"
        );
        assert!(
            open_requests.is_empty(),
            "seed {seed}: without last event {open_requests:?}"
        );
        assert!(
            open_dialogs.is_empty(),
            "seed {seed}: without Ended {open_dialogs:?}"
        );
        let broken = self.pair.rules.broken();
        assert!(broken.is_empty(), "seed {seed}: {broken:#?}");
    }
}

impl Minds {
    /// Plans a deed within `most` milliseconds.
    fn will(&mut self, now: Instant, most: u64, side: Side, deed: Deed) {
        let at = now + ms(self.random.below(most + 1));
        self.serial += 1;
        self.plan.insert((at, self.serial), (side, deed));
    }

    fn see(&mut self, what: &str) {
        *self.seen.entry(what.to_owned()).or_default() += 1;
    }

    fn act(&mut self, side: Side, pair: &mut Pair, deed: Deed) {
        let now = pair.now;
        let endpoint = &mut pair.node(side).endpoint;
        match deed {
            Deed::Call => {
                let request = outgoing(Method::Invite, side).body(Body::sdp("v=0\r\n"));
                let tx = endpoint.request(now, request).unwrap();
                self.open_requests.insert((side, tx));
                self.invites.insert((side, tx));
                if self.random.chance(0.2) {
                    self.will(now, 4_000, side, Deed::Cancel(tx));
                }
            }
            Deed::Ring(tx) => {
                if let Ok(Some(dialog)) = endpoint.respond(now, tx, Reply::new(Status::RINGING)) {
                    self.open_dialogs.insert((side, dialog));
                }
            }
            Deed::Answer(tx, status) => {
                if let Ok(Some(dialog)) = endpoint.respond(now, tx, Reply::new(status))
                    && status.is_success()
                {
                    self.open_dialogs.insert((side, dialog));
                }
            }
            // Whatever these find over is not to be done any more.
            Deed::Cancel(tx) => drop(endpoint.cancel(now, tx)),
            Deed::HangUp(dialog) => {
                if let Ok(Some(tx)) = endpoint.hang_up(now, dialog, Vec::new()) {
                    self.open_requests.insert((side, tx));
                }
            }
            Deed::Refer(dialog) => {
                let to = vec![(Name::ReferTo, "<sip:101@192.0.2.2>".to_owned())];
                if let Ok(tx) = endpoint.in_dialog(now, dialog, Method::Refer, to, None) {
                    self.open_requests.insert((side, tx));
                    self.transferring.insert((side, dialog));
                }
                // Some wait for the outcome, some do not.
                self.will(now, 6_000, side, Deed::HangUp(dialog));
            }
            Deed::Notify(dialog, state) => {
                let headers = vec![
                    (Name::Event, "refer".to_owned()),
                    (Name::SubscriptionState, state.to_owned()),
                ];
                let body = Some(Body::new("message/sipfrag", "SIP/2.0 200 OK\r\n"));
                if let Ok(tx) = endpoint.in_dialog(now, dialog, Method::Notify, headers, body) {
                    self.open_requests.insert((side, tx));
                }
            }
            Deed::Info(dialog) => {
                let sent = endpoint.in_dialog(now, dialog, Method::Info, Vec::new(), None);
                self.open_requests.extend(sent.ok().map(|tx| (side, tx)));
            }
            Deed::Reinvite(dialog) => {
                let body = Some(Body::sdp("v=0\r\n"));
                let sent = endpoint.in_dialog(now, dialog, Method::Invite, Vec::new(), body);
                self.open_requests.extend(sent.ok().map(|tx| (side, tx)));
            }
        }
    }

    fn think(&mut self, side: Side, endpoint: &mut Endpoint, now: Instant, event: Event) {
        self.see(&word(&event));
        match event {
            Event::Incoming { tx, .. } => {
                if self.random.chance(0.5) {
                    self.will(now, 300, side, Deed::Ring(tx));
                }
                let status = if self.random.chance(0.8) {
                    Status::OK
                } else {
                    Status::BUSY_HERE
                };
                self.will(now, 3_000, side, Deed::Answer(tx, status));
            }
            Event::Confirmed { dialog, .. } => self.talk(now, side, dialog),
            Event::Provisional {
                dialog: Some(dialog),
                ..
            } => {
                self.open_dialogs.insert((side, dialog));
            }
            Event::InDialog {
                tx,
                dialog,
                request,
                ..
            } => {
                let status = match request.method() {
                    Method::Refer => Status::ACCEPTED,
                    _ => Status::OK,
                };
                assert!(endpoint.respond(now, tx, Reply::new(status)).is_ok());
                if *request.method() == Method::Refer {
                    // Two NOTIFYs, perhaps in the same millisecond, as PBXes send them.
                    self.will(now, 0, side, Deed::Notify(dialog, "active;expires=60"));
                    let most = if self.random.chance(0.5) { 0 } else { 3_000 };
                    self.will(
                        now,
                        most,
                        side,
                        Deed::Notify(dialog, "terminated;reason=noresource"),
                    );
                }
            }
            Event::Final {
                tx,
                dialog,
                response,
            } => {
                assert!(
                    self.open_requests.remove(&(side, tx)),
                    "a second last event"
                );
                if self.invites.remove(&(side, tx)) {
                    self.see("invite over");
                    if let Some(dialog) = dialog {
                        assert!(response.status().is_success());
                        self.open_dialogs.insert((side, dialog));
                        self.talk(now, side, dialog);
                    }
                }
            }
            Event::Failed { tx, .. } => {
                assert!(
                    self.open_requests.remove(&(side, tx)),
                    "a second last event"
                );
                if self.invites.remove(&(side, tx)) {
                    self.see("invite over");
                }
            }
            Event::Ended { dialog, .. } => {
                assert!(
                    self.open_dialogs.remove(&(side, dialog)),
                    "Ended for {dialog:?} twice"
                );
            }
            Event::Cancelled { .. } | Event::Provisional { .. } | Event::Refused { .. } => {}
        }
    }

    // A call stands: say something, perhaps transfer, and hang up.
    fn talk(&mut self, now: Instant, side: Side, dialog: DialogId) {
        match self.random.below(5) {
            0 => self.will(now, 2_000, side, Deed::Refer(dialog)),
            1 => self.will(now, 1_000, side, Deed::Info(dialog)),
            2 => self.will(now, 1_000, side, Deed::Reinvite(dialog)),
            _ => {}
        }
        if !self.transferring.contains(&(side, dialog)) {
            self.will(now, 8_000, side, Deed::HangUp(dialog));
        }
    }
}

#[test]
fn calls_complete_over_a_bad_network_for_1000_seeds_with_nothing_left_over() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..1_000 {
        let world = World::new(seed, Link::bad()).run();
        world.assert_conserved(seed);
        for (what, times) in world.minds.seen {
            *seen.entry(what).or_default() += times;
        }
    }
    let times = |what: &str| seen.get(what).copied().unwrap_or_default();
    let over = times("invite over");
    assert!((1_000..=2_000).contains(&over), "{seen:#?}");
    // Every way of ending a call has been gone, and hardly one by timing out.
    for what in [
        "confirmed",
        "cancelled",
        "final 486",
        "ended localbye",
        "ended remote bye",
        "in-dialog REFER",
        "in-dialog NOTIFY",
        "in-dialog INVITE",
        "failed cancelled",
    ] {
        assert!(times(what) > 10, "{what}: {}\n{seen:#?}", times(what));
    }
    assert!(times("failed timed out") * 20 < over, "{seen:#?}");
    assert!(times("ended noack") * 50 < over, "{seen:#?}");
}

#[test]
fn over_a_good_network_no_request_ever_times_out() {
    for seed in 0..200 {
        let world = World::new(seed, Link::lan()).run();
        world.assert_conserved(seed);
        let lost = world
            .minds
            .seen
            .keys()
            .find(|what| what.contains("timed out"));
        assert_eq!(lost, None, "seed {seed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_the_same_times() {
    let run = |seed| {
        let sent = World::new(seed, Link::bad()).run().pair.sent;
        sent.into_iter()
            .map(|sent| (sent.at, sent.from, sent.bytes))
            .collect::<Vec<_>>()
    };
    for seed in 0..20 {
        assert!(run(seed) == run(seed), "seed {seed}");
    }
    assert!(run(1) != run(2));
}
