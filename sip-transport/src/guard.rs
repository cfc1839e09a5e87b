//! The source guard: how many messages one address may have parsed per second.
//! It stands before the parser, so a flood costs a table lookup and nothing more.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Limits of the [`Guard`].
///
/// The defaults suit a public address: far above what one busy PBX sends (100 new calls per second
/// with digest are about 600 messages), low enough that one hostile address cannot fill a core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardConfig {
    /// Messages per second that one source may send for ever. Default 5,000; at least 1.
    pub rate: u32,
    /// Messages that one source may send at once after a pause. Default 10,000; at least 1.
    pub burst: u32,
    /// Messages of its budget that a source pays for one that is not SIP or does not parse.
    /// Default 10.
    pub garbage_cost: u32,
    /// Sources remembered at most. When the table is full, those not heard of for longest are
    /// forgotten, and start with a full burst when they come back. Default 65,536.
    pub sources: usize,
    /// Networks without a budget: a load balancer, the customer's PBX. Default none.
    pub exempt: Vec<IpNet>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            rate: 5_000,
            burst: 10_000,
            garbage_cost: 10,
            sources: 65_536,
            exempt: Vec::new(),
        }
    }
}

/// What [`Guard::admit`] says of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Within the budget, which has been charged.
    Admitted,
    /// Over the budget, nothing was charged. A datagram is dropped; a stream is not read for this
    /// long, so that TCP slows its sender down instead of losing a message.
    Over {
        /// Time until one message would be admitted.
        retry_in: Duration,
    },
}

/// Per-source token buckets in a bounded table. Pure: time is an argument.
///
/// An IPv4 source is its address; an IPv6 source is its /64, since one host owns all of that.
#[derive(Debug)]
pub struct Guard {
    /// Time that one message costs.
    interval: Duration,
    /// Budget of a rested source, as time.
    window: Duration,
    garbage_cost: u32,
    /// Sources per generation; two generations make the table.
    generation: usize,
    exempt: Exempt,
    /// The generic cell rate algorithm: for each source the time at which its budget would be
    /// whole again. One `Instant` per source, no refill to compute.
    recent: HashMap<IpAddr, Instant>,
    /// The generation before: read, moved to `recent` on use, forgotten whole when `recent` fills.
    older: HashMap<IpAddr, Instant>,
}

impl Guard {
    /// A guard with an empty table.
    pub fn new(config: &GuardConfig) -> Self {
        let interval = Duration::from_secs(1) / config.rate.max(1);
        Self {
            interval,
            window: interval.saturating_mul(config.burst.max(1)),
            garbage_cost: config.garbage_cost,
            generation: (config.sources / 2).max(1),
            exempt: Exempt::new(&config.exempt),
            recent: HashMap::new(),
            older: HashMap::new(),
        }
    }

    /// May `source` have one message parsed at `now`?
    pub fn admit(&mut self, now: Instant, source: IpAddr) -> Admission {
        if self.exempt.contains(source) {
            return Admission::Admitted;
        }
        let (interval, window) = (self.interval, self.window);
        let whole_at = self.entry(now, source);
        let after = (*whole_at).max(now) + interval;
        let debt = after.saturating_duration_since(now);
        if debt > window {
            return Admission::Over {
                retry_in: debt - window,
            };
        }
        *whole_at = after;
        Admission::Admitted
    }

    /// Charges `source` for a message that was admitted and turned out not to be SIP.
    ///
    /// The debt is capped at one more window, so that a source that stops is heard again soon.
    pub fn charge_garbage(&mut self, now: Instant, source: IpAddr) {
        if self.exempt.contains(source) {
            return;
        }
        let cost = self.interval.saturating_mul(self.garbage_cost);
        let limit = self.window.saturating_mul(2);
        let whole_at = self.entry(now, source);
        let debt = whole_at.saturating_duration_since(now) + cost;
        *whole_at = now + debt.min(limit);
    }

    /// Replaces the list of networks without a budget.
    pub fn set_exempt(&mut self, networks: &[IpNet]) {
        self.exempt = Exempt::new(networks);
    }

    /// Sources in the table, never more than [`GuardConfig::sources`].
    pub fn sources(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    fn entry(&mut self, now: Instant, source: IpAddr) -> &mut Instant {
        let key = bucket_of(source);
        if self.recent.len() >= self.generation && !self.recent.contains_key(&key) {
            // Full: what has not been heard of since the last turn is forgotten in one go.
            self.older = std::mem::take(&mut self.recent);
        }
        let older = &mut self.older;
        self.recent
            .entry(key)
            .or_insert_with(|| older.remove(&key).unwrap_or(now))
    }
}

/// A [`Guard`] shared between the driver, its connections and whoever tends the exempt list.
///
/// Locked for one table lookup at a time, never across an await.
#[derive(Debug, Clone)]
pub struct SharedGuard(Arc<Mutex<Guard>>);

impl SharedGuard {
    pub(crate) fn new(config: &GuardConfig) -> Self {
        Self(Arc::new(Mutex::new(Guard::new(config))))
    }

    /// See [`Guard::set_exempt`]. Takes effect with the next message.
    pub fn set_exempt(&self, networks: &[IpNet]) {
        self.with(|guard| guard.set_exempt(networks));
    }

    /// See [`Guard::sources`].
    pub fn sources(&self) -> usize {
        self.with(|guard| guard.sources())
    }

    pub(crate) fn admit(&self, now: Instant, source: IpAddr) -> Admission {
        self.with(|guard| guard.admit(now, source))
    }

    pub(crate) fn charge_garbage(&self, now: Instant, source: IpAddr) {
        self.with(|guard| guard.charge_garbage(now, source));
    }

