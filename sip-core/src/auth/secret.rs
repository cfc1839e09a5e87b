//! What proves a user's identity, on either side. None of it shows in logs.
//! Memory is wiped when a value is dropped.

use std::fmt;

use zeroize::Zeroizing;

use super::digest::{Algorithm, ha1};

/// A user name and password for requests that we send.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: Zeroizing<String>,
}

impl Credentials {
    /// Takes both.
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            password: Zeroizing::new(password.into()),
        }
    }

    /// The user name.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password; handle with care.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What a user of ours must know: the password, or its hashes in one realm.
#[derive(Clone)]
pub struct Secret(Kind);

#[derive(Clone)]
enum Kind {
    Password(Zeroizing<String>),
    Hashed {
        md5: Option<Zeroizing<String>>,
        sha256: Option<Zeroizing<String>>,
    },
}

impl Secret {
    /// The password itself.
    pub fn password(password: impl Into<String>) -> Self {
        Self(Kind::Password(Zeroizing::new(password.into())))
    }

    /// `H(user:realm:password)` in lower-case hex, per algorithm; one that is absent cannot be used
    /// to authenticate.
    pub fn hashed(md5: Option<String>, sha256: Option<String>) -> Self {
        Self(Kind::Hashed {
            md5: md5.map(Zeroizing::new),
            sha256: sha256.map(Zeroizing::new),
        })
    }

    /// `H(A1)` for a user in a realm.
    pub(crate) fn ha1(
        &self,
        algorithm: Algorithm,
        username: &str,
        realm: &str,
    ) -> Option<Zeroizing<String>> {
        match &self.0 {
            Kind::Password(password) => Some(ha1(algorithm, username, realm, password)),
            Kind::Hashed { md5, sha256 } => match algorithm {
                Algorithm::Md5 => md5.clone(),
                Algorithm::Sha256 => sha256.clone(),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_password_nor_hash_shows_in_debug_output() {
        let text = format!(
            "{:?} {:?} {:?}",
            Credentials::new("alice", "hunter2"),
            Secret::password("hunter2"),
            Secret::hashed(Some("hunter2".to_owned()), None),
        );
        assert!(
            text.contains("alice") && !text.contains("hunter2"),
            "{text}"
        );
    }

    #[test]
    fn a_password_and_its_hash_give_the_same_ha1() {
        let plain = Secret::password("Circle Of Life");
        let hashed = Secret::hashed(Some("939e7578ed9e3c518a452acee763bce9".to_owned()), None);
        let of = |secret: &Secret, algorithm| secret.ha1(algorithm, "Mufasa", "testrealm@host.com");
        assert_eq!(of(&plain, Algorithm::Md5), of(&hashed, Algorithm::Md5));
        assert_eq!(of(&hashed, Algorithm::Sha256), None);
    }
}
