//! The server's side of digest authentication: challenges that cost no memory, and verdicts.
//! An unknown user takes the same work as a known one, so that nobody can be told apart by time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::digest::{self, Algorithm, Challenged};
use super::nonce::{Mint, Replays, Use};
use super::secret::Secret;
use crate::header::{self, Authorization, Challenge, Credentials, Header, ProxyAuthorization, Qop};
use crate::message::Request;
use crate::name::Name;

/// How an [`Authenticator`] behaves.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// How long a nonce is accepted: 300 s.
    pub nonce_lifetime: Duration,
    /// Nonces in use that are remembered against replay: 16,384. The oldest give way, and count as
    /// stale from then on.
    pub max_nonces: usize,
    /// The algorithms to offer, in the order of the challenges: MD5, then SHA-256. MD5 stands first
    /// because many user agents read only the first challenge and know only MD5; those that know
    /// better choose better (RFC 8760 2.3).
    pub algorithms: Vec<Algorithm>,
    /// Beginnings of `User-Agent` values, lower case, of clients that give up when they see a
    /// challenge with an algorithm other than MD5 beside the MD5 one: they are challenged with MD5
    /// alone. Default: `baresip` (libre answers ENOSYS to itself).
    pub md5_only: Vec<String>,
    /// Goes into each nonce, for a front end that spreads requests over shards.
    pub shard: u8,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            nonce_lifetime: Duration::from_secs(300),
            max_nonces: 16_384,
            algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
            md5_only: vec!["baresip".to_owned()],
            shard: 0,
        }
    }
}

/// Checks the credentials of requests.
pub struct Authenticator {
    mint: Mint,
    epoch: Instant,
    config: AuthConfig,
    serial: AtomicU64,
    replays: Replays,
}

impl Authenticator {
    /// `key` must be random and secret, new for each process; times before `epoch` count as it.
    pub fn new(key: [u8; 32], epoch: Instant, config: AuthConfig) -> Self {
        Self {
            mint: Mint::new(&key, config.shard),
            epoch,
            serial: AtomicU64::new(0),
            replays: Replays::new(config.max_nonces),
            config,
        }
    }

    /// Fresh challenges for whoever sent `request`: as [`challenges`](Self::challenges), without
    /// those that its client is known to give up on ([`AuthConfig::md5_only`]).
    pub fn challenges_for(
        &self,
        now: Instant,
        request: &Request,
        realm: &str,
        stale: bool,
    ) -> Vec<Challenge> {
        let mut challenges = self.challenges(now, realm, stale);
        let knows_md5_only = request.header(&Name::UserAgent).is_some_and(|agent| {
            let agent = agent.to_ascii_lowercase();
            self.config
                .md5_only
                .iter()
                .any(|known| agent.starts_with(known.as_str()))
        });
        if knows_md5_only && self.config.algorithms.contains(&Algorithm::Md5) {
            challenges.retain(|challenge| challenge.algorithm == Some(header::Algorithm::Md5));
        }
        challenges
    }

