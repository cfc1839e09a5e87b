//! Digest fields as peers write them.

use super::*;

#[test]
fn a_challenge_round_trips() {
    let text = r#"Digest realm="atlanta.com", nonce="84a4cc6f3082121f32b42a2187831a9e", opaque="", stale=true, algorithm=SHA-256, qop="auth,auth-int""#;
    let challenge = WwwAuthenticate::parse(text).unwrap();
    assert_eq!(challenge.algorithm, Some(Algorithm::Sha256));
    assert_eq!(challenge.qop, [Qop::Auth, Qop::AuthInt]);
    assert!(challenge.stale);
    assert_eq!(challenge.to_string(), text);
}

#[test]
fn credentials_as_sipp_joins_them_are_read() {
    let text = concat!(
        r#"Digest username="x",realm="r",cnonce="c",nc=00000001,qop=auth,"#,
        r#"uri="sip:127.0.0.1:5999",nonce="abc",response="6629fae49393a05397450978507c4ef1","#,
        "algorithm=MD5"
    );
    let credentials = Authorization::parse(text).unwrap();
    assert_eq!(credentials.username, "x");
    assert_eq!(credentials.nc, Some(1));
    assert_eq!(credentials.qop, Some(Qop::Auth));
    assert_eq!(
        Authorization::parse(&credentials.to_string()).unwrap(),
        credentials
    );
}

#[test]
fn debug_does_not_show_the_response() {
    let text = r#"Digest username="x", realm="r", nonce="n", uri="sip:a", response="secretsecret""#;
    let credentials = Authorization::parse(text).unwrap();
    assert!(!format!("{credentials:?}").contains("secretsecret"));
}

#[test]
fn other_schemes_and_missing_or_repeated_parameters_are_told_apart() {
    let fault = |text| Authorization::parse(text).unwrap_err().fault().clone();
    assert_eq!(
        fault("NoOneKnowsThisScheme opaque-data=here"),
        Fault::Scheme
    );
    assert_eq!(fault(r#"Digest realm="r""#), Fault::Missing("username"));
    let twice = r#"Digest username="x", username="y", realm="r", nonce="n", uri="u", response="p""#;
    assert_eq!(fault(twice), Fault::Repeated("username"));
    let short = r#"Digest username="x", realm="r", nonce="n", uri="u", response="p", nc=1"#;
    assert!(matches!(fault(short), Fault::Malformed { .. }));
    assert!(matches!(fault("Digest"), Fault::Malformed { .. }));
}

#[test]
fn a_quote_in_a_user_name_cannot_start_a_parameter() {
    let credentials = Credentials {
        username: r#"a", realm="evil"#.to_owned(),
        realm: "r".into(),
        nonce: "n".into(),
        uri: "sip:a".into(),
        response: "p".into(),
        algorithm: None,
        cnonce: None,
        nc: None,
        qop: None,
        opaque: None,
    };
    let read = Authorization::parse(&credentials.to_string()).unwrap();
    assert_eq!(read.0, credentials);
}

#[test]
fn authentication_info_has_no_scheme() {
    let info =
        AuthenticationInfo::parse(r#"nextnonce="47364c", qop=auth, rspauth="a", nc=0000000a"#)
            .unwrap();
    assert_eq!(
        (info.nextnonce.as_deref(), info.nc),
        (Some("47364c"), Some(10))
    );
    assert_eq!(AuthenticationInfo::parse(&info.to_string()).unwrap(), info);
}
