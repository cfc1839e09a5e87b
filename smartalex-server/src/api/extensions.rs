//! `/v1/trunks/{id}/extensions`: who can be reached behind a trunk, one by one or as CSV.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Admin, Caller, Reader};
use super::creation::Creation;
use super::error::{ApiError, Detail, ErrorKind};
use super::fields::{self, Problems};
use super::params::{Params, missing};
use super::trunks::find as find_trunk;
use super::{many, one, piece};
use crate::app::App;
use crate::audit::AuditEntry;
use crate::ids::TrunkId;
use crate::store::{Change, PutMode};
use crate::trunks::Extension;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtensionRequest {
    extension: String,
    display_name: String,
    owner: Option<String>,
    department: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
}

/// `GET /v1/trunks/{id}/extensions`
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, ApiError> {
    let page = params.page()?;
    params.finish()?;
    let trunk = find_trunk(&app, &caller, &id).await?;
    let found = piece(app.store.extensions(&trunk.id).await?, page);
    Ok(many(&found.items, found.total, page))
}

/// `GET /v1/trunks/{id}/extensions/{extension}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Reader(caller): Reader,
    Path((id, extension)): Path<(String, String)>,
    params: Params,
) -> Result<Response, ApiError> {
    params.finish()?;
    let trunk = find_trunk(&app, &caller, &id).await?;
    let extension = find(&app, &trunk.id, &extension).await?;
    Ok(axum::Json(one(extension)).into_response())
}

/// `POST /v1/trunks/{id}/extensions`
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let begun = Creation::begin(&app, &caller, (&method, &uri), &headers, &body).await?;
    let creation = match begun {
        Ok(creation) => creation,
        Err(answer) => return Ok(answer),
    };
    let trunk = find_trunk(&app, &caller, &id).await?;
    let request: ExtensionRequest = fields::read(&headers, &body)?;
    let extension = check(request)?;
    let answer = one(&extension);
    let audit = audit(
        &caller,
        "extension.created",
        &trunk.id,
        &extension.extension,
    );
    let change = creation.change(&app, audit, StatusCode::CREATED, &answer)?;
    let added = app
        .store
        .put_extensions(&trunk.id, &[extension], PutMode::Create, &change)
        .await
        .map(|_| ());
    let response = creation
        .finish(&app, &caller, added, (StatusCode::CREATED, answer))
        .await?;
    app.reload_directory().await?;
    Ok(response)
}

/// `PATCH /v1/trunks/{id}/extensions/{extension}`: a merge patch (RFC 7396).
pub(super) async fn change(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path((id, number)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let trunk = find_trunk(&app, &caller, &id).await?;
    let before = find(&app, &trunk.id, &number).await?;
    let patch: Value = fields::read(&headers, &body)?;
    let extension = check(fields::merged(json!(before), patch)?)?;
    if extension.extension != before.extension {
        return Err(ErrorKind::Invalid
            .because("extension: the number cannot be changed; delete it and create another"));
    }
    let audit = audit(
        &caller,
        "extension.updated",
        &trunk.id,
        &extension.extension,
    );
    app.store
        .put_extensions(
            &trunk.id,
            std::slice::from_ref(&extension),
            PutMode::Replace,
            &Change::new(audit),
        )
        .await?;
    app.reload_directory().await?;
    Ok(axum::Json(one(extension)).into_response())
}

/// `DELETE /v1/trunks/{id}/extensions/{extension}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path((id, number)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let trunk = find_trunk(&app, &caller, &id).await?;
    let change = Change::new(audit(&caller, "extension.deleted", &trunk.id, &number));
    let found = app
        .store
        .delete_extension(&trunk.id, &number, &change)
        .await?;
    if !found {
        return Err(missing(ErrorKind::NotFound, "extension"));
    }
    app.reload_directory().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `PUT /v1/trunks/{id}/extensions` with `text/csv`: adds the rows, or writes those that exist
/// anew; others stay. All rows or none.
pub(super) async fn put_csv(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let is_csv = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| {
            let name = text.split(';').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case("text/csv")
        });
    if !is_csv {
        return Err(ErrorKind::WrongType.because("the body has to be text/csv"));
    }
    let trunk = find_trunk(&app, &caller, &id).await?;
    let extensions = read_csv(&body)?;
    let detail = format!("{} rows of CSV", extensions.len());
    let audit = audit(&caller, "extension.imported", &trunk.id, &detail);
    let added = app
        .store
        .put_extensions(
            &trunk.id,
            &extensions,
            PutMode::Replace,
            &Change::new(audit),
        )
        .await?;
    app.reload_directory().await?;
    let total = app.store.extensions(&trunk.id).await?.len();
    let answer = one(json!({
        "created": added,
        "updated": (extensions.len() as u64).saturating_sub(added),
        "total": total,
    }));
    Ok(axum::Json(answer).into_response())
}

