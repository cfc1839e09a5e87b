//! Any datagram: parsing never panics, every typed field can be asked for, and what is refused
//! can be answered.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_core::header::{Allow, Authorization, Contact, RecordRoute, Route, Via};
use sip_core::{Limits, Message, ResponseBuilder, Status};

fuzz_target!(|data: &[u8]| {
    match Message::parse(Bytes::copy_from_slice(data), &Limits::default()) {
        Ok(message) => {
            _ = (
                message.all::<Via>(),
                message.all::<Route>(),
                message.all::<RecordRoute>(),
            );
            _ = (
                message.all::<Contact>(),
                message.all::<Allow>(),
                message.all::<Authorization>(),
            );
            for line in message.headers() {
                _ = (line.name(), line.value());
            }
            if let Message::Request(request) = message {
                let source = ([192, 0, 2, 1], 5060).into();
                let reply = ResponseBuilder::to(&request, Status::OK)
                    .source(source)
                    .finish();
                Message::parse(reply, &Limits::default())
                    .expect("a reply to a valid request is valid");
            }
        }
        Err(error) => _ = (error.to_string(), error.reply("fuzz"), error.call_id()),
    }
});
