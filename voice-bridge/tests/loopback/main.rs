//! Two phones on the loopback interface, with real signalling and real audio.
//! Each test starts its own phones on ports of their own.

mod admission;
mod audio;
mod conversations;
mod dialling;
mod registering;
mod stage;
mod transfers;