    /// Fresh challenges, one per algorithm. `stale` tells the client that its password was right
    /// and only the nonce was not, see [`Verdict::is_stale`].
    pub fn challenges(&self, now: Instant, realm: &str, stale: bool) -> Vec<Challenge> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let nonce = self.mint.make(realm, self.age(now), serial);
        let challenge = |algorithm: &Algorithm| {
            let algorithm = match algorithm {
                Algorithm::Md5 => header::Algorithm::Md5,
                Algorithm::Sha256 => header::Algorithm::Sha256,
            };
            Challenge {
                stale,
                ..Challenge::new(realm, &nonce, algorithm)
            }
        };
        self.config.algorithms.iter().map(challenge).collect()
    }

    /// Judges a request by its Authorization (or Proxy-Authorization) for `realm`.
    ///
    /// `lookup` gives the secret of a user; it is asked once, and only when there are credentials.
    pub fn check(
        &mut self,
        now: Instant,
        request: &Request,
        realm: &str,
        lookup: impl FnOnce(&str) -> Option<Secret>,
    ) -> Verdict {
        let Some((credentials, algorithm)) = self.select(request, realm) else {
            return Verdict::Missing;
        };
        let user = credentials.username.as_str();
        let secret = lookup(user);
        let known = secret.is_some();
        // The same hashes are computed, over something, whatever is missing.
        let secret = secret.unwrap_or_else(|| Secret::password(NOBODY));
        let ha1 = secret.ha1(algorithm, user, realm);
        let usable = ha1.is_some();
        let ha1 = ha1.unwrap_or_else(|| digest::ha1(algorithm, user, realm, NOBODY));
        let nc = credentials.nc.map(|nc| format!("{nc:08x}"));
        let auth = match (&credentials.qop, &nc, &credentials.cnonce) {
            (None, _, _) => None,
            (Some(Qop::Auth), Some(nc), Some(cnonce)) => Some((nc.as_str(), cnonce.as_str())),
            _ => return Verdict::Malformed,
        };
        let over = Challenged {
            nonce: &credentials.nonce,
            method: request.method().as_str(),
            // Not compared with the Request-URI: proxies rewrite that one, and some user agents
            // leave the user part out. What counts is what the client has signed.
            uri: &credentials.uri,
            auth,
        };
        let expected = digest::response(algorithm, &ha1, over);
        let right = digest::matches(&expected, &credentials.response);
        let stamp = self.mint.read(&credentials.nonce, realm);
        if !known {
            return Verdict::UnknownUser {
                user: credentials.username,
            };
        }
        if !right || !usable {
            return Verdict::BadResponse {
                user: credentials.username,
            };
        }
        let age = self.age(now);
        self.replays
            .expire(age.saturating_sub(self.config.nonce_lifetime));
        let Some(stamp) = stamp.filter(|stamp| stamp.made + self.config.nonce_lifetime >= age)
        else {
            return Verdict::Stale {
                user: credentials.username,
            };
        };
        // Without qop there is no count, and a nonce is good for one request.
        let nc = auth.and(credentials.nc).unwrap_or(1);
        match self.replays.record(stamp, nc) {
            Use::New => Verdict::Accepted {
                user: credentials.username,
            },
            Use::Again => Verdict::Replayed {
                user: credentials.username,
            },
            Use::Forgotten => Verdict::Stale {
                user: credentials.username,
            },
        }
    }

    /// How many nonces are remembered.
    pub fn remembered(&self) -> usize {
        self.replays.len()
    }

    // The first credentials for this realm with an algorithm that is offered.
    fn select(&self, request: &Request, realm: &str) -> Option<(Credentials, Algorithm)> {
        let www = request
            .header_values(&Name::Authorization)
            .filter_map(|line| Authorization::parse(&line).ok())
            .map(|Authorization(credentials)| credentials);
        let proxy = request
            .header_values(&Name::ProxyAuthorization)
            .filter_map(|line| ProxyAuthorization::parse(&line).ok())
            .map(|ProxyAuthorization(credentials)| credentials);
        www.chain(proxy)
            .filter(|credentials| credentials.realm == realm)
            .find_map(|credentials| {
                let algorithm = algorithm_of(credentials.algorithm.as_ref())?;
                self.config
                    .algorithms
                    .contains(&algorithm)
                    .then_some((credentials, algorithm))
            })
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("config", &self.config)
            .field("remembered", &self.remembered())
            .finish_non_exhaustive()
    }
}

/// What credentials are worth. All but `Accepted` are answered with the same 401.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The user has proved to know the secret.
    Accepted {
        /// The user name.
        user: String,
    },
    /// There are no credentials for this realm with an algorithm that is offered.
    Missing,
    /// The credentials lack `nc` or `cnonce`, or ask for an unknown qop.
    Malformed,
    /// There is no such user.
    UnknownUser {
        /// The user name.
        user: String,
    },
    /// The password is wrong.
    BadResponse {
        /// The user name.
        user: String,
    },
    /// The password is right, but the nonce is too old or not of ours.
    Stale {
        /// The user name.
        user: String,
    },
    /// The password is right, but this nonce count has been used before.
    Replayed {
        /// The user name.
        user: String,
    },
}

impl Verdict {
    /// Whether the next challenge should say `stale=true` (RFC 7616 3.3): the client may try again
    /// without asking its user.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Stale { .. } | Self::Replayed { .. })
    }
}

