//! Adaptive jitter buffer.

use std::time::Duration;

/// Bounds of the jitter buffer's delay.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct JitterConfig {
    /// Least delay, 20 ms.
    pub min: Duration,
    /// Most delay, 200 ms.
    pub max: Duration,
}

impl Default for JitterConfig {
    fn default() -> JitterConfig {
        JitterConfig { min: Duration::from_millis(20), max: Duration::from_millis(200) }
    }
}
