//! The offers and answers of one call, one after the other (RFC 3264 section 8).
//! Keeps what must not change between them: versions, payload types, the number of streams.

use super::answer::{accept_stream, answer, refused};
use super::description::SessionDescription;
use super::direction::Direction;
use super::offer::{LocalMedia, Negotiated, TELEPHONE_EVENT, offered_stream};
use super::refusal::Refusal;

/// What one call has said and agreed about its media so far.
///
/// Lives as long as the call; asked at each INVITE, re-INVITE and UPDATE that carries or wants a
/// description. A refused offer or answer leaves everything as it was, as RFC 3261 14.1 asks.
#[derive(Clone, Debug)]
pub struct Exchange {
    local: LocalMedia,
    /// What we said last, and at which place our audio stream stood in it.
    said: Option<(SessionDescription, usize)>,
    agreed: Option<Negotiated>,
}

impl Exchange {
    /// The start of a call: nothing said, nothing agreed.
    pub fn new(local: LocalMedia) -> Self {
        Self {
            local,
            said: None,
            agreed: None,
        }
    }

    /// What we bring.
    pub fn local(&self) -> &LocalMedia {
        &self.local
    }

    /// What was agreed last, if anything was.
    pub fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_ref()
    }

    /// What we want from now on: `SendOnly` or `Inactive` holds the peer. Takes effect with the
    /// next offer or answer.
    pub fn set_direction(&mut self, direction: Direction) {
        self.local.direction = direction;
    }

    /// An offer of ours: at the start of a call, or later to hold, resume or move it.
    pub fn offer(&mut self) -> SessionDescription {
        //= RFC 3264 8.3.2
        // However, the mapping from a particular dynamic payload type number to a particular codec
        // within that media stream MUST NOT change for the duration of a session.
        let stream = offered_stream(&self.local, self.event());
        //= RFC 3264 8
        // In other words, if the previous SDP had N "m=" lines, the new SDP MUST have at least N
        // "m=" lines.
        let (media, slot, timing) = match &self.said {
            Some((said, slot)) => {
                let mut media: Vec<_> = said.media.iter().map(refused).collect();
                if let Some(place) = media.get_mut(*slot) {
                    *place = stream;
                }
                (media, *slot, said.timing.first().copied())
            }
            None => (vec![stream], 0, None),
        };
        let description = self.local.describe(media, timing.unwrap_or_default());
        self.say(description, slot)
    }

    /// Our answer to an offer of the peer.
    ///
    /// # Errors
    /// As [`answer`]; what was agreed before stays in force.
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
    ) -> Result<(SessionDescription, Negotiated), Refusal> {
        let (description, negotiated) = answer(&self.local, offer)?;
        let slot = description
            .media
            .iter()
            .position(|media| media.port != 0)
            .unwrap_or_default();
        self.agreed = Some(negotiated);
        Ok((self.say(description, slot), negotiated))
    }

    /// The peer's answer to our last offer.
    ///
    /// # Errors
    /// As [`super::accept_answer`]; what was agreed before stays in force.
    pub fn accept_answer(&mut self, answer: &SessionDescription) -> Result<Negotiated, Refusal> {
        let slot = self.said.as_ref().map_or(0, |(_, slot)| *slot);
        let negotiated = accept_stream(&self.local, answer, slot, self.event())?;
        self.agreed = Some(negotiated);
        Ok(negotiated)
    }

    /// The payload type under which we take telephone events.
    fn event(&self) -> u8 {
        self.agreed
            .and_then(|agreed| agreed.telephone_event_in)
            .unwrap_or(TELEPHONE_EVENT)
    }

    /// Gives a description its version and remembers it.
    fn say(&mut self, mut description: SessionDescription, slot: usize) -> SessionDescription {
        if let Some((said, _)) = &self.said {
            //= RFC 3264 8
            // If the version in the origin line does not increment, the SDP MUST be identical to
            // the SDP with that version number.
            description.origin.version = said.origin.version;
            if description != *said {
                self.local.version = said.origin.version.saturating_add(1);
                description.origin.version = self.local.version;
            }
        }
        self.said = Some((description.clone(), slot));
        description
    }
}
