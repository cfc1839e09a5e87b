//! The TLS settings of our own outgoing connections: ring, and the web's root certificates.
//! Chosen here and not by a process-wide default, so an embedder's other choice does no harm.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Verifies servers against the root certificates of the Mozilla programme.
pub(crate) fn client_config() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