async fn find(app: &App, trunk: &TrunkId, number: &str) -> Result<Extension, ApiError> {
    let extensions = app.store.extensions(trunk).await?;
    let found = extensions.into_iter().find(|one| one.extension == number);
    found.ok_or_else(|| missing(ErrorKind::NotFound, "extension"))
}

fn check(request: ExtensionRequest) -> Result<Extension, ApiError> {
    let mut problems = Problems::default();
    let extension = Extension {
        extension: problems.keep("extension", check_number(&request.extension)),
        display_name: problems.keep("display_name", fields::text(&request.display_name, 100)),
        owner: problems.keep("owner", optional(request.owner.as_deref())),
        department: problems.keep("department", optional(request.department.as_deref())),
        aliases: problems.keep(
            "aliases",
            check_aliases(request.aliases.iter().map(String::as_str)),
        ),
    };
    problems.finish()?;
    Ok(extension)
}

/// What may stand before the `@` of a SIP URI without being escaped (RFC 3261 25.1), short.
fn check_number(number: &str) -> Result<String, String> {
    let number = number.trim();
    let fits = (1..=32).contains(&number.len())
        && number
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'+' | b'-' | b'_' | b'.'));
    if fits {
        Ok(number.to_owned())
    } else {
        Err("has to be 1 to 32 letters, digits or any of * + - _ .".to_owned())
    }
}

fn check_aliases<'a>(aliases: impl Iterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut kept: Vec<String> = Vec::new();
    for alias in aliases {
        let alias = fields::text(alias, 100)?;
        if !kept.contains(&alias) {
            kept.push(alias);
        }
    }
    if kept.len() > MOST_ALIASES {
        return Err(format!("are {}, {MOST_ALIASES} are the most", kept.len()));
    }
    Ok(kept)
}

fn optional(text: Option<&str>) -> Result<Option<String>, String> {
    match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => fields::text(text, 100).map(Some),
    }
}

/// Reads `extension,display_name,owner,department,aliases`; columns may come in any order and
/// the last three may be missing. Every problem is told, by row and column.
fn read_csv(body: &[u8]) -> Result<Vec<Extension>, ApiError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = std::str::from_utf8(body)
        .map_err(|_| ErrorKind::Malformed.because("the CSV has to be UTF-8"))?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let columns = read_columns(&mut reader)?;
    let mut problems = Vec::new();
    let mut extensions = Vec::new();
    let mut seen = HashSet::new();
    for (index, record) in reader.records().enumerate() {
        // The header is row 1.
        let row = index + 2;
        if index >= MOST_ROWS {
            return Err(ErrorKind::Invalid.because(format!(
                "more than {MOST_ROWS} rows; send them in several requests"
            )));
        }
        let mut note = |column: &str, message: String| {
            problems.push(Detail {
                row: Some(row),
                column: Some(column.to_owned()),
                field: None,
                message,
            });
        };
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                note("", format!("cannot be read: {error}"));
                continue;
            }
        };
        if record.len() != columns.len() {
            let message = format!("has {} cells, the header {}", record.len(), columns.len());
            note("", message);
            continue;
        }
        let cell = |name: &str| {
            let at = columns.iter().position(|column| column == name);
            at.and_then(|at| record.get(at)).unwrap_or_default()
        };
        let mut keep = |column: &str, value: Result<String, String>| {
            value.unwrap_or_else(|message| {
                note(column, message);
                String::new()
            })
        };
        let number = keep("extension", check_number(cell("extension")));
        let display_name = keep("display_name", fields::text(cell("display_name"), 100));
        if !number.is_empty() && !seen.insert(number.clone()) {
            note("extension", format!("{number} is there twice"));
        }
        let mut maybe = |column: &str| {
            optional(Some(cell(column))).unwrap_or_else(|message| {
                note(column, message);
                None
            })
        };
        let owner = maybe("owner");
        let department = maybe("department");
        let names = cell("aliases").split('|').map(str::trim);
        let aliases = check_aliases(names.filter(|name| !name.is_empty()));
        let aliases = aliases.unwrap_or_else(|message| {
            note("aliases", message);
            Vec::new()
        });
        extensions.push(Extension {
            extension: number,
            display_name,
            owner,
            department,
            aliases,
        });
    }
    if let Some(first) = problems.first() {
        let message = format!(
            "row {}, column {:?}: {}; nothing was changed",
            first.row.unwrap_or(0),
            first.column.as_deref().unwrap_or_default(),
            first.message
        );
        problems.truncate(MOST_PROBLEMS);
        return Err(ErrorKind::Invalid.because(message).with(problems));
    }
    if extensions.is_empty() {
        return Err(ErrorKind::Invalid.because("the CSV has no rows"));
    }
    Ok(extensions)
}

