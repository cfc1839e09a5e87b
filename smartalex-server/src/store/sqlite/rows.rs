//! From rows to values and from SQLite's errors to the store's: what every table needs.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::error::ErrorKind;
use sqlx::sqlite::SqliteRow;

use crate::clock;
use crate::store::{Conflict, StoreError};

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => match database.kind() {
                ErrorKind::UniqueViolation => Self::Conflict(conflict(database.message())),
                ErrorKind::ForeignKeyViolation
                | ErrorKind::NotNullViolation
                | ErrorKind::CheckViolation => {
                    Self::Conflict(Conflict::Other(database.message().to_owned()))
                }
                _ => Self::Unreachable(error.to_string()),
            },
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_) => Self::Corrupt(error.to_string()),
            _ => Self::Unreachable(error.to_string()),
        }
    }
}

/// SQLite names the columns: `UNIQUE constraint failed: trunks.workspace_id, trunks.name`.
fn conflict(message: &str) -> Conflict {
    if message.contains("trunks.name") {
        Conflict::TrunkName
    } else if message.contains("trunks.username") {
        Conflict::Username
    } else if message.contains("idempotency.") {
        Conflict::IdempotencyKey
    } else {
        Conflict::Other(message.to_owned())
    }
}

/// Reads one column with a type that SQLite knows.
pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    Ok(row.try_get(column)?)
}

/// Reads a time.
pub(super) fn time(row: &SqliteRow, column: &'static str) -> Result<Timestamp, StoreError> {
    Ok(clock::from_millis(get(row, column)?))
}

/// Reads a time that may be absent.
pub(super) fn time_or_none(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(clock::from_millis))
}

/// Reads a text with `parse`, which knows its form.
pub(super) fn parsed<T>(
    row: &SqliteRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text: &str = get(row, column)?;
    parse(text).ok_or_else(|| StoreError::Corrupt(format!("column {column}: {text:?}")))
}

/// Reads a text that may be absent with `parse`, which knows its form.
pub(super) fn parsed_or_none<T>(
    row: &SqliteRow,
    column: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    match get::<Option<&str>>(row, column)? {
        None => Ok(None),
        Some(text) => parse(text)
            .map(Some)
            .ok_or_else(|| StoreError::Corrupt(format!("column {column}: {text:?}"))),
    }
}

/// Reads a number that has to fit `T`.
pub(super) fn number<T: TryFrom<i64>>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<T, StoreError> {
    let number: i64 = get(row, column)?;
    T::try_from(number).map_err(|_| StoreError::Corrupt(format!("column {column}: {number}")))
}

/// Reads a number that may be absent and has to fit `T`.
pub(super) fn number_or_none<T: TryFrom<i64>>(
    row: &SqliteRow,
    column: &'static str,
) -> Result<Option<T>, StoreError> {
    match get::<Option<i64>>(row, column)? {
        None => Ok(None),
        Some(number) => T::try_from(number)
            .map(Some)
            .map_err(|_| StoreError::Corrupt(format!("column {column}: {number}"))),
    }
}

/// A value as JSON text.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// JSON text as a value.
pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Times as they are stored.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// Counts are never negative.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
