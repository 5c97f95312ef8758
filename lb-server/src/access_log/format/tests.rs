use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::access_log::line::sample as line;
use crate::record::Timers;

const NOT_REACHED: Timers = Timers {
    handshake: None,
    headers: None,
    queue: None,
    connect: None,
    ttfb: None,
    total: Duration::ZERO,
};

const FORMATS: [AccessLogFormat; 6] = [
    AccessLogFormat::Json,
    AccessLogFormat::Common,
    AccessLogFormat::Combined,
    AccessLogFormat::Logfmt,
    AccessLogFormat::Haproxy,
    AccessLogFormat::Pretty,
];

/// A request that was refused before anybody was asked, over a unix socket.
fn refused<'a>() -> Line<'a> {
    Line {
        trace_id: None,
        client: "127.0.0.1".parse().unwrap(),
        client_port: None,
        tls: None,
        method: "",
        host: "",
        path: "",
        query: None,
        status: 400,
        bytes_out: 0,
        route: None,
        pool: None,
        backend: None,
        attempts: 0,
        cache: None,
        affinity: None,
        reason: Some("bad_request"),
        user_agent: None,
        referer: None,
        timers: Timers {
            total: Duration::from_micros(7),
            ..NOT_REACHED
        },
        ..line()
    }
}

fn formatter(format: AccessLogFormat, headers: &[&str]) -> Formatter {
    let headers = headers.iter().map(|name| (*name).into()).collect();
    Formatter::new(format, Redaction::new(&["token".to_owned()]), headers)
}

