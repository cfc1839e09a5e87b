//! Runnable examples of each crate, in `examples/`: `cargo run -p examples --example NAME`.
//!
//! | example | crate | shows |
//! |---|---|---|
//! | `in_memory_call` | `sip-core` | a whole call between two endpoints without a socket or a clock |
//! | `ping` | `sip-transport` | is a SIP server there, and how fast? (OPTIONS) |
//! | `answering_server` | `sip-transport` | answers every call and request at the SIP level, for load tests |
//! | `negotiate` | `rtp-media` | an SDP offer, its answer, and a refusal that names its cause |
//! | `transfer_story` | `refer-transfer` | what the transfer machine makes of a PBX's reports |
//! | `echo` | `voice-bridge` | the fifteen lines that answer a real call |
//! | `dial` | `voice-bridge` | calls somebody, with credentials, and plays a tone |
//! | `receptionist` | `voice-bridge` | the embedded agent: a menu by keys, transfers by REFER |