fn read_columns(reader: &mut csv::Reader<&[u8]>) -> Result<Vec<String>, ApiError> {
    let header = reader.headers().map_err(|error| {
        ErrorKind::Malformed.because(format!("the CSV cannot be read: {error}"))
    })?;
    let columns: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    let mut problems = Vec::new();
    let mut note = |column: &str, message: &str| {
        problems.push(Detail {
            row: Some(1),
            column: Some(column.to_owned()),
            field: None,
            message: message.to_owned(),
        });
    };
    for (index, column) in columns.iter().enumerate() {
        if !COLUMNS.contains(&column.as_str()) {
            note(column, "is no column of extensions");
        } else if columns.iter().take(index).any(|other| other == column) {
            note(column, "is there twice");
        }
    }
    for needed in ["extension", "display_name"] {
        if !columns.iter().any(|column| column == needed) {
            note(needed, "is missing");
        }
    }
    if problems.is_empty() {
        Ok(columns)
    } else {
        Err(ErrorKind::Invalid
            .because(format!("row 1 has to be {}", COLUMNS.join(",")))
            .with(problems))
    }
}

fn audit(caller: &Caller, event_type: &str, trunk: &TrunkId, detail: &str) -> AuditEntry {
    AuditEntry::new(
        &caller.workspace,
        caller.key.as_str(),
        event_type,
        trunk.as_str(),
        detail,
    )
}

const COLUMNS: [&str; 5] = [
    "extension",
    "display_name",
    "owner",
    "department",
    "aliases",
];
const MOST_ROWS: usize = 500;
const MOST_ALIASES: usize = 20;
const MOST_PROBLEMS: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_of_a_spreadsheet_is_read() {
        let csv = "\u{feff}extension,display_name,owner,department,aliases\r\n\
                   101,Sales,Sarah Jones,Sales,sarah|sales team\r\n\
                   102,\"Support, second line\",,,\r\n";
        let read = read_csv(csv.as_bytes()).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].aliases, ["sarah", "sales team"]);
        assert_eq!(read[1].display_name, "Support, second line");
        assert_eq!(read[1].owner, None);
    }

    #[test]
    fn every_problem_is_told_by_row_and_column() {
        let csv = "extension,display_name,owner\n101,Sales,x\n1 1,,y\n101,Again,z\n5,Five\n";
        let error = read_csv(csv.as_bytes()).unwrap_err();
        let places: Vec<_> = error
            .details
            .iter()
            .map(|detail| (detail.row.unwrap(), detail.column.clone().unwrap()))
            .collect();
        assert_eq!(
            places,
            [
                (3, "extension".to_owned()),
                (3, "display_name".to_owned()),
                (4, "extension".to_owned()),
                (5, String::new()),
            ]
        );
    }

    #[test]
    fn a_wrong_header_and_too_many_rows_are_refused() {
        assert!(read_csv(b"extension,name\n1,x\n").is_err());
        assert!(read_csv(b"").is_err());
        assert!(read_csv(b"extension,display_name\n").is_err());
        assert!(read_csv(b"extension,display_name\n1,\xff\n").is_err());
        let mut csv = "extension,display_name\n".to_owned();
        for number in 0..500 {
            csv.push_str(&format!("{number},Name\n"));
        }
        assert_eq!(read_csv(csv.as_bytes()).unwrap().len(), 500);
        csv.push_str("500,Name\n");
        assert!(read_csv(csv.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text in "(extension,display_name\\n)?[ -~\\n\",|]{0,200}") {
            let _ = read_csv(text.as_bytes());
        }
    }
}
