//! People's passwords: stored as argon2id hashes, which are slow on purpose.
//! Machines' passwords are random and do not come here.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, SaltString};

/// An argon2id hash in its PHC text form (`$argon2id$v=19$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Hashes `password` with a new salt; takes about 50 ms of one core.
///
/// # Errors
/// When the hash function refuses its parameters, which are constants here.
pub fn hash_password(password: &str) -> Result<PasswordHash, argon2::password_hash::Error> {
    let salt = SaltString::encode_b64(&super::random::<16>())?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt)?;
    Ok(PasswordHash(hash.to_string()))
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;

    use super::*;

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let hash = hash_password("correct horse").unwrap();
        let parsed = argon2::PasswordHash::new(hash.as_str()).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"correct horse", &parsed)
                .is_ok()
        );
        assert!(
            Argon2::default()
                .verify_password(b"wrong", &parsed)
                .is_err()
        );
        assert_eq!(format!("{hash:?}"), "[redacted]");
    }
}
