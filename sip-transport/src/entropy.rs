//! Randomness for an endpoint from the operating system.
//! `sip-core` has none of its own: branches, tags, Call-IDs and nonces are made from this.

use sip_core::endpoint::Entropy;

/// The operating system's random source (`getrandom`).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        if let Err(error) = getrandom::fill(out) {
            // Linux has had getrandom(2) since 3.17: without it no tag or nonce could be trusted,
            // and going on with guessable ones would be worse than stopping here.
            #[allow(
                clippy::panic,
                reason = "no safe way to continue, not reachable by input"
            )]
            {
                panic!("the operating system gives no random bytes: {error}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ() {
        let (mut one, mut two) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut one);
        SystemEntropy.fill(&mut two);
        assert_ne!(one, two);
        assert_ne!(one, [0; 32]);
    }
}
