//! Bodies: JSON that is read strictly, and fields whose problems are gathered, all at once.

use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::error::{ApiError, Detail, ErrorKind};

/// Reads `body` as JSON.
///
/// # Errors
/// 415 for another content type, 400 when it is not JSON, 422 when it is not what is asked for.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        let is_json = content_type.to_str().is_ok_and(|text| {
            let name = text.split(';').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("application/json")
        });
        if !is_json {
            return Err(ErrorKind::WrongType.because("the body has to be application/json"));
        }
    }
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() {
            ErrorKind::Invalid
        } else {
            ErrorKind::Malformed
        };
        kind.because(format!("the body cannot be used: {error}"))
    })
}

/// Problems of a body, gathered field by field.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Detail>);

impl Problems {
    /// Notes that `field` is wrong.
    pub(super) fn note(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Detail {
            row: None,
            column: None,
            field: Some(field.to_owned()),
            message: message.into(),
        });
    }

    /// The value, or a note and a stand-in that is never used, because [`Problems::finish`]
    /// fails then.
    pub(super) fn keep<T: Default>(&mut self, field: &str, value: Result<T, String>) -> T {
        value.unwrap_or_else(|message| {
            self.note(field, message);
            T::default()
        })
    }

    /// Fails when anything was noted.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        let field = first.field.as_deref().unwrap_or_default();
        let message = format!("{field}: {}", first.message);
        Err(ErrorKind::Invalid.because(message).with(self.0))
    }
}

/// Text of 1 to `most` characters without control characters, trimmed.
pub(super) fn text(value: &str, most: usize) -> Result<String, String> {
    let value = value.trim();
    let length = value.chars().count();
    if length == 0 {
        return Err("must not be empty".to_owned());
    }
    if length > most {
        return Err(format!("has {length} characters, {most} are the most"));
    }
    if value.chars().any(char::is_control) {
        return Err("holds control characters".to_owned());
    }
    Ok(value.to_owned())
}

/// Prose of at most `most` characters; empty counts as absent.
pub(super) fn prose(value: Option<&str>, most: usize) -> Result<Option<String>, String> {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let length = value.chars().count();
    if length > most {
        return Err(format!("has {length} characters, {most} are the most"));
    }
    if value
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\r' && c != '\t')
    {
        return Err("holds control characters".to_owned());
    }
    Ok(Some(value.to_owned()))
}

/// A whole number from `least` to `most`.
pub(super) fn number(value: i64, least: u32, most: u32) -> Result<u32, String> {
    u32::try_from(value)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("is {value}, but has to be from {least} to {most}"))
}

/// `value`, when it is the only one that this server knows so far.
pub(super) fn only(value: Option<&str>, known: &[&str]) -> Result<(), String> {
    match value {
        Some(value) if !known.contains(&value) => Err(format!(
            "{value:?} is not available; this server knows {}",
            known.join(", ")
        )),
        _ => Ok(()),
    }
}

/// The one called `name`, or the default; an unknown name is told with those that are known.
pub(super) fn named<T>(
    name: Option<&str>,
    default: T,
    named: impl Fn(&str) -> Option<T>,
    known: &[&str],
) -> Result<T, String> {
    match name {
        None => Ok(default),
        Some(name) => named(name).ok_or_else(|| {
            format!(
                "{name:?} is not available; this server knows {}",
                known.join(", ")
            )
        }),
    }
}

/// `before` changed by `patch` as RFC 7396 says, read anew: what is `null` gets its default.
pub(super) fn merged<T: DeserializeOwned>(
    mut before: serde_json::Value,
    patch: serde_json::Value,
) -> Result<T, ApiError> {
    let serde_json::Value::Object(patch) = patch else {
        return Err(ErrorKind::Invalid.because("the body has to be an object"));
    };
    if let Some(fields) = before.as_object_mut() {
        for (name, value) in patch {
            if value.is_null() {
                fields.remove(&name);
            } else {
                fields.insert(name, value);
            }
        }
    }
    serde_json::from_value(before)
        .map_err(|error| ErrorKind::Invalid.because(format!("the body cannot be used: {error}")))
}
