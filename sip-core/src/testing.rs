//! The seeded network simulator: endpoints, links with delay, loss, duplication and reordering.
//! Time is a variable here, so thirty-two seconds of timers take microseconds.

mod entropy;
mod link;
mod pair;
mod rules;

use std::sync::LazyLock;
use std::time::Instant;

pub use entropy::{Random, SeededEntropy};
pub use link::Link;
pub use pair::{Application, Node, Pair, Sent, Side};
pub use rules::WireRules;

/// The instant at which simulations begin.
///
/// The one place in this crate that asks the clock, because an `Instant` cannot be had otherwise;
/// what it says is never looked at.
pub fn epoch() -> Instant {
    *EPOCH
}

#[allow(
    clippy::disallowed_methods,
    reason = "simulations need some instant to start from"
)]
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
