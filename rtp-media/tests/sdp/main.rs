//! Session descriptions from the outside: what peers send, what is answered, what is refused.
//! The offers are our own, in the manner of the phone systems they are named after.

#[cfg(test)]
mod bargain;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
