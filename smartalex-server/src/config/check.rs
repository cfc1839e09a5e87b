//! What each key means: its type, its bounds, and the words for a value that does not fit.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::read::{Found, Setting, Value};
use super::{Config, Place};

/// Takes every key that there is into `config`, and notes every problem.
pub(super) fn take_all(found: &mut Found, config: &mut Config) {
    take(found, "sip", "udp", listener, &mut config.sip.udp);
    take(found, "sip", "tcp", listener, &mut config.sip.tcp);
    take(
        found,
        "sip",
        "public_address",
        some(address),
        &mut config.sip.public_address,
    );
    take(found, "sip", "domain", some(host), &mut config.sip.domain);
    take(
        found,
        "rtp",
        "port_range",
        port_range,
        &mut config.rtp.port_range,
    );
    take(
        found,
        "rtp",
        "public_address",
        some(address),
        &mut config.rtp.public_address,
    );
    take(found, "http", "listen", socket, &mut config.http.listen);
    take(
        found,
        "http",
        "public_url",
        some(http_url),
        &mut config.http.public_url,
    );
    take(found, "store", "url", store_url, &mut config.store.url);
    take(
        found,
        "secrets",
        "key_file",
        path,
        &mut config.secrets.key_file,
    );
    take(
        found,
        "limits",
        "global_calls",
        calls,
        &mut config.limits.global_calls,
    );
    take(
        found,
        "limits",
        "workspace_calls",
        calls,
        &mut config.limits.workspace_calls,
    );
    take(
        found,
        "limits",
        "drain_timeout",
        duration,
        &mut config.limits.drain_timeout,
    );
    let hooks = &mut config.webhooks;
    take(
        found,
        "webhooks",
        "allow_private_addresses",
        boolean,
        &mut hooks.allow_private_addresses,
    );
    take(
        found,
        "webhooks",
        "retry_delays",
        delays,
        &mut hooks.retry_delays,
    );
    take(
        found,
        "webhooks",
        "timeout",
        positive_duration,
        &mut hooks.timeout,
    );
    take(
        found,
        "voice",
        "command",
        some(command),
        &mut config.voice.command,
    );
    take(found, "voice", "url", some(http_url), &mut config.voice.url);
    take(found, "node", "id", node_id, &mut config.node.id);
    take(
        found,
        "node",
        "region",
        some(node_id),
        &mut config.node.region,
    );
    check_together(found, config);
}

/// What can be seen only when all keys are there.
fn check_together(found: &mut Found, config: &mut Config) {
    if config.sip.udp.is_none() && config.sip.tcp.is_none() {
        found.problem(
            Place::Default,
            "sip.udp",
            "sip.udp and sip.tcp are both off: no call could arrive",
        );
    }
    if config.voice.command.is_some() && config.voice.url.is_some() {
        found.problem(
            Place::Default,
            "voice.url",
            "voice.command and voice.url are both set: set one of them",
        );
    }
    if let Some(text) = found.take_master_key() {
        config.secrets.master_key = Some(crate::secrets::Secret::new(text));
    }
}

fn take<T>(
    found: &mut Found,
    section: &'static str,
    key: &'static str,
    parse: impl Fn(&Value) -> Result<T, String>,
    into: &mut T,
) {
    let Some(Setting { place, value }) = found.take(section, key) else {
        return;
    };
    match parse(&value) {
        Ok(parsed) => *into = parsed,
        Err(message) => found.problem(place, &format!("{section}.{key}"), message),
    }
}

fn some<T>(
    parse: impl Fn(&Value) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<Option<T>, String> {
    move |value| parse(value).map(Some)
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) | Value::Raw(text) => Ok(text),
        other => Err(format!("is {}, but has to be a string", other.kind())),
    }
}

fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Integer(integer) => Ok(*integer),
        Value::Raw(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is not an integer")),
        other => Err(format!("is {}, but has to be an integer", other.kind())),
    }
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        Value::Raw(text) => text
            .trim()
            .parse()
            .map_err(|_| format!("{text:?} is neither true nor false")),
        other => Err(format!("is {}, but has to be true or false", other.kind())),
    }
}

/// A list; in the environment its entries are parted by commas.
fn list(value: &Value) -> Result<Vec<Value>, String> {
    match value {
        Value::List(items) => Ok(items.clone()),
        Value::Raw(text) => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| Value::Raw(item.to_owned()))
            .collect()),
        other => Err(format!("is {}, but has to be a list", other.kind())),
    }
}

