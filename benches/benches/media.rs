//! The paths that every 20 ms of every call takes: coding, concealing, a tick of a session.
//! A shard of n calls spends n ticks, n packets in and n packets out each 20 ms.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use rtp_media::codec::Codec;
use rtp_media::conceal::Concealer;
use rtp_media::packet::RtpPacket;
use rtp_media::resample::Resampler;
use rtp_media::session::{Agreed, Session, SessionConfig};

fn voice(count: usize) -> Vec<i16> {
    let pitch = std::f32::consts::TAU * 130.0 / 8000.0;
    (0..count)
        .map(|n| {
            (1..6)
                .map(|k| (n as f32 * pitch * k as f32).sin() * 4000.0 / k as f32)
                .sum::<f32>() as i16
        })
        .collect()
}

fn codecs(c: &mut Criterion) {
    let frame = voice(160);
    for codec in Codec::ALL {
        let mut bytes = Vec::with_capacity(160);
        c.bench_function(&format!("encode 20 ms {codec}"), |b| {
            b.iter(|| {
                bytes.clear();
                codec.encode(black_box(&frame), &mut bytes);
            });
        });
        let mut samples = Vec::with_capacity(160);
        c.bench_function(&format!("decode 20 ms {codec}"), |b| {
            b.iter(|| {
                samples.clear();
                codec.decode(black_box(&bytes), &mut samples);
            });
        });
    }
}

fn conceal(c: &mut Criterion) {
    let mut concealer = Concealer::new(8000);
    for frame in voice(800).chunks_mut(160) {
        concealer.good(frame);
    }
    let mut frame = voice(160);
    c.bench_function("20 ms that arrived", |b| {
        b.iter(|| concealer.good(black_box(&mut frame)))
    });
    c.bench_function("20 ms that are lost", |b| {
        b.iter_batched_ref(
            || concealer.clone(),
            |concealer| concealer.lost(black_box(&mut [0; 160])),
            BatchSize::SmallInput,
        );
    });
}

fn resample(c: &mut Criterion) {
    let frame = voice(480);
    let mut resampler = Resampler::new(24_000, 8000).expect("known rates");
    let mut out = Vec::with_capacity(160);
    c.bench_function("20 ms from 24 to 8 kHz", |b| {
        b.iter(|| {
            out.clear();
            resampler.process(black_box(&frame), &mut out);
        });
    });
}

/// One packet in, one tick with a packet out and a frame heard.
fn session(c: &mut Criterion) {
    let peer = SocketAddr::from(([192, 0, 2, 1], 4000));
    let start = Instant::now();
    let config = SessionConfig::new(Agreed::new(peer, Codec::Pcmu), 1, 0, 0);
    let mut session = Session::new(start, config);
    let mut payload = Vec::new();
    Codec::Pcmu.encode(&voice(160), &mut payload);
    let (mut packet, mut count) = (Vec::new(), 0u32);
    c.bench_function("session: packet in, tick, packet out", |b| {
        b.iter(|| {
            let now = start + Duration::from_millis(20) * count;
            packet.clear();
            let header = RtpPacket {
                sequence: count as u16,
                timestamp: count.wrapping_mul(160),
                ssrc: 9,
                payload: &payload,
                ..RtpPacket::default()
            };
            header.write(&mut packet).expect("a valid header");
            count += 1;
            session.receive(now, peer, &packet);
            session.tick(now, &mut |datagram| {
                black_box(datagram.bytes);
            });
            while let Some(event) = session.poll_event() {
                black_box(event);
            }
        });
    });
}

criterion_group!(benches, codecs, conceal, resample, session);
criterion_main!(benches);