    fn with<R>(&self, f: impl FnOnce(&mut Guard) -> R) -> R {
        // A panic elsewhere leaves at worst one budget stale: keep guarding.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Merged networks as sorted address ranges: one binary search per message, however many trunks.
#[derive(Debug, Default)]
struct Exempt {
    v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl Exempt {
    fn new(networks: &[IpNet]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push(*net),
                IpNet::V6(net) => v6.push(*net),
            }
        }
        let range = |net: &Ipv4Net| (net.network(), net.broadcast());
        let mut v4: Vec<_> = Ipv4Net::aggregate(&v4).iter().map(range).collect();
        let range = |net: &Ipv6Net| (net.network(), net.broadcast());
        let mut v6: Vec<_> = Ipv6Net::aggregate(&v6).iter().map(range).collect();
        v4.sort_unstable();
        v6.sort_unstable();
        Self { v4, v6 }
    }

    fn contains(&self, source: IpAddr) -> bool {
        match source.to_canonical() {
            IpAddr::V4(ip) => within(&self.v4, ip),
            IpAddr::V6(ip) => within(&self.v6, ip),
        }
    }
}

/// Is `ip` inside one of the sorted, disjoint ranges?
fn within<T: Ord + Copy>(ranges: &[(T, T)], ip: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= ip);
    after
        .checked_sub(1)
        .and_then(|at| ranges.get(at))
        .is_some_and(|(_, last)| ip <= *last)
}

/// The address that stands for a source in the table, and in per-source connection counts.
pub(crate) fn bucket_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (!0 << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rested_source_may_send_its_burst_and_then_its_rate() {
        let (mut guard, start) = (guard(10, 5, 100), Instant::now());
        let source = ip("192.0.2.1");
        assert_eq!(admitted(&mut guard, start, source, 20), 5);
        assert_eq!(
            guard.admit(start, source),
            Admission::Over {
                retry_in: Duration::from_millis(100)
            }
        );
        assert_eq!(
            admitted(&mut guard, start + Duration::from_millis(300), source, 20),
            3
        );
        assert_eq!(
            admitted(&mut guard, start + Duration::from_secs(60), source, 20),
            5,
            "a pause refills no more than the burst"
        );
    }

    #[test]
    fn one_source_does_not_spend_the_budget_of_another() {
        let (mut guard, now) = (guard(10, 5, 100), Instant::now());
        assert_eq!(admitted(&mut guard, now, ip("192.0.2.1"), 20), 5);
        assert_eq!(admitted(&mut guard, now, ip("192.0.2.2"), 20), 5);
    }

    #[test]
    fn an_ipv6_source_is_its_64_and_a_mapped_address_is_ipv4() {
        let (mut guard, now) = (guard(10, 5, 100), Instant::now());
        assert_eq!(admitted(&mut guard, now, ip("2001:db8:1:2::1"), 20), 5);
        assert_eq!(admitted(&mut guard, now, ip("2001:db8:1:2:ffff::9"), 20), 0);
        assert_eq!(admitted(&mut guard, now, ip("2001:db8:1:3::1"), 20), 5);
        assert_eq!(admitted(&mut guard, now, ip("192.0.2.1"), 20), 5);
        assert_eq!(admitted(&mut guard, now, ip("::ffff:192.0.2.1"), 20), 0);
    }

    #[test]
    fn the_table_never_grows_beyond_its_bound() {
        let (mut guard, now) = (guard(10, 5, 1_000), Instant::now());
        for n in 0..50_000u32 {
            guard.admit(now, IpAddr::V4(Ipv4Addr::from_bits(n)));
            assert!(guard.sources() <= 1_000);
        }
    }

    #[test]
    fn a_source_that_keeps_sending_is_not_forgotten_when_others_come_and_go() {
        let (mut guard, now) = (guard(10, 5, 1_000), Instant::now());
        let flooder = ip("198.51.100.1");
        assert_eq!(admitted(&mut guard, now, flooder, 20), 5);
        for n in 0..50_000u32 {
            guard.admit(now, IpAddr::V4(Ipv4Addr::from_bits(n)));
            assert_ne!(guard.admit(now, flooder), Admission::Admitted);
        }
    }

    #[test]
    fn garbage_costs_more_and_its_debt_is_bounded() {
        let (mut guard, now) = (guard(10, 20, 100), Instant::now());
        let source = ip("192.0.2.1");
        guard.charge_garbage(now, source);
        assert_eq!(admitted(&mut guard, now, source, 100), 10);
        for _ in 0..1_000 {
            guard.charge_garbage(now, source);
        }
        let Admission::Over { retry_in } = guard.admit(now, source) else {
            panic!("admitted in debt");
        };
        assert!(retry_in <= Duration::from_millis(2_100), "{retry_in:?}");
    }

    #[test]
    fn exempt_networks_have_no_budget() {
        let (mut guard, now) = (guard(10, 5, 100), Instant::now());
        guard.set_exempt(&[
            "192.0.2.0/24".parse().unwrap(),
            "192.0.2.128/25".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ]);
        for exempt in ["192.0.2.0", "192.0.2.255", "2001:db8:ffff::1"] {
            assert_eq!(admitted(&mut guard, now, ip(exempt), 20), 20, "{exempt}");
        }
        for other in ["192.0.1.255", "192.0.3.0", "2001:db9::1"] {
            assert_eq!(admitted(&mut guard, now, ip(other), 20), 5, "{other}");
        }
    }

    fn guard(rate: u32, burst: u32, sources: usize) -> Guard {
        Guard::new(&GuardConfig {
            rate,
            burst,
            sources,
            ..GuardConfig::default()
        })
    }

    fn admitted(guard: &mut Guard, now: Instant, source: IpAddr, attempts: usize) -> usize {
        (0..attempts)
            .filter(|_| guard.admit(now, source) == Admission::Admitted)
            .count()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
