//! RTCP (RFC 3550 section 6): sender and receiver reports, source descriptions, goodbyes.
//! A datagram is a compound of packets, read one by one; kinds that are not known are skipped.

use thiserror::Error;

/// One packet of a compound. Lists are read when they are iterated.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RtcpPacket<'a> {
    /// SR, type 200.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// What the sender sent.
        info: SenderInfo,
        /// What it received.
        reports: Reports<'a>,
    },
    /// RR, type 201.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// What it received.
        reports: Reports<'a>,
    },
    /// SDES, type 202.
    SourceDescription(Chunks<'a>),
    /// BYE, type 203.
    Goodbye {
        /// Who leaves.
        sources: Sources<'a>,
        /// Why, if told; UTF-8 by the standard, not checked.
        reason: Option<&'a [u8]>,
    },
    /// Any other type (APP, feedback, extended reports).
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

/// The sender's part of an SR (RFC 3550 section 6.4.1).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// When this was sent, in NTP's 64 bits: seconds, and their fraction. The reference may be
    /// any clock of the sender.
    pub ntp: u64,
    /// The same instant in units of the RTP timestamp.
    pub rtp: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What a receiver tells about one source (RFC 3550 section 6.4.1).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct ReportBlock {
    /// The source that this is about.
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost in all; 24 bits with sign, negative when duplicates came.
    pub lost: i32,
    /// Highest sequence number received, extended by its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter, in units of the RTP timestamp.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last SR received; 0 if none.
    pub last_sr: u32,
    /// Delay since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

/// Why bytes are not RTCP.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A packet is shorter than its header or its counts say.
    #[error("rtcp {0} cut short")]
    Truncated(&'static str),
    /// Not version 2.
    #[error("rtcp version {0} instead of 2")]
    Version(u8),
    /// The padding count is 0, no multiple of four, or exceeds the packet.
    #[error("rtcp padding of {0} bytes does not fit")]
    Padding(u8),
}

/// The packets of one datagram, in order. After an error nothing more comes.
#[derive(Copy, Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Starts reading a datagram. At most one packet per four bytes comes out.
    pub fn new(datagram: &'a [u8]) -> Compound<'a> {
        Compound { rest: datagram }
    }

    fn advance(&mut self) -> Result<RtcpPacket<'a>, RtcpError> {
        let (header, rest) = self
            .rest
            .split_first_chunk::<4>()
            .ok_or(RtcpError::Truncated("header"))?;
        let [first, packet_type, l0, l1] = *header;
        if first >> 6 != 2 {
            return Err(RtcpError::Version(first >> 6));
        }
        let length = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let (body, rest) = rest
            .split_at_checked(length)
            .ok_or(RtcpError::Truncated("packet"))?;
        let body = if first & 0x20 == 0 {
            body
        } else {
            unpad(body)?
        };
        self.rest = rest;
        RtcpPacket::parse(usize::from(first & 0x1f), packet_type, body)
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.advance();
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

impl<'a> RtcpPacket<'a> {
    fn parse(count: usize, packet_type: u8, body: &'a [u8]) -> Result<Self, RtcpError> {
        Ok(match packet_type {
            SR => {
                let truncated = RtcpError::Truncated("sender report");
                let (ssrc, body) = body.split_first_chunk::<4>().ok_or(truncated)?;
                let (info, body) = body.split_first_chunk::<20>().ok_or(truncated)?;
                RtcpPacket::SenderReport {
                    ssrc: u32::from_be_bytes(*ssrc),
                    info: SenderInfo::parse(info),
                    reports: Reports::parse(count, body).ok_or(truncated)?,
                }
            }
            RR => {
                let truncated = RtcpError::Truncated("receiver report");
                let (ssrc, body) = body.split_first_chunk::<4>().ok_or(truncated)?;
                RtcpPacket::ReceiverReport {
                    ssrc: u32::from_be_bytes(*ssrc),
                    reports: Reports::parse(count, body).ok_or(truncated)?,
                }
            }
            SDES => RtcpPacket::SourceDescription(Chunks {
                left: count,
                rest: body,
            }),
            BYE => {
                let truncated = RtcpError::Truncated("goodbye");
                let (sources, rest) = body.split_at_checked(count * 4).ok_or(truncated)?;
                let reason = match rest.split_first() {
                    Some((&length, text)) => {
                        Some(text.get(..usize::from(length)).ok_or(truncated)?)
                    }
                    None => None,
                };
                RtcpPacket::Goodbye {
                    sources: Sources(sources.as_chunks().0),
                    reason,
                }
            }
            packet_type => RtcpPacket::Other { packet_type },
        })
    }
}

impl SenderInfo {
    fn parse(bytes: &[u8; 20]) -> SenderInfo {
        let [a, b, c, d, e] = words(bytes);
        SenderInfo {
            ntp: u64::from(a) << 32 | u64::from(b),
            rtp: c,
            packets: d,
            octets: e,
        }
    }
}

impl ReportBlock {
    fn parse(bytes: &[u8; 24]) -> ReportBlock {
        let [
            ssrc,
            loss,
            highest_sequence,
            jitter,
            last_sr,
            delay_since_last_sr,
        ] = words(bytes);
        ReportBlock {
            ssrc,
            fraction_lost: (loss >> 24) as u8,
            // The shift to the left drops the fraction, the one back carries the sign along.
            lost: (loss << 8) as i32 >> 8,
            highest_sequence,
            jitter,
            last_sr,
            delay_since_last_sr,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let lost = self.lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
        put(out, self.ssrc);
        put(out, u32::from(self.fraction_lost) << 24 | lost);
        put(out, self.highest_sequence);
        put(out, self.jitter);
        put(out, self.last_sr);
        put(out, self.delay_since_last_sr);
    }
}

/// The report blocks of an SR or RR: 31 at most.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Reports<'a>(&'a [[u8; 24]]);

impl<'a> Reports<'a> {
    fn parse(count: usize, body: &'a [u8]) -> Option<Reports<'a>> {
        // What follows the blocks is a profile's extension and left alone.
        body.as_chunks().0.get(..count).map(Reports)
    }

    /// The blocks in order.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + 'a {
        self.0.iter().map(ReportBlock::parse)
    }
}

/// The sources that leave with a BYE: 31 at most.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Sources<'a>(&'a [[u8; 4]]);

impl<'a> Sources<'a> {
    /// The sources in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + 'a {
        self.0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// The items of an SDES, over all its chunks (RFC 3550 section 6.5): `(source, kind, text)`.
/// Kind 1 is CNAME. Reading stops where the packet is malformed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Chunks<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// The items in order.
    pub fn items(&self) -> impl Iterator<Item = (u32, u8, &'a [u8])> + 'a {
        let Chunks { mut left, mut rest } = *self;
        let mut source = None;
        std::iter::from_fn(move || {
            loop {
                let Some(ssrc) = source else {
                    left = left.checked_sub(1)?;
                    let (ssrc, tail) = rest.split_first_chunk::<4>()?;
                    source = Some(u32::from_be_bytes(*ssrc));
                    rest = tail;
                    continue;
                };
                let (&kind, tail) = rest.split_first()?;
                if kind == 0 {
                    // The list ends with nulls up to the next 32-bit boundary; chunks start on
                    // one, and so does the packet's end.
                    rest = rest.get(
                        if rest.len() % 4 == 0 {
                            4
                        } else {
                            rest.len() % 4
                        }..,
                    )?;
                    source = None;
                    continue;
                }
                let (&length, tail) = tail.split_first()?;
                let (text, tail) = tail.split_at_checked(usize::from(length))?;
                rest = tail;
                return Some((ssrc, kind, text));
            }
        })
    }
}

/// Appends an SR, or an RR when there is no `info`. The 32nd block and further are left out.
pub fn write_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    info: Option<SenderInfo>,
    blocks: &[ReportBlock],
) {
    let blocks = blocks.get(..31).unwrap_or(blocks);
    let words = 1 + if info.is_some() { 5 } else { 0 } + 6 * blocks.len();
    let packet_type = if info.is_some() { SR } else { RR };
    out.extend_from_slice(&[0x80 | blocks.len() as u8, packet_type, 0, words as u8]);
    put(out, ssrc);
    if let Some(info) = info {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        put(out, info.rtp);
        put(out, info.packets);
        put(out, info.octets);
    }
    for block in blocks {
        block.write(out);
    }
}

/// Appends an SDES with the canonical name, cut to 255 bytes.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let cname = cname.as_bytes();
    let cname = cname.get(..255).unwrap_or(cname);
    // Source, item header and text, then one to four nulls up to the boundary.
    let words = (4 + 2 + cname.len()) / 4 + 1;
    out.extend_from_slice(&[0x81, SDES, 0, words as u8]);
    put(out, ssrc);
    out.extend_from_slice(&[CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(out.len() + words * 4 - (6 + cname.len()), 0);
}

/// Appends a BYE of one source.
pub fn write_goodbye(out: &mut Vec<u8>, ssrc: u32) {
    out.extend_from_slice(&[0x81, BYE, 0, 1]);
    put(out, ssrc);
}

/// The middle 32 bits of an NTP timestamp: units of 1/65536 s (RFC 3550 section 4).
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_be_bytes());
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut out = [0; N];
    for (word, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    out
}

fn unpad(body: &[u8]) -> Result<&[u8], RtcpError> {
    let count = *body.last().ok_or(RtcpError::Padding(0))?;
    let length = body.len().checked_sub(usize::from(count));
    match length.and_then(|length| body.get(..length)) {
        Some(body) if count > 0 && count % 4 == 0 => Ok(body),
        _ => Err(RtcpError::Padding(count)),
    }
}

/// The SDES item kind of a canonical name.
pub const CNAME: u8 = 1;
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;

#[cfg(test)]
mod tests;