fn socket(value: &Value) -> Result<SocketAddr, String> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        format!("{text:?} is not an address and port such as \"0.0.0.0:5060\" or \"[::]:5060\"")
    })
}

fn listener(value: &Value) -> Result<Option<SocketAddr>, String> {
    if text(value)? == "off" {
        return Ok(None);
    }
    socket(value)
        .map(Some)
        .map_err(|message| format!("{message}, nor \"off\""))
}

fn address(value: &Value) -> Result<IpAddr, String> {
    let text = text(value)?;
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is not an IP address such as \"203.0.113.7\""))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("{text:?} is no address that a peer could reach"));
    }
    Ok(address)
}

fn host(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let fits = !text.is_empty()
        && text.len() <= 253
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a host name such as \"sip.example.com\""
        ))
    }
}

fn http_url(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let uri: hyper::Uri = text
        .parse()
        .map_err(|_| format!("{text:?} is not an http:// or https:// address"))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("{text:?} is not an http:// or https:// address")),
    }
}

fn store_url(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    match text.strip_prefix("sqlite://") {
        Some(path) if !path.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{text:?} is not sqlite://PATH")),
    }
}

fn path(value: &Value) -> Result<PathBuf, String> {
    match text(value)? {
        "" => Err("is empty".to_owned()),
        text => Ok(PathBuf::from(text)),
    }
}

fn port_range(value: &Value) -> Result<std::ops::RangeInclusive<u16>, String> {
    let text = text(value)?;
    let wrong = || format!("{text:?} is not a range of ports such as \"10000-60000\"");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first: u16 = first.trim().parse().map_err(|_| wrong())?;
    let last: u16 = last.trim().parse().map_err(|_| wrong())?;
    if first < 1024 {
        return Err(format!("{text:?} begins below 1024"));
    }
    // The first even port and the odd one after it have to be inside.
    if u32::from(first).next_multiple_of(2) + 1 > u32::from(last) {
        return Err(format!(
            "{text:?} holds no even port with the odd one after it: a call takes two"
        ));
    }
    Ok(first..=last)
}

fn calls(value: &Value) -> Result<u32, String> {
    let number = integer(value)?;
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=1_000_000).contains(number))
        .ok_or_else(|| format!("{number} is not between 1 and 1000000"))
}

/// `"10s"`, `"500ms"`, `"5m"`, `"1h"`; a bare integer is seconds.
fn duration(value: &Value) -> Result<Duration, String> {
    if let Value::Integer(seconds) = value {
        return u64::try_from(*seconds)
            .ok()
            .filter(|seconds| *seconds <= LONGEST.as_secs())
            .map(Duration::from_secs)
            .ok_or_else(|| {
                format!(
                    "{seconds} is not between 0 and {} seconds",
                    LONGEST.as_secs()
                )
            });
    }
    let text = text(value)?;
    let wrong =
        || format!("{text:?} is not a duration such as \"500ms\", \"10s\", \"5m\" or \"1h\"");
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => return Err(wrong()),
    };
    millis
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("{text:?} is longer than a day"))
}

fn positive_duration(value: &Value) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err("is zero: nothing could be done in that time".to_owned()),
        duration => Ok(duration),
    }
}

fn delays(value: &Value) -> Result<Vec<Duration>, String> {
    let items = list(value)?;
    if items.len() > 20 {
        return Err(format!("has {} entries, 20 are the most", items.len()));
    }
    items.iter().map(duration).collect()
}

fn command(value: &Value) -> Result<Vec<String>, String> {
    // In the environment a command is one line; commas belong to it.
    let words: Vec<String> = match value {
        Value::Raw(line) => line.split_whitespace().map(str::to_owned).collect(),
        other => list(other)?
            .iter()
            .map(|word| text(word).map(str::to_owned))
            .collect::<Result<_, _>>()?,
    };
    if words.first().is_none_or(String::is_empty) {
        return Err("has no program: write [\"program\", \"argument\"]".to_owned());
    }
    Ok(words)
}

fn node_id(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a name of 1 to 64 letters, digits, '-', '_' and '.'"
        ))
    }
}

const LONGEST: Duration = Duration::from_secs(86_400);
