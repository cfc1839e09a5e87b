//! What a call machine asks for, carried out on the endpoint, the media leg and the log.
//! Whatever cannot be done goes back to the machine at once.

use std::time::Instant;

use sip_core::endpoint::{Endpoint, EndpointError};

use super::{CallId, Owner, PhoneCore};
use crate::call::action::{Action, MediaChange, Notice, Purpose};
use crate::call::machine::{Input, Lost};

impl PhoneCore {
    /// Does one thing; what the machine must hear at once comes back.
    pub(super) fn perform(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        id: CallId,
        action: Action,
    ) -> Option<Input> {
        let entry = self.calls.get_mut(&id)?;
        match action {
            Action::Respond { tx, reply } => {
                let status = reply.status;
                let invite = self.invites.contains_key(&tx);
                if status.is_final() {
                    self.invites.remove(&tx);
                }
                match endpoint.respond(now, tx, reply) {
                    Ok(Some(dialog)) => {
                        entry.adopt(dialog);
                        self.dialogs.insert(dialog, id);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(call_id = &*entry.call_id, %status, %error, "no answer sent");
                        if invite {
                            return Some(Input::Stuck(error.to_string()));
                        }
                    }
                }
            }
            Action::Forget { tx } => {
                self.invites.remove(&tx);
                endpoint.forget(now, tx);
            }
            Action::Request {
                purpose,
                method,
                headers,
                body,
            } => {
                let sent = match entry.dialog {
                    Some(dialog) => endpoint.in_dialog(now, dialog, method, headers, body),
                    None => Err(EndpointError::Gone),
                };
                match sent {
                    Ok(tx) => {
                        self.requests.insert(tx, Owner::InCall(id, purpose));
                        if purpose == Purpose::Refer {
                            return Some(Input::ReferSent);
                        }
                    }
                    Err(error) => {
                        tracing::debug!(call_id = &*entry.call_id, ?purpose, %error, "not sent");
                        let cause = match error {
                            EndpointError::InvitePending => Lost::Glare,
                            error => Lost::Unsent(error.to_string()),
                        };
                        return Some(Input::Lost { purpose, cause });
                    }
                }
            }
            Action::Cancel => {
                let cancelled = entry.invite.map(|tx| endpoint.cancel(now, tx));
                if let Some(Err(error)) = cancelled {
                    return Some(Input::Stuck(error.to_string()));
                }
            }
            Action::HangUp { headers } => {
                let hung_up = match entry.dialog {
                    Some(dialog) => endpoint.hang_up(now, dialog, headers).map(|_| ()),
                    None => Err(EndpointError::Gone),
                };
                if let Err(error) = hung_up {
                    return Some(Input::Stuck(error.to_string()));
                }
            }
            Action::Listen => {
                let packets = entry.voice.as_ref().map(|voice| voice.packets());
                return packets.map(Input::Packets);
            }
            Action::Media(MediaChange::Apply(terms)) => {
                if let Some(voice) = &mut entry.voice {
                    voice.apply(terms);
                }
            }
            Action::Media(MediaChange::Stop) => {
                if let Some(mut voice) = entry.voice.take() {
                    voice.stop();
                }
            }
            Action::Notice(notice) => {
                log(&entry.call_id, &notice);
                (entry.link)(notice);
            }
        }
        None
    }
}

/// The news that an operator wants to find in the log.
fn log(call_id: &str, notice: &Notice) {
    match notice {
        Notice::TransferSent { after } => {
            tracing::info!(call_id, after_us = after.as_micros() as u64, "REFER sent");
        }
        Notice::TransferProgress(status) => {
            tracing::info!(call_id, %status, "transfer progress");
        }
        Notice::TransferDone(outcome) => tracing::info!(
            call_id,
            result = outcome.label(),
            confirmed_by = outcome.confirmed_by.label(),
            sip_code = outcome.sip_code,
            reason = outcome.reason,
            "transfer over"
        ),
        Notice::TransferAmended(outcome) => tracing::info!(
            call_id,
            result = outcome.label(),
            reason = outcome.reason,
            "transfer outcome changed afterwards"
        ),
        Notice::Ended(ending) => {
            tracing::info!(call_id, cause = ending.cause.label(), %ending, "call ended");
        }
        _ => {}
    }
}
