//! SIP as a pure function of time and bytes: messages, transactions, dialogs, digest.
//! No socket, no task, no clock and no random source of its own: they come in as arguments.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod error;
pub mod header;
pub mod message;
pub mod method;
pub mod name;
pub mod registrar;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timer;
pub mod transaction;
pub mod uri;

pub use endpoint::{Config, Endpoint, Entropy, Event, Input, Output};
pub use message::{
    Limits, Message, ParseError, Request, RequestBuilder, Response, ResponseBuilder,
};
pub use method::Method;
pub use name::Name;
pub use status::Status;
pub use uri::Uri;
