//! Any text as a URI: what parses writes itself back, equals itself, and survives being changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip_core::Uri;

fuzz_target!(|text: &str| {
    if let Ok(uri) = text.parse::<Uri>() {
        assert_eq!(uri.to_string(), text);
        assert_eq!(uri, uri.detached());
        _ = (
            uri.user(),
            uri.password(),
            uri.ip(),
            uri.transport(),
            uri.address_of_record(),
        );
        _ = (
            uri.headers().count(),
            uri.with_param("x", Some("y")),
            uri.with_header("x", "y"),
        );
        assert!(!uri.without_headers().has_headers());
    }
});
