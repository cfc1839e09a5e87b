//! Legs over real sockets on loopback, in real time.

#![cfg(feature = "net")]

#[cfg(test)]
mod echo;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod traffic;
