//! `smartalex-server`: see `smartalex-server --help`.
//! Everything is in the library.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    smartalex_server::cli::main().await
}
