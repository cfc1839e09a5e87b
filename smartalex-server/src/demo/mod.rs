//! `demo`: the whole product on loopback, observed from outside.

/// Runs the demonstration.
pub async fn run(_once: bool, _json: bool) -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
