//! Parameters of the query and the path: each is taken by name, and what is left over is refused.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use jiff::Timestamp;

use super::error::{ApiError, ErrorKind};
use crate::ids::IdError;
use crate::store::Page;

/// The parameters of a query, to be taken one by one; [`Params::finish`] refuses the rest.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// The value of `name`.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        let Some(at) = self.0.iter().position(|(key, _)| key == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(at);
        if self.0.iter().any(|(key, _)| key == name) {
            return Err(wrong(name, "is there more than once"));
        }
        Ok(Some(value))
    }

    /// The value of `name`, read by `parse`, which says what is wrong with it.
    pub(super) fn parse<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiError> {
        match self.take(name)? {
            None => Ok(None),
            Some(value) => parse(&value)
                .map(Some)
                .map_err(|error| wrong(name, &error.to_string())),
        }
    }

    /// `page` and `per_page`.
    pub(super) fn page(&mut self) -> Result<Page, ApiError> {
        Ok(self.page_if_asked()?.unwrap_or(Page {
            page: 1,
            per_page: DEFAULT_PER_PAGE,
        }))
    }

    /// `page` and `per_page`, if one of them is there.
    pub(super) fn page_if_asked(&mut self) -> Result<Option<Page>, ApiError> {
        let page = self.parse("page", |text| between(text, 1, 1_000_000_000))?;
        let per_page = self.parse("per_page", |text| between(text, 1, MOST_PER_PAGE))?;
        if page.is_none() && per_page.is_none() {
            return Ok(None);
        }
        Ok(Some(Page {
            page: page.unwrap_or(1),
            per_page: per_page.unwrap_or(DEFAULT_PER_PAGE),
        }))
    }

    /// `from` and `to`, of which the second has to be later.
    pub(super) fn time_range(
        &mut self,
    ) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
        let from = self.parse("from", time)?;
        let to = self.parse("to", time)?;
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(wrong("to", "is not later than \"from\"")),
            range => Ok(range),
        }
    }

    /// Refuses what was not taken.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(wrong(name, "is no parameter of this path")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map(|Query(pairs)| Self(pairs))
            .map_err(|_| ErrorKind::Malformed.because("the query cannot be read"))
    }
}

/// An id of the path: text that is no id of the kind names nothing, so it is not found.
pub(super) fn path_id<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, IdError>,
    kind: ErrorKind,
    what: &str,
) -> Result<T, ApiError> {
    parse(text).map_err(|_| missing(kind, what))
}

/// There is no such thing in this workspace.
pub(super) fn missing(kind: ErrorKind, what: &str) -> ApiError {
    kind.because(format!("there is no such {what}"))
}

fn wrong(name: &str, message: &str) -> ApiError {
    ErrorKind::Malformed.because(format!("parameter {name:?} {message}"))
}

fn between(text: &str, least: u32, most: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("has to be a whole number from {least} to {most}"))
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    // A plus sign in a query is a space unless it was escaped, which nobody remembers to do.
    text.replace(' ', "+")
        .parse()
        .map_err(|_| "has to be a time in RFC 3339, such as 2026-01-15T14:30:00Z")
}

const DEFAULT_PER_PAGE: u32 = 20;
const MOST_PER_PAGE: u32 = 100;
