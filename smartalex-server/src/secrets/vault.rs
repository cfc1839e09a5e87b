//! The vault: seals secrets at rest with XChaCha20-Poly1305 under one master key.
//! A sealed value opens only in the table, row and column that it was sealed for.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Secret;

/// Where a sealed value lives: its address is authenticated with it, so that a value copied to
/// another row does not open there.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    /// Table name.
    pub table: &'a str,
    /// Primary key of the row.
    pub row: &'a str,
    /// Column name.
    pub column: &'a str,
}

/// Holds the master key. Cloning it shares the key.
#[derive(Clone)]
pub struct Vault {
    key: std::sync::Arc<Zeroizing<[u8; 32]>>,
    id: [u8; 4],
}

impl Vault {
    /// A vault on `key`.
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"smartalex master key id");
        hash.update(key.as_slice());
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = digest;
        Self {
            key: std::sync::Arc::new(key),
            id: [a, b, c, d],
        }
    }

    /// The vault of a server: `environment` (the value of `SMARTALEX_MASTER_KEY`) when it is
    /// set, else the key in `file`, which is created with mode 0600 when it does not exist.
    ///
    /// # Errors
    /// When the key is not 32 bytes in base64 or hexadecimal, or the file cannot be read or made.
    pub fn load(environment: Option<&str>, file: &Path) -> Result<Self, VaultError> {
        if let Some(text) = environment {
            return Ok(Self::new(parse_key(text).ok_or(
                VaultError::MalformedKey {
                    source_name: "SMARTALEX_MASTER_KEY".to_owned(),
                },
            )?));
        }
        let failed = |error| VaultError::File {
            path: file.to_owned(),
            error,
        };
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let text = Zeroizing::new(text);
                parse_key(&text)
                    .map(Self::new)
                    .ok_or(VaultError::MalformedKey {
                        source_name: file.display().to_string(),
                    })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                create_key_file(file).map_err(failed)?;
                // Read back what is there: another process may have been first.
                let text = Zeroizing::new(std::fs::read_to_string(file).map_err(failed)?);
                parse_key(&text)
                    .map(Self::new)
                    .ok_or(VaultError::MalformedKey {
                        source_name: file.display().to_string(),
                    })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Seals `plain` for `cell`: version, key id, nonce, ciphertext.
    ///
    /// # Errors
    /// When the cipher refuses, which it does only for lengths beyond gigabytes.
    pub fn seal(&self, cell: Cell<'_>, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce = XNonce::from(super::random::<24>());
        let aad = associated(cell);
        let ciphertext = self
            .cipher()
            .encrypt(
                &nonce,
                Payload {
                    msg: plain,
                    aad: &aad,
                },
            )
            .map_err(|_| VaultError::Corrupt)?;
        let mut sealed = Vec::with_capacity(HEADER + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] made for the same cell.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`] when another master key sealed it, [`VaultError::Corrupt`] when
    /// it was altered or belongs to another cell.
    pub fn open(&self, cell: Cell<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (header, ciphertext) = sealed.split_at_checked(HEADER).ok_or(VaultError::Corrupt)?;
        let (&version, rest) = header.split_first().ok_or(VaultError::Corrupt)?;
        let (id, nonce) = rest.split_at_checked(4).ok_or(VaultError::Corrupt)?;
        if version != VERSION {
            return Err(VaultError::Corrupt);
        }
        if id != self.id {
            return Err(VaultError::OtherKey);
        }
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| VaultError::Corrupt)?;
        let aad = associated(cell);
        self.cipher()
            .decrypt(
                &XNonce::from(nonce),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| VaultError::Corrupt)
    }

    /// Seals a secret text.
    ///
    /// # Errors
    /// As [`Vault::seal`].
    pub fn seal_text(&self, cell: Cell<'_>, secret: &Secret) -> Result<Vec<u8>, VaultError> {
        self.seal(cell, secret.expose().as_bytes())
    }

    /// Opens a secret text.
    ///
    /// # Errors
    /// As [`Vault::open`]; also when it is not UTF-8.
    pub fn open_text(&self, cell: Cell<'_>, sealed: &[u8]) -> Result<Secret, VaultError> {
        let plain = self.open(cell, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Corrupt)?;
        Ok(Secret::new(text))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(**self.key).into())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The key file cannot be read or created.
    #[error("master key file {path}: {error}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The key is not 32 bytes.
    #[error("{source_name} does not hold a master key: 32 bytes in base64 or hexadecimal")]
    MalformedKey {
        /// File or variable.
        source_name: String,
    },
    /// Sealed under another master key.
    #[error("sealed with another master key: restore the key file that belongs to this store")]
    OtherKey,
    /// Altered, or moved to another place.
    #[error("a sealed value is damaged or was moved from another row")]
    Corrupt,
}

/// Length-prefixed, so that no two addresses read the same.
fn associated(cell: Cell<'_>) -> Vec<u8> {
    let mut aad = Vec::with_capacity(64);
    for part in [cell.table, cell.row, cell.column] {
        aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    aad
}

fn parse_key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.trim();
    let bytes = if text.len() == 64 {
        Zeroizing::new(hex(text)?)
    } else {
        Zeroizing::new(STANDARD.decode(text).ok()?)
    };
    let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(key))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Writes a new key beside its place and links it there, so that a crash leaves no half file and
/// two processes agree on one key.
fn create_key_file(path: &Path) -> std::io::Result<()> {
    if let Some(directory) = path.parent()
        && !directory.as_os_str().is_empty()
    {
        std::fs::create_dir_all(directory)?;
    }
    let key = Zeroizing::new(super::random::<32>());
    let text = Zeroizing::new(format!("{}\n", STANDARD.encode(key.as_slice())));
    let draft = path.with_extension(format!("{}.new", super::readable(8)));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    std::fs::remove_file(&draft)?;
    linked
}

const VERSION: u8 = 1;
const HEADER: usize = 1 + 4 + 24;

#[cfg(test)]
mod tests {
    use super::*;

    const CELL: Cell<'_> = Cell {
        table: "trunks",
        row: "trunk_1",
        column: "password",
    };

    fn vault(byte: u8) -> Vault {
        Vault::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let vault = vault(7);
        let sealed = vault.seal(CELL, b"secret").unwrap();
        assert_eq!(vault.open(CELL, &sealed).unwrap().as_slice(), b"secret");
        let elsewhere = Cell {
            row: "trunk_2",
            ..CELL
        };
        assert!(matches!(
            vault.open(elsewhere, &sealed),
            Err(VaultError::Corrupt)
        ));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let vault = vault(7);
        let sealed = vault.seal(CELL, b"secret").unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(vault.open(CELL, &altered).is_err(), "byte {index}");
        }
        assert!(vault.open(CELL, &sealed[..10]).is_err());
    }

    #[test]
    fn another_master_key_is_named_as_the_cause() {
        let sealed = vault(7).seal(CELL, b"secret").unwrap();
        assert!(matches!(
            vault(8).open(CELL, &sealed),
            Err(VaultError::OtherKey)
        ));
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let directory =
            std::env::temp_dir().join(format!("smartalex-{}", super::super::readable(8)));
        let path = directory.join("master.key");
        let first = Vault::load(None, &path).unwrap();
        let second = Vault::load(None, &path).unwrap();
        assert_eq!(first.id, second.id);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "short").unwrap();
        assert!(Vault::load(None, &path).is_err());
        assert!(Vault::load(Some(&"ab".repeat(32)), &path).is_ok());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
