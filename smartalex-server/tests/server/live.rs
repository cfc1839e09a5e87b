//! Live control: the API reaches calls through [`Control`], here played by the test.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::json;
use smartalex_server::calls::record::{Transfer, TransferKind};
use smartalex_server::calls::{CallEntry, CallResult};
use smartalex_server::control::{Control, ControlError, TrunkStatus};
use smartalex_server::ids::{CallId, TrunkId};

use crate::calls::closing;
use crate::harness::Running;

struct Played {
    call: CallEntry,
    told: Mutex<Vec<String>>,
}

#[async_trait]
impl Control for Played {
    async fn transfer(&self, call: &CallId, target: &str) -> Result<Transfer, ControlError> {
        if call != self.call.id() {
            return Err(ControlError::NotLive);
        }
        if target != "101" {
            return Err(ControlError::UnknownTarget {
                target: target.to_owned(),
                nearest: vec!["Sales (101)".to_owned()],
            });
        }
        let made = self
            .call
            .transfer_requested(target, TransferKind::Blind)
            .await;
        made.map_err(|error| ControlError::Busy(error.to_string()))
    }

    async fn hang_up(&self, _: &CallId) -> Result<(), ControlError> {
        self.told.lock().unwrap().push("hang up".to_owned());
        Ok(())
    }

    async fn send_digits(&self, _: &CallId, digits: &str) -> Result<(), ControlError> {
        self.told.lock().unwrap().push(digits.to_owned());
        Ok(())
    }

    fn credentials_withdrawn(&self, _trunk: &TrunkId) {}

    fn trunk(&self, _: &TrunkId) -> TrunkStatus {
        TrunkStatus {
            registered: true,
            active_calls: 7,
        }
    }
}

#[tokio::test]
async fn live_calls_are_transferred_hung_up_and_sent_digits() {
    let server = Running::start().await;
    let (_, trunk) = server.office().await;
    let call = server.open_call(None).await;
    let control = Arc::new(Played {
        call: call.clone(),
        told: Mutex::default(),
    });
    // In the place of the SIP side's own.
    server.app().set_control(control.clone());
    let path = format!("/v1/calls/{}", call.id());

    let answer = server
        .post(&format!("{path}/transfer"), json!({"target": "101"}))
        .await;
    assert_eq!(answer.status, 202);
    let transfer = answer.data();
    assert_eq!(transfer["state"], "requested");
    let shown = format!("{path}/transfers/{}", transfer["id"].as_str().unwrap());
    assert_eq!(server.get(&shown).await.data(), transfer);
    let unknown = json!({"target": "slaes"});
    let answer = server.post(&format!("{path}/transfer"), unknown).await;
    let message = answer.error(422, "invalid_request");
    assert!(message.contains("Sales (101)"), "{message}");

    let answer = server
        .post(&format!("{path}/dtmf"), json!({"digits": "12#"}))
        .await;
    assert_eq!(answer.status, 202);
    let wrong = server
        .post(&format!("{path}/dtmf"), json!({"digits": "1x"}))
        .await;
    wrong.error(422, "invalid_request");
    let answer = server
        .with_key("POST", &format!("{path}/hangup"), &[], "")
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(*control.told.lock().unwrap(), ["12#", "hang up"]);

    let shown = server.get(&format!("/v1/trunks/{trunk}")).await.data();
    assert_eq!(
        (&shown["registered"], &shown["active_calls"]),
        (&json!(true), &json!(7))
    );

    call.close(closing(CallResult::Completed)).await.unwrap();
    let answer = server
        .with_key("POST", &format!("{path}/hangup"), &[], "")
        .await;
    answer.error(409, "conflict");
}
