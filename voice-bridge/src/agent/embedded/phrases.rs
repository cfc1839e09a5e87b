//! Every sentence the receptionist says of its own accord, in one place.
//! The bundled prompts have a recording of each; a test holds that.

use crate::agent::TransferFailure;
use crate::fallback;

/// Said when the operator configured no first message.
pub const GREETING: &str = "Hello. Thank you for calling.";
/// After the choices, when there are any.
pub const DIAL: &str = "If you know the extension, dial it now.";
pub const MESSAGE_KEY: &str = "To leave a message, press 0.";
pub const REPEAT_KEY: &str = "To hear this again, press star.";
/// After a key that means nothing.
pub const NOT_A_CHOICE: &str = "That is not one of the choices.";
/// After nothing was keyed for as long as we ask.
pub const NO_ANSWER: &str = "I did not get an answer. Goodbye.";
/// Asks for a message. A beep follows.
pub const LEAVE_MESSAGE: &str =
    "Please leave your name, your number and your message. Press hash when you are done.";
pub const MESSAGE_TAKEN: &str = "Thank you. I have taken your message. Goodbye.";
pub const NO_MESSAGE: &str = "I did not hear a message. Goodbye.";
/// Said when time is up and the operator configured no closing message.
pub const CLOSING: &str = "Our time is up. Thank you for calling. Goodbye.";
/// Said when the caller has had as many transfers tried as we try.
pub const NO_MORE_TRANSFERS: &str = "I wasn't able to connect you.";

/// One line of the menu.
pub fn choice(name: &str, key: usize) -> String {
    format!("For {name}, press {key}.")
}

/// While a transfer is started.
pub fn connecting(name: &str) -> String {
    format!("Connecting you to {name}.")
}

/// What is said when a transfer to `name` failed: a different sentence for each cause.
pub fn failed(failure: TransferFailure, name: &str) -> String {
    let cause = match failure {
        TransferFailure::Busy => format!("{name} is on another call."),
        TransferFailure::AllBusy => "All our lines are busy right now.".to_owned(),
        TransferFailure::Offline => format!("The phone of {name} is not connected right now."),
        TransferFailure::Declined => format!("{name} can't take your call right now."),
        TransferFailure::NotFound => format!("I can't find {name} on our phone system."),
        TransferFailure::Rejected => {
            format!("Our phone system did not let me connect you to {name}.")
        }
        TransferFailure::Unreachable => return fallback::SENTENCE.to_owned(),
        TransferFailure::NoAnswer | TransferFailure::Unknown => {
            format!("I wasn't able to connect you to {name}.")
        }
    };
    format!("{cause} Can I take a message instead?")
}