fn written(format: AccessLogFormat, line: &Line<'_>) -> String {
    let mut out = Vec::new();
    formatter(format, &[]).write(line, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn json_has_every_key() {
    assert_eq!(
        written(AccessLogFormat::Json, &line()),
        concat!(
            r#"{"ts":"2026-11-23T15:58:01.123Z","request_id":"01a","trace_id":"0af7651916cd43dd8448eb211c80319c","#,
            r#""client_ip":"192.0.2.7","client_port":40000,"listener":"public","proto":"HTTP/2.0","tls":"TLSv1.3","#,
            r#""method":"GET","host":"app.example.com","path":"/api/users","query":"page=2&token=REDACTED","#,
            r#""status":200,"bytes_in":0,"bytes_out":1432,"route":"api","pool":"api","#,
            r#""backend":"http://10.0.0.1:3000","attempts":1,"cache":"miss","affinity":"valid","reason":null,"#,
            r#""user_agent":"curl/8.5 \"x\"","referer":"https://a.example/?token=REDACTED","#,
            r#""timers":{"handshake":1.500,"headers":0.042,"queue":0.000,"connect":0.321,"ttfb":12.345,"total":13.000}}"#,
            "\n"
        )
    );
    assert_eq!(
        written(AccessLogFormat::Json, &refused()),
        concat!(
            r#"{"ts":"2026-11-23T15:58:01.123Z","request_id":"01a","trace_id":null,"client_ip":"127.0.0.1","client_port":null,"#,
            r#""listener":"public","proto":"HTTP/2.0","tls":null,"method":"","host":"","path":"","query":null,"#,
            r#""status":400,"bytes_in":0,"bytes_out":0,"route":null,"pool":null,"backend":null,"attempts":0,"#,
            r#""cache":null,"affinity":null,"reason":"bad_request","user_agent":null,"referer":null,"#,
            r#""timers":{"handshake":-1,"headers":-1,"queue":-1,"connect":-1,"ttfb":-1,"total":0.007}}"#,
            "\n"
        )
    );
}

#[test]
fn logfmt_leaves_out_what_there_is_none_of() {
    assert_eq!(
        written(AccessLogFormat::Logfmt, &line()),
        "ts=2026-11-23T15:58:01.123Z request_id=01a trace_id=0af7651916cd43dd8448eb211c80319c \
         client_ip=192.0.2.7 client_port=40000 listener=public proto=HTTP/2.0 tls=TLSv1.3 method=GET \
         host=app.example.com path=/api/users query=\"page=2&token=REDACTED\" status=200 bytes_in=0 \
         bytes_out=1432 route=api pool=api backend=http://10.0.0.1:3000 attempts=1 cache=miss affinity=valid \
         user_agent=\"curl/8.5 \\\"x\\\"\" referer=\"https://a.example/?token=REDACTED\" timers_handshake=1.500 \
         timers_headers=0.042 timers_queue=0.000 timers_connect=0.321 timers_ttfb=12.345 timers_total=13.000\n"
    );
    assert_eq!(
        written(AccessLogFormat::Logfmt, &refused()),
        "ts=2026-11-23T15:58:01.123Z request_id=01a client_ip=127.0.0.1 listener=public proto=HTTP/2.0 method=\"\" host=\"\" path=\"\" \
         status=400 bytes_in=0 bytes_out=0 attempts=0 reason=bad_request timers_handshake=-1 timers_headers=-1 \
         timers_queue=-1 timers_connect=-1 timers_ttfb=-1 timers_total=0.007\n"
    );
}

#[test]
fn common_and_combined_are_what_apache_writes() {
    let common = "192.0.2.7 - - [23/Nov/2026:15:58:01 +0000] \
                  \"GET /api/users?page=2&token=REDACTED HTTP/2.0\" 200 1432";
    assert_eq!(
        written(AccessLogFormat::Common, &line()),
        format!("{common}\n")
    );
    assert_eq!(
        written(AccessLogFormat::Combined, &line()),
        format!("{common} \"https://a.example/?token=REDACTED\" \"curl/8.5 \\x22x\\x22\"\n")
    );
    assert_eq!(
        written(AccessLogFormat::Combined, &refused()),
        "127.0.0.1 - - [23/Nov/2026:15:58:01 +0000] \"-\" 400 - \"-\" \"-\"\n"
    );
}

#[test]
fn haproxy_is_what_haproxy_writes() {
    assert_eq!(
        written(AccessLogFormat::Haproxy, &line()),
        "192.0.2.7:40000 [23/Nov/2026:15:58:01.123] public~ api/http://10.0.0.1:3000 0/0/0/12/13 200 1432 - - --VN \
         0/0/0/0/0 0/0 \"GET /api/users?page=2&token=REDACTED HTTP/2.0\"\n"
    );
    assert_eq!(
        written(AccessLogFormat::Haproxy, &refused()),
        "127.0.0.1:0 [23/Nov/2026:15:58:01.123] public public/<NOSRV> -1/-1/-1/-1/0 400 0 - - PR-- 0/0/0/0/0 0/0 \
         \"<BADREQ>\"\n"
    );
}

#[test]
fn haproxy_tells_who_ended_the_exchange_and_in_which_phase() {
    let reached = |reason, points: usize| {
        let at = |point| (point < points).then_some(Duration::ZERO);
        let timers = Timers {
            queue: at(0),
            connect: at(1),
            ttfb: at(2),
            ..NOT_REACHED
        };
        let line = Line {
            reason,
            timers,
            affinity: None,
            ..line()
        };
        let written = written(AccessLogFormat::Haproxy, &line);
        written.split(' ').nth(9).unwrap().to_owned()
    };
    for (reason, points, state) in [
        (None, 3, "----"),
        (Some("no_healthy_backend"), 0, "SC--"),
        (Some("connect_refused"), 1, "SC--"),
        (Some("connect_timeout"), 1, "sC--"),
        (Some("backend_reset"), 2, "SH--"),
        (Some("backend_reset"), 3, "SD--"),
        (Some("response_timeout"), 2, "sH--"),
        (Some("bad_response"), 2, "PH--"),
        (Some("queue_timeout"), 0, "sQ--"),
        (Some("queue_full"), 0, "PR--"),
        (Some("rate_limited"), 0, "PR--"),
        (Some("client_closed"), 0, "CQ--"),
        (Some("client_closed"), 1, "CC--"),
        (Some("client_closed"), 2, "CH--"),
        (Some("client_closed"), 3, "CD--"),
        (Some("stream_idle"), 3, "cD--"),
        (Some("handler_failed"), 0, "IH--"),
    ] {
        assert_eq!(reached(reason, points), state, "{reason:?} {points}");
    }
    let hit = Line {
        backend: None,
        cache: Some("hit"),
        attempts: 0,
        ..line()
    };
    let hit = written(AccessLogFormat::Haproxy, &hit);
    assert!(
        hit.contains(" api/<CACHE> ") && hit.contains(" LRVN "),
        "{hit}"
    );
    let gone = Line {
        status: 499,
        reason: Some("client_closed"),
        attempts: 3,
        ..line()
    };
    let gone = written(AccessLogFormat::Haproxy, &gone);
    assert!(
        gone.contains(" -1 1432 ") && gone.contains(" 0/0/0/0/+2 "),
        "{gone}"
    );
}

#[test]
fn listed_fields_are_written_where_there_is_a_place() {
    let values = [Some(HeaderValue::from_static("a b|\"c\"")), None];
    let line = Line {
        headers: &values,
        ..line()
    };
    let written = |format| {
        let mut out = Vec::new();
        formatter(format, &["accept", "x-b"]).write(&line, &mut out);
        String::from_utf8(out).unwrap()
    };
    let json = written(AccessLogFormat::Json);
    assert!(
        json.contains(r#","headers":{"accept":"a b|\"c\"","x-b":null},"timers""#),
        "{json}"
    );
    let logfmt = written(AccessLogFormat::Logfmt);
    assert!(
        logfmt.contains(r#" header_accept="a b|\"c\"" timers"#),
        "{logfmt}"
    );
    let haproxy = written(AccessLogFormat::Haproxy);
    assert!(haproxy.contains(" 0/0 {a b#7C#22c#22|} \"GET"), "{haproxy}");
}

#[test]
fn pretty_tells_what_matters() {
    assert_eq!(
        written(AccessLogFormat::Pretty, &line()),
        "15:58:01.123 200 GET app.example.com/api/users?page=2&token=REDACTED 13.000ms 1432B -> \
         api/http://10.0.0.1:3000 cache=miss\n"
    );
}

proptest! {
    /// Whatever a client sends: one line, no control character, no quote beyond the format's own, and JSON that says
    /// what was sent.
    #[test]
    fn one_exchange_is_one_line_whatever_is_in_it(
        agent in vec(any::<u8>(), 0..40),
        referer in vec(any::<u8>(), 0..40),
        field in vec(prop_oneof![0x20_u8..0x7f, 0x80_u8..=0xff, Just(b'\t')], 0..40),
        host in ".*",
        path in "/.*",
        query in ".*",
        method in "[!-~]{1,20}",
    ) {
        let field = [Some(HeaderValue::from_bytes(&field).unwrap())];
        let line = Line {
            user_agent: Some(&agent),
            referer: Some(&referer),
            host: &host,
            path: &path,
            query: Some(&query),
            method: &method,
            headers: &field,
            ..line()
        };
        for format in FORMATS {
            let mut out = Vec::new();
            formatter(format, &["x-field"]).write(&line, &mut out);
            let text = String::from_utf8(out).unwrap();
            let text = text.strip_suffix('\n').unwrap();
            prop_assert!(!text.chars().any(char::is_control), "{format:?}: {text:?}");
            match format {
                AccessLogFormat::Json => {
                    let json: serde_json::Value = serde_json::from_str(text).unwrap();
                    prop_assert_eq!(&json["path"], &*path);
                    prop_assert_eq!(&json["host"], &*host);
                    prop_assert_eq!(&json["user_agent"], &*String::from_utf8_lossy(&agent));
                }
                AccessLogFormat::Common => prop_assert_eq!(text.matches('"').count(), 2),
                AccessLogFormat::Combined => prop_assert_eq!(text.matches('"').count(), 6),
                AccessLogFormat::Haproxy => {
                    prop_assert_eq!(text.matches('"').count(), 2);
                    prop_assert_eq!(text.matches(['{', '}']).count(), 2);
                    let request = text.split('"').nth(1).unwrap();
                    prop_assert_eq!(request.split(' ').count(), 3);
                }
                AccessLogFormat::Logfmt => {
                    // A quote is the format's own where no backslash stands before it; they come in pairs.
                    let bytes = text.as_bytes();
                    let mut quotes = 0;
                    let mut at = 0;
                    while at < bytes.len() {
                        match bytes[at] {
                            b'\\' => at += 1,
                            b'"' => quotes += 1,
                            _ => {}
                        }
                        at += 1;
                    }
                    prop_assert_eq!(quotes % 2, 0);
                }
                _ => {}
            }
        }
    }
}
