//! A receptionist who speaks, understands keys and transfers: an agent on every call.
//! `cargo run -p examples --example receptionist -- 0.0.0.0:5060 pbx.example.com 101=Sales`

#![allow(clippy::print_stdout, reason = "an example talks to its console")]
use std::sync::Arc;

use voice_bridge::agent::{CallInfo, Directory, EmbeddedConfig, ExtensionEntry, embedded};
use voice_bridge::call::{CallObserver, Conversation, TransferRules};
use voice_bridge::speech::Voice;
use voice_bridge::transcript::Speaker;
use voice_bridge::{Codecs, Phone, Ringing};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let listen = args.next().unwrap_or_else(|| "0.0.0.0:5060".to_owned());
    let rules = TransferRules {
        domain: args.next(),
        ..TransferRules::default()
    };
    let extensions: Directory = args
        .filter_map(|arg| {
            let (number, name) = arg.split_once('=')?;
            Some(ExtensionEntry::new(number, name))
        })
        .collect();
    let (extensions, voice) = (Arc::new(extensions), Voice::automatic());

    let mut phone = Phone::builder().udp(listen).start().await?;
    while let Some(ringing) = phone.accept().await {
        let mut info = CallInfo::new(
            ringing.call_id(),
            ringing.from_number(),
            ringing.to_number(),
        );
        info.extensions = Arc::clone(&extensions);
        let agent = embedded(EmbeddedConfig::new(voice.clone(), None));
        let conversation = Conversation::new(agent, info)
            .transfers(rules.clone())
            .fallback(voice.clone())
            .observer(Arc::new(Console));
        tokio::spawn(serve(ringing, conversation));
    }
    Ok(())
}

async fn serve(ringing: Ringing, mut conversation: Conversation) {
    // The caller hears ringing while the agent gets ready.
    let Ok(ringing) = ringing.ring().await else {
        return;
    };
    if let Err(error) = conversation.prepare().await {
        conversation.fall_back(&error).await;
    }
    match ringing.answer(Codecs::telephony()).await {
        Ok(call) => {
            let report = call.run(conversation).await;
            let transferred = report.transferred();
            let seconds = report.talked.as_secs();
            println!(
                "{} after {seconds} s, transferred: {transferred}",
                report.cause
            );
        }
        Err(error) => println!("not answered: {error}"),
    }
}

/// Prints what is said.
struct Console;

impl CallObserver for Console {
    fn transcript(&self, speaker: Speaker, text: &str) {
        println!("{}: {text}", speaker.label());
    }
}
