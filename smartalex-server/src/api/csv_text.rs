//! CSV answers: rows that spreadsheets read and cannot be made to run.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, ErrorKind};
use super::params::Params;

/// Whether a list is asked for as CSV: by `format=csv`, else by `Accept: text/csv`.
pub(super) fn is_asked(params: &mut Params, headers: &HeaderMap) -> Result<bool, ApiError> {
    match params.take("format")?.as_deref() {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => {
            Err(ErrorKind::Malformed.because("parameter \"format\" has to be \"json\" or \"csv\""))
        }
        None => Ok(headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|accept| {
                accept.split(',').any(|range| {
                    let name = range.split(';').next().unwrap_or_default().trim();
                    name.eq_ignore_ascii_case("text/csv")
                })
            })),
    }
}

/// Rows as CSV text.
pub(super) fn rows<'a>(rows: impl Iterator<Item = Vec<std::borrow::Cow<'a, str>>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        // Writing into memory does not fail, and all rows here are as long as their header.
        let _ = writer.write_record(row.iter().map(|cell| safe(cell).into_owned()));
    }
    writer.into_inner().unwrap_or_default()
}

/// An answer of CSV.
pub(super) fn answer(name: &str, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.csv\""),
        ),
    ];
    (headers, body).into_response()
}

/// A cell that a spreadsheet takes for text: one that begins like a formula is quoted with `'`.
/// A telephone number keeps its plus: it is no formula that could do anything.
fn safe(cell: &str) -> std::borrow::Cow<'_, str> {
    let is_number = cell
        .strip_prefix('+')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_made_text_and_numbers_stay_numbers() {
        assert_eq!(safe("=1+1"), "'=1+1");
        assert_eq!(safe("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(safe("-1"), "'-1");
        assert_eq!(safe("+27821234567"), "+27821234567");
        assert_eq!(safe("+cmd|' /C calc'!A0"), "'+cmd|' /C calc'!A0");
        assert_eq!(safe("Sarah"), "Sarah");
    }

    #[test]
    fn rows_are_quoted_where_they_must_be() {
        let text = rows([vec!["a,b".into(), "say \"hi\"".into(), "x".into()]].into_iter());
        assert_eq!(text, b"\"a,b\",\"say \"\"hi\"\"\",x\r\n");
    }
}
