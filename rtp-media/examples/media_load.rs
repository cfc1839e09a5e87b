//! How much of a core a leg takes on this machine: `media_load [CALLS] [SECONDS] [SHARDS]`.
//! Each call is two legs on loopback that speak to each other, one of them as an echo.

#![allow(clippy::print_stdout, reason = "a measurement is there to be read")]

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rtp_media::net::{Frame, Leg, LegEvent, LegEvents, Media, MediaConfig};
use rtp_media::sdp::{Codec, Direction, Negotiated};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let mut next = |default| args.next().unwrap_or(Ok(default));
    let (calls, seconds, shards) = (next(100)?, next(10)?, next(1)?);

    let mut config = MediaConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 20_000..=59_999);
    config.shards = shards;
    let media = Media::start(config)?;
    let mut legs = Vec::new();
    for _ in 0..calls {
        let (caller, echo) = (media.open(None)?, media.open(None)?);
        caller.0.start(toward(echo.0.local()));
        echo.0.start(toward(caller.0.local()));
        let tone = (0..8_000 * (seconds + 1)).map(|i| (i % 40) as i16 * 500 - 10_000);
        caller.0.say(Frame::new(tone.collect(), 8_000))?;
        legs.push((caller, echo));
    }

    let (cpu, start) = (cpu_time()?, Instant::now());
    while start.elapsed() < Duration::from_secs(seconds as u64) {
        legs.iter_mut().for_each(serve);
        std::thread::sleep(Duration::from_millis(10));
    }
    let (cpu, wall) = (cpu_time()? - cpu, start.elapsed());

    let (mut packets, mut lost, mut late, mut dropped) = (0, 0, 0, 0);
    for (caller, echo) in &legs {
        for stats in [caller.0.stats(), echo.0.stats()] {
            packets += stats.packets_in + stats.packets_out;
            lost += stats.lost;
            late += stats.late;
            dropped += stats.dropped_frames;
        }
    }
    let share = cpu.as_secs_f64() / wall.as_secs_f64() / (2 * calls) as f64;
    println!(
        "{} legs, {shards} shard(s), {:.1} s",
        2 * calls,
        wall.as_secs_f64()
    );
    println!("packets in and out {packets}, lost {lost}, late {late}, frames dropped {dropped}");
    println!("{:.3} % of a core per leg", share * 100.0);
    println!(
        "{:.2} µs per packet",
        cpu.as_secs_f64() * 1e6 / packets as f64
    );
    Ok(())
}

type Side = (Leg, LegEvents);

/// Echoes on one side, throws away on the other.
fn serve((caller, echo): &mut (Side, Side)) {
    while let Some(event) = echo.1.try_recv() {
        if let LegEvent::Heard(frame) = event {
            // A full queue cannot be: what comes in goes out at the same pace.
            let _ = echo.0.say(frame);
        }
    }
    while caller.1.try_recv().is_some() {}
}

fn toward(remote: SocketAddr) -> Negotiated {
    Negotiated {
        remote,
        remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
        codec: Codec::Pcmu,
        payload_type: 0,
        telephone_event: None,
        telephone_event_in: None,
        direction: Direction::SendRecv,
        ptime_ms: 20,
        rtcp_mux: false,
    }
}

/// User and system time of this process, from the 14th and 15th field of `/proc/self/stat`, in
/// hundredths of a second.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no process name")?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut next = || {
        fields
            .next()
            .ok_or("too few fields")?
            .parse::<u64>()
            .map_err(Box::<dyn Error>::from)
    };
    Ok(Duration::from_millis((next()? + next()?) * 10))
}
