//! Responses that must never reach a client as complete.

use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Refused from what is at hand, without waiting for the backend to say more.
fn assert_refused(response: impl AsRef<[u8]>) {
    let mut script = Script::saying(&response);
    script.stays_open = true;
    let mut exchange = get(script);
    let text = String::from_utf8_lossy(response.as_ref());
    let text = &text[..text.len().min(100)];
    match receive_now(&mut exchange) {
        Some(Err(Http1Error::BadResponse(_))) => {}
        other => panic!("{text:?}: {other:?}"),
    }
    assert!(exchange.into_connection().is_none(), "{text:?}");
}

#[test]
fn refuses_bad_heads() {
    for response in [
        "garbage",
        "<html>HTTP/0.9</html>\r\n",
        "\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 20 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 2000 X\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\rc\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\0c\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: b\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\n\r\n",
    ] {
        assert_refused(response);
    }
}

#[test]
fn refuses_doubtful_framing() {
    for fields in [
        "transfer-encoding: chunked\r\ncontent-length: 5",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -5",
        "content-length: 0x5",
        "content-length: 5 5",
        "content-length:",
        "content-length: 5,",
        "content-length: 18446744073709551616",
        "transfer-encoding: gzip",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: xchunked",
        "transfer-encoding: identity",
        "transfer-encoding:",
    ] {
        assert_refused(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nhello"));
    }
    assert_refused("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
}

#[test]
fn refuses_bad_chunks() {
    for chunks in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\nx",
        "0x1\r\nx",
        " 1\r\nx",
        "1 \r\nx\r\n0\r\n\r\n",
        "1\nx\n0\n\n",
        "1\rx",
        "1;a\nx\r\n0\r\n\r\n",
        "10000000000000000\r\nx",
        "00000000000000001\r\nx",
        "1\r\nxy\r\n0\r\n\r\n",
        "1\r\nx0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "0\r\na : b\r\n\r\n",
        "0\r\na: b\n\r\n",
        "0\r\na: b\0\r\n\r\n",
        "0\r\n\n",
    ] {
        assert_refused(format!("{CHUNKED}{chunks}"));
    }
    assert_refused(format!("{CHUNKED}1;{}", "a".repeat(20_000)));
    assert_refused(format!(
        "{CHUNKED}{}",
        format!("1;{}\r\nx\r\n", "a".repeat(100)).repeat(200)
    ));
    assert_refused(format!("{CHUNKED}0\r\n{}", "a: b\r\n".repeat(101)));
    assert_refused(format!("{CHUNKED}0\r\na: {}", "b".repeat(70_000)));
}

#[test]
fn refuses_what_is_too_large() {
    assert_refused(format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "a: b\r\n".repeat(10_000)
    ));
    assert_refused(format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101)));
    assert_refused(format!(
        "HTTP/1.1 200 OK\r\na: {}\r\n\r\n",
        "b".repeat(1_000_000)
    ));
    assert_refused("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(200));
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(
        receive_now(&mut get(Script::saying(most)))
            .unwrap()
            .unwrap()
            .head
            .headers()
            .len(),
        100
    );
    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(10) + "HTTP/1.1 204 X\r\n\r\n";
    assert_eq!(
        receive_now(&mut get(Script::saying(hints)))
            .unwrap()
            .unwrap()
            .interim,
        [103; 10]
    );
}

#[test]
fn never_ends_a_truncated_body() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let bodies = [
        (length, "hell"),
        (length, ""),
        (CHUNKED, ""),
        (CHUNKED, "5"),
        (CHUNKED, "5\r\nhel"),
        (CHUNKED, "5\r\nhello"),
        (CHUNKED, "5\r\nhello\r\n"),
        (CHUNKED, "5\r\nhello\r\n0\r\n"),
        (CHUNKED, "5\r\nhello\r\n0\r\na: b\r\n"),
        ("HTTP/1.1 200 OK\r\n\r\n", "hello"),
    ];
    for (head, body) in bodies {
        for read_error in [
            None,
            Some(io::ErrorKind::UnexpectedEof),
            Some(io::ErrorKind::ConnectionReset),
        ] {
            let is_clean_end = head == bodies[9].0 && read_error.is_none();
            let mut script = Script::saying(format!("{head}{body}"));
            script.read_error = read_error;
            let mut exchange = get(script);
            let result = receive_now(&mut exchange).unwrap();
            match result {
                Ok(received) if is_clean_end => assert_eq!(received.text(), "hello"),
                Err(Http1Error::Truncated) if !is_clean_end => {}
                other => panic!("{body:?}: {other:?}"),
            }
        }
    }
}

#[test]
fn tells_a_head_cut_off_from_no_head() {
    for (said, expected) in [("", false), ("HTTP/1.1 200 OK\r\n", true)] {
        let mut script = Script::saying(said);
        if said.is_empty() {
            script.says.clear();
        }
        match receive_now(&mut get(script)).unwrap() {
            Err(Http1Error::Closed { received_any }) => assert_eq!(received_any, expected),
            other => panic!("{other:?}"),
        }
    }
}
