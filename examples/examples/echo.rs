//! Answers every call and lets the caller hear themselves: the smallest phone there is.
//! Run it with `cargo run -p examples --example echo`, then call `sip:echo@HOST:5060`.

use voice_bridge::{CallError, Codecs, Phone};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "0.0.0.0:5060".to_owned());
    let mut phone = Phone::builder().udp(address).start().await?;
    while let Some(ringing) = phone.accept().await {
        tokio::spawn(async move {
            let mut call = ringing.answer(Codecs::telephony()).await?;
            while let Some(frame) = call.hear().await {
                call.say(frame)?;
            }
            call.hang_up().await?;
            Ok::<(), CallError>(())
        });
    }
    Ok(())
}
