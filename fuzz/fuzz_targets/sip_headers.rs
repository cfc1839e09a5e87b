//! Any text as the value of each typed field: what parses writes itself in a way that parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::header::*;

fn both<H: Header + std::fmt::Display>(text: &str) {
    if let Ok(value) = H::parse(text) {
        let written = value.to_string();
        if let Err(e) = H::parse(&written) {
            panic!("{text:?} became {written:?}: {e}");
        }
    }
}

fuzz_target!(|data: (u8, &str)| {
    let fields: [fn(&str); 30] = [
        both::<Via>,
        both::<From>,
        both::<Contact>,
        both::<CSeq>,
        both::<CallId>,
        both::<MaxForwards>,
        both::<Expires>,
        both::<ContentType>,
        both::<ContentLength>,
        both::<RetryAfter>,
        both::<Warning>,
        both::<Reason>,
        both::<Event>,
        both::<SubscriptionState>,
        both::<Replaces>,
        both::<ReferSub>,
        both::<ReferTo>,
        both::<Allow>,
        both::<Supported>,
        both::<Accept>,
        both::<Privacy>,
        both::<Date>,
        both::<SessionExpires>,
        both::<MinSe>,
        both::<WwwAuthenticate>,
        both::<Authorization>,
        both::<AuthenticationInfo>,
        both::<UserAgent>,
        both::<Require>,
        both::<RSeq>,
    ];
    fields[usize::from(data.0) % fields.len()](data.1);
});