/// The algorithm that a parameter means; its absence means MD5.
pub(super) fn algorithm_of(parameter: Option<&header::Algorithm>) -> Option<Algorithm> {
    match parameter {
        None => Some(Algorithm::Md5),
        Some(name) => Algorithm::from_token(name.as_str()),
    }
}

// Stands in for the password of a user who does not exist. Knowing it opens nothing.
const NOBODY: &str = "no such user";

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::auth;
    use crate::message::{Limits, Message};
    use crate::method::Method;
    use crate::testing::epoch;

    const REALM: &str = "pbx.example.com";

    fn authenticator() -> Authenticator {
        Authenticator::new([7; 32], epoch(), AuthConfig::default())
    }

    fn request(authorization: Option<&str>) -> Request {
        let line = authorization.map(|value| format!("Authorization: {value}\r\n"));
        let text = format!(
            "REGISTER sip:pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\
             From: <sip:t@pbx.example.com>;tag=1\r\nTo: <sip:t@pbx.example.com>\r\n\
             Call-ID: c\r\nCSeq: 1 REGISTER\r\n{}Content-Length: 0\r\n\r\n",
            line.unwrap_or_default()
        );
        match Message::parse(Bytes::from(text), &Limits::default()).unwrap() {
            Message::Request(request) => request,
            Message::Response(_) => unreachable!(),
        }
    }

    fn answered(challenges: &[Challenge], user: &str, password: &str, nc: u32) -> Request {
        let credentials = auth::Credentials::new(user, password);
        let uri = "sip:pbx.example.com";
        let answer = auth::answer(
            challenges,
            &credentials,
            &Method::Register,
            uri,
            "c0ffee",
            nc,
        )
        .unwrap();
        request(Some(&answer.to_string()))
    }

    fn lookup(user: &str) -> Option<Secret> {
        (user == "trunk").then(|| Secret::password("right"))
    }

    fn check(auth: &mut Authenticator, after: u64, request: &Request) -> Verdict {
        auth.check(epoch() + Duration::from_secs(after), request, REALM, lookup)
    }

    fn trunk() -> String {
        "trunk".to_owned()
    }

    #[test]
    fn the_right_password_is_accepted_with_either_algorithm() {
        let mut auth = authenticator();
        for only in [header::Algorithm::Md5, header::Algorithm::Sha256] {
            let mut challenges = auth.challenges(epoch(), REALM, false);
            challenges.retain(|challenge| challenge.algorithm == Some(only.clone()));
            let verdict = check(&mut auth, 1, &answered(&challenges, "trunk", "right", 1));
            assert_eq!(verdict, Verdict::Accepted { user: trunk() });
        }
    }

    #[test]
    fn md5_is_offered_before_sha_256_with_one_nonce() {
        let challenges = authenticator().challenges(epoch(), REALM, false);
        let offered: Vec<_> = challenges
            .iter()
            .map(|c| c.algorithm.clone().unwrap())
            .collect();
        assert_eq!(offered, [header::Algorithm::Md5, header::Algorithm::Sha256]);
        assert_eq!(challenges[0].nonce, challenges[1].nonce);
    }

    #[test]
    fn wrong_password_unknown_user_and_no_credentials_are_told_apart() {
        let mut auth = authenticator();
        let challenges = auth.challenges(epoch(), REALM, false);
        let wrong = check(&mut auth, 1, &answered(&challenges, "trunk", "wrong", 1));
        assert_eq!(wrong, Verdict::BadResponse { user: trunk() });
        let nobody = check(&mut auth, 1, &answered(&challenges, "nobody", NOBODY, 1));
        assert_eq!(
            nobody,
            Verdict::UnknownUser {
                user: "nobody".to_owned()
            }
        );
        assert_eq!(check(&mut auth, 1, &request(None)), Verdict::Missing);
        assert_eq!(
            check(&mut auth, 1, &request(Some("Basic dTpw"))),
            Verdict::Missing
        );
        assert_eq!(auth.remembered(), 0, "strangers cost no memory");
    }

    #[test]
    fn an_old_nonce_is_stale_only_for_who_knows_the_password() {
        let mut auth = authenticator();
        let challenges = auth.challenges(epoch(), REALM, false);
        let right = answered(&challenges, "trunk", "right", 1);
        let wrong = answered(&challenges, "trunk", "wrong", 1);
        assert_eq!(
            check(&mut auth, 301, &right),
            Verdict::Stale { user: trunk() }
        );
        assert_eq!(
            check(&mut auth, 301, &wrong),
            Verdict::BadResponse { user: trunk() }
        );
        assert_eq!(
            check(&mut auth, 300, &right),
            Verdict::Accepted { user: trunk() }
        );
    }

    #[test]
    fn a_nonce_of_another_process_is_stale() {
        let other = Authenticator::new([8; 32], epoch(), AuthConfig::default());
        let challenges = other.challenges(epoch(), REALM, false);
        let verdict = check(
            &mut authenticator(),
            1,
            &answered(&challenges, "trunk", "right", 1),
        );
        assert!(verdict.is_stale());
    }

    #[test]
    fn a_nonce_count_is_good_once_and_rising_counts_are_accepted() {
        let mut auth = authenticator();
        let challenges = auth.challenges(epoch(), REALM, false);
        let first = answered(&challenges, "trunk", "right", 1);
        assert_eq!(
            check(&mut auth, 1, &first),
            Verdict::Accepted { user: trunk() }
        );
        assert_eq!(
            check(&mut auth, 1, &first),
            Verdict::Replayed { user: trunk() }
        );
        let second = answered(&challenges, "trunk", "right", 2);
        assert_eq!(
            check(&mut auth, 1, &second),
            Verdict::Accepted { user: trunk() }
        );
    }

    #[test]
    fn memory_for_nonces_is_bounded_and_given_back() {
        let config = AuthConfig {
            max_nonces: 4,
            ..AuthConfig::default()
        };
        let mut auth = Authenticator::new([7; 32], epoch(), config);
        for after in 0..20 {
            let challenges = auth.challenges(epoch() + Duration::from_secs(after), REALM, false);
            check(
                &mut auth,
                after,
                &answered(&challenges, "trunk", "right", 1),
            );
            assert!(auth.remembered() <= 4);
        }
        let late = auth.challenges(epoch() + Duration::from_secs(900), REALM, false);
        check(&mut auth, 900, &answered(&late, "trunk", "right", 1));
        assert_eq!(auth.remembered(), 1);
    }

    #[test]
    fn a_client_that_gives_up_on_sha_256_is_asked_for_md5_alone() {
        let auth = authenticator();
        let asked = |agent: &str| {
            let text = format!(
                "REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@a>;tag=1\r\n\
                 To: <sip:a@a>\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nUser-Agent: {agent}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let limits = Limits::default();
            match Message::parse(Bytes::from(text), &limits) {
                Ok(Message::Request(request)) => {
                    auth.challenges_for(epoch(), &request, REALM, false).len()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(asked("baresip v1.0.0 (x86_64/linux)"), 1);
        assert_eq!(asked("Asterisk PBX 23.4.1"), 2);
    }

    #[test]
    fn the_words_of_sipp_are_understood() {
        // sipp signs sip:HOST:PORT without the user part, joined without spaces.
        let mut auth = authenticator();
        let challenges = auth.challenges(epoch(), REALM, false);
        let nonce = &challenges[0].nonce;
        let over = Challenged {
            nonce,
            method: "REGISTER",
            uri: "sip:127.0.0.1:5999",
            auth: Some(("00000001", "66334873")),
        };
        let ha1 = digest::ha1(Algorithm::Md5, "trunk", REALM, "right");
        let response = digest::response(Algorithm::Md5, &ha1, over);
        let line = format!(
            "Digest username=\"trunk\",realm=\"{REALM}\",cnonce=\"66334873\",nc=00000001,qop=auth,\
             uri=\"sip:127.0.0.1:5999\",nonce=\"{nonce}\",response=\"{response}\",algorithm=MD5"
        );
        let verdict = check(&mut auth, 1, &request(Some(&line)));
        assert_eq!(verdict, Verdict::Accepted { user: trunk() });
    }
}
