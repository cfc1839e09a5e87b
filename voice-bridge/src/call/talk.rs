//! The session descriptions of one call: what a body says, what was agreed, whether it changed.
//! Pure: text in, text and terms out. The media leg is told by the machine.

use rtp_media::sdp::{
    Direction, Exchange, LocalMedia, Negotiated, Refusal, SdpError, SessionDescription,
};
use sip_core::endpoint::Body;

/// The content type of a session description (RFC 8866 section 8.2.1).
pub(crate) const SDP: &str = "application/sdp";

/// What the body of a message says about media.
#[derive(Clone, Debug)]
pub(crate) enum Description {
    /// No body.
    None,
    /// A description that could be read.
    Sdp(Box<SessionDescription>),
    /// A description that could not.
    Broken(SdpError),
    /// A body of another kind, named by its content type.
    Other(String),
}

impl Description {
    /// Reads a body by its content type. An absent type is taken for SDP, as phones mean it.
    pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Self {
        if body.is_empty() {
            return Description::None;
        }
        if let Some(kind) = content_type {
            let media = kind.split(';').next().unwrap_or_default().trim();
            if !media.eq_ignore_ascii_case(SDP) {
                return Description::Other(media.to_owned());
            }
        }
        match SessionDescription::parse(body) {
            Ok(sdp) => Description::Sdp(Box::new(sdp)),
            Err(error) => Description::Broken(error),
        }
    }
}

/// Why a description could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TalkError {
    /// There is nothing in common.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It cannot be read.
    #[error("{0}")]
    Broken(SdpError),
    /// The body is of another kind.
    #[error("the body is {0}, not a session description")]
    Other(String),
    /// One was due and none came.
    #[error("no session description came")]
    Missing,
    /// Our media leg is not open.
    #[error("no media is open on this side")]
    NotOpen,
}

/// The offer/answer state of one call (RFC 3264).
#[derive(Debug, Default)]
pub(crate) struct Talk {
    exchange: Option<Exchange>,
    /// An offer of ours is out and its answer has not come.
    offered: bool,
}

impl Talk {
    /// Opens the exchange with what our leg has to offer.
    pub(crate) fn open(&mut self, local: LocalMedia) {
        self.exchange = Some(Exchange::new(local));
    }

    /// What the last exchange agreed on.
    pub(crate) fn agreed(&self) -> Option<Negotiated> {
        self.exchange.as_ref()?.agreed().copied()
    }

    /// Whether an offer of ours awaits its answer.
    pub(crate) fn offered(&self) -> bool {
        self.offered
    }

    /// Answers an offer: the body to send, and the terms when they differ from the old ones.
    pub(crate) fn answer(
        &mut self,
        offer: &SessionDescription,
    ) -> Result<(Body, Option<Negotiated>), TalkError> {
        let before = self.agreed();
        let exchange = self.exchange.as_mut().ok_or(TalkError::NotOpen)?;
        let (answer, agreed) = exchange.answer(offer)?;
        Ok((
            Body::sdp(answer.to_string()),
            (before != Some(agreed)).then_some(agreed),
        ))
    }

    /// Our own offer.
    pub(crate) fn offer(&mut self) -> Result<Body, TalkError> {
        let exchange = self.exchange.as_mut().ok_or(TalkError::NotOpen)?;
        let offer = exchange.offer();
        self.offered = true;
        Ok(Body::sdp(offer.to_string()))
    }

    /// Takes the answer to our offer: the terms when they differ from the old ones.
    pub(crate) fn answered(
        &mut self,
        description: &Description,
    ) -> Result<Option<Negotiated>, TalkError> {
        let answer = match description {
            Description::Sdp(sdp) => sdp,
            Description::None => return Err(TalkError::Missing),
            Description::Broken(error) => return Err(TalkError::Broken(error.clone())),
            Description::Other(kind) => return Err(TalkError::Other(kind.clone())),
        };
        let before = self.agreed();
        let exchange = self.exchange.as_mut().ok_or(TalkError::NotOpen)?;
        let agreed = exchange.accept_answer(answer)?;
        Ok((before != Some(agreed)).then_some(agreed))
    }

    /// Nothing is out any more: the peer's final word on our offer is in, whatever it was.
    pub(crate) fn settle(&mut self) {
        self.offered = false;
    }

    /// What we want of the stream from the next offer on: `SendOnly` holds the peer.
    pub(crate) fn direct(&mut self, direction: Direction) {
        if let Some(exchange) = self.exchange.as_mut() {
            exchange.set_direction(direction);
        }
    }

    /// What we want of the stream now.
    pub(crate) fn wanted(&self) -> Direction {
        self.exchange
            .as_ref()
            .map_or_else(Direction::default, |exchange| exchange.local().direction)
    }
}
