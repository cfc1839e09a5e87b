//! The client's side of digest authentication: credentials for a challenge.
//! The strongest algorithm that is offered wins, whatever the order (RFC 8760 2.4).

use super::authenticator::algorithm_of;
use super::digest::{self, Challenged};
use super::secret::Credentials;
use crate::header::{self, Challenge, Qop};
use crate::method::Method;

/// The value of Authorization or Proxy-Authorization that answers `challenges`.
///
/// `cnonce` must be unpredictable; `nc` counts the requests sent with this nonce, from 1. `None`
/// when no challenge can be answered: an unknown algorithm, or only qop `auth-int`.
pub fn answer(
    challenges: &[Challenge],
    credentials: &Credentials,
    method: &Method,
    uri: &str,
    cnonce: &str,
    nc: u32,
) -> Option<header::Credentials> {
    let usable =
        |challenge: &&Challenge| challenge.qop.is_empty() || challenge.qop.contains(&Qop::Auth);
    let (challenge, algorithm) = challenges
        .iter()
        .filter(usable)
        .filter_map(|challenge| Some((challenge, algorithm_of(challenge.algorithm.as_ref())?)))
        // The first of the strongest: `max_by_key` would take the last.
        .rev()
        .max_by_key(|(_, algorithm)| *algorithm)?;
    let user = credentials.username();
    let ha1 = digest::ha1(algorithm, user, &challenge.realm, credentials.password());
    let count = format!("{nc:08x}");
    let with_qop = !challenge.qop.is_empty();
    let over = Challenged {
        nonce: &challenge.nonce,
        method: method.as_str(),
        uri,
        auth: with_qop.then_some((count.as_str(), cnonce)),
    };
    Some(header::Credentials {
        username: user.to_owned(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: uri.to_owned(),
        response: digest::response(algorithm, &ha1, over),
        algorithm: challenge.algorithm.clone(),
        cnonce: with_qop.then(|| cnonce.to_owned()),
        nc: with_qop.then_some(nc),
        qop: with_qop.then_some(Qop::Auth),
        opaque: challenge.opaque.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(algorithm: Option<header::Algorithm>, qop: &[Qop]) -> Challenge {
        let mut challenge = Challenge::new("realm", "nonce", header::Algorithm::Md5);
        challenge.algorithm = algorithm;
        challenge.qop = qop.to_vec();
        challenge.opaque = Some("o".to_owned());
        challenge
    }

    fn answer_to(challenges: &[Challenge]) -> Option<header::Credentials> {
        let credentials = Credentials::new("bob", "zanzibar");
        answer(challenges, &credentials, &Method::Invite, "sip:x", "cn", 1)
    }

    #[test]
    fn the_strongest_algorithm_wins_in_either_order() {
        let md5 = challenge(Some(header::Algorithm::Md5), &[Qop::Auth]);
        let sha = challenge(Some(header::Algorithm::Sha256), &[Qop::Auth]);
        for challenges in [[md5.clone(), sha.clone()], [sha.clone(), md5.clone()]] {
            let answer = answer_to(&challenges).unwrap();
            assert_eq!(answer.algorithm, Some(header::Algorithm::Sha256));
            assert_eq!(answer.response.len(), 64);
        }
    }

    #[test]
    fn a_challenge_without_qop_is_answered_as_rfc_2069_did() {
        let answer = answer_to(&[challenge(None, &[])]).unwrap();
        assert_eq!((answer.qop, answer.nc, answer.cnonce), (None, None, None));
        assert_eq!(answer.opaque.as_deref(), Some("o"));
    }

    #[test]
    fn what_cannot_be_answered_is_not() {
        assert!(answer_to(&[]).is_none());
        assert!(answer_to(&[challenge(None, &[Qop::AuthInt])]).is_none());
        let other = header::Algorithm::Other("TIGER".to_owned());
        assert!(answer_to(&[challenge(Some(other), &[Qop::Auth])]).is_none());
    }
}
