//! Transfers from the outside: each way that a real PBX, phone or carrier takes a REFER, and every
//! way that none of them has thought of yet.

#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod notices;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod scene;
