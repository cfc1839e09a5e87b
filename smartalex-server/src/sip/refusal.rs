//! Every way in which a call is refused: its code, its words, and whether its caller is known.
//! One table, from which the SIP answer, the record and the log line are made.

use sip_core::endpoint::Reply;
use sip_core::name::Name;
use sip_core::status::Status;

/// Why a call is refused before it becomes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The digest credentials are wrong, or the user does not exist: they are not told apart.
    WrongCredentials,
    /// Challenged, and never came back with credentials.
    NoCredentials,
    /// The number belongs to a trunk that takes calls by address, and this is not one of its.
    AddressNotListed(String),
    /// `both`: the credentials are right, the address is not listed.
    CredentialsWithoutAddress(String),
    /// `both`: the address is listed, the credentials are wrong.
    AddressWithoutCredentials,
    /// The trunk is suspended.
    Suspended,
    /// The workspace is read-only.
    ReadOnly,
    /// The workspace has no money left.
    WalletEmpty,
    /// The number is routed to no trunk of the caller's.
    UnknownNumber(String),
    /// The trunk of the number has no agent.
    NoAgent(String),
    /// The server is about to stop.
    Draining,
    /// The trunk has as many calls as it may.
    TrunkFull(u32),
    /// The workspace has as many calls as it may.
    WorkspaceFull(u32),
    /// The server has as many calls as it may.
    ServerFull(u32),
}

impl Refusal {
    /// The status it is answered with.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::WrongCredentials | Self::NoCredentials => Status::UNAUTHORIZED,
            Self::AddressNotListed(_)
            | Self::CredentialsWithoutAddress(_)
            | Self::AddressWithoutCredentials
            | Self::Suspended
            | Self::ReadOnly
            | Self::WalletEmpty => Status::FORBIDDEN,
            Self::UnknownNumber(_) => Status::NOT_FOUND,
            Self::NoAgent(_) => Status::TEMPORARILY_UNAVAILABLE,
            Self::Draining | Self::TrunkFull(_) | Self::WorkspaceFull(_) | Self::ServerFull(_) => {
                Status::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The cause and the fix, for the record, the log and the Warning header.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::WrongCredentials => {
                "wrong credentials: user name or password do not match; copy the trunk's \
                 24-character password anew and leave the realm blank"
                    .to_owned()
            }
            Self::NoCredentials => {
                "no credentials: the INVITE was challenged and did not come back; set the trunk's \
                 user name and password on the PBX"
                    .to_owned()
            }
            Self::AddressNotListed(source) => format!(
                "source address {source} is not on the trunk's allowed_ips; add it, or use \
                 credentials"
            ),
            Self::CredentialsWithoutAddress(source) => format!(
                "credentials are right, but source address {source} is not on the trunk's \
                 allowed_ips; add it"
            ),
            Self::AddressWithoutCredentials => {
                "source address is listed, but the credentials are wrong: this trunk needs both"
                    .to_owned()
            }
            Self::Suspended => "the trunk is suspended; reactivate it".to_owned(),
            Self::ReadOnly => "the workspace is read-only".to_owned(),
            Self::WalletEmpty => "the workspace's wallet is empty; top it up".to_owned(),
            Self::UnknownNumber(number) => format!(
                "the number {number} is a DID of no trunk of this workspace; add it to the \
                 trunk's dids"
            ),
            Self::NoAgent(number) => {
                format!("no agent is linked to the trunk of {number}; set its agent_id")
            }
            Self::Draining => "the server is about to stop and takes no new calls".to_owned(),
            Self::TrunkFull(limit) => {
                format!("the trunk has its limit of {limit} calls; raise max_concurrent_calls")
            }
            Self::WorkspaceFull(limit) => format!("the workspace has its limit of {limit} calls"),
            Self::ServerFull(limit) => format!("the server has its limit of {limit} calls"),
        }
    }

    /// Whether the caller has proved who it is: only then webhooks tell of the refusal.
    pub(super) fn trusted(&self) -> bool {
        !matches!(
            self,
            Self::WrongCredentials
                | Self::NoCredentials
                | Self::AddressNotListed(_)
                | Self::AddressWithoutCredentials
        )
    }

    /// The answer, with the fields that its code asks for. `agent` speaks in Warning.
    pub(super) fn reply(&self, agent: &str) -> Reply {
        let reply = Reply::new(self.status());
        if !self.trusted() {
            // A stranger is not told what would let it in.
            return reply;
        }
        let text: String = self
            .reason()
            .chars()
            .map(|c| {
                if matches!(c, '"' | '\\') || c.is_control() {
                    '\''
                } else {
                    c
                }
            })
            .collect();
        let reply = reply.header(Name::Warning, format!("399 {agent} \"{text}\""));
        match self {
            Self::Draining => reply.header(Name::RetryAfter, RETRY_DRAINING),
            Self::TrunkFull(_) | Self::WorkspaceFull(_) | Self::ServerFull(_) => {
                reply.header(Name::RetryAfter, RETRY_FULL)
            }
            _ => reply,
        }
    }
}

/// Seconds after which a caller may find a place free.
const RETRY_FULL: &str = "10";
/// Seconds after which another node, or this one anew, takes calls.
const RETRY_DRAINING: &str = "30";

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Refusal> {
        vec![
            Refusal::WrongCredentials,
            Refusal::NoCredentials,
            Refusal::AddressNotListed("192.0.2.1".into()),
            Refusal::CredentialsWithoutAddress("192.0.2.1".into()),
            Refusal::AddressWithoutCredentials,
            Refusal::Suspended,
            Refusal::ReadOnly,
            Refusal::WalletEmpty,
            Refusal::UnknownNumber("+1\"\r\n".into()),
            Refusal::NoAgent("100".into()),
            Refusal::Draining,
            Refusal::TrunkFull(10),
            Refusal::WorkspaceFull(10),
            Refusal::ServerFull(10),
        ]
    }

    #[test]
    fn each_refusal_names_its_cause_and_no_stranger_is_told_more_than_its_code() {
        for refusal in all() {
            assert!(refusal.reason().len() > 20, "{refusal:?}");
            let reply = refusal.reply("smartalex");
            let warned = reply.headers.iter().any(|(name, _)| *name == Name::Warning);
            assert_eq!(warned, refusal.trusted(), "{refusal:?}");
        }
    }

    #[test]
    fn a_full_house_says_when_to_come_back() {
        for refusal in all() {
            let reply = refusal.reply("smartalex");
            let told = reply
                .headers
                .iter()
                .any(|(name, _)| *name == Name::RetryAfter);
            assert_eq!(
                told,
                refusal.status() == Status::SERVICE_UNAVAILABLE,
                "{refusal:?}"
            );
        }
    }

    #[test]
    fn what_a_caller_sent_does_not_break_the_warning() {
        let reply = Refusal::UnknownNumber("1\"2\r\n3".into()).reply("smartalex");
        let (_, warning) = &reply.headers[0];
        assert_eq!(warning.matches('"').count(), 2, "{warning}");
        assert!(
            !warning.contains('\r') && !warning.contains('\n'),
            "{warning}"
        );
    }
}
