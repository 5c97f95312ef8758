//! What holds for any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const VALID: [&str; 5] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 11\r\nx-a: b\r\n\r\nhello world",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;x=\"y\"\r\nhello\r\n00B\r\n world12345\r\n0;z\r\nx-sum: 1\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    "HTTP/1.0 200 \r\nserver:\r\n\r\nuntil the end\r\n",
    "HTTP/1.1 404\r\ncontent-length: 0\r\n\r\n",
];

fn in_pieces(text: &[u8], sizes: &[usize]) -> Script {
    let mut script = Script::default();
    let mut rest = Bytes::copy_from_slice(text);
    for &size in sizes {
        let piece = rest.split_to(size.min(rest.len()));
        if !piece.is_empty() {
            script.says.push_back(piece);
        }
    }
    if !rest.is_empty() {
        script.says.push_back(rest);
    }
    script
}

fn describe(script: Script) -> String {
    format!("{:?}", receive_now(&mut get(script)).unwrap())
}

/// Undoes the chunked coding in the plainest way.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = rest.iter().position(|&byte| byte == b'\r').unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            assert_eq!(rest, b"\r\n");
            return body;
        }
        body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n");
        rest = &rest[size + 2..];
    }
}

proptest! {
    #[test]
    fn any_split_of_a_response_reads_the_same(
        index in 0..VALID.len(),
        sizes in vec(1_usize..9, 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = VALID[index].as_bytes();
        let whole = describe(in_pieces(text, &[]));
        prop_assert!(whole.starts_with("Ok"), "{}", whole);
        prop_assert_eq!(&whole, &describe(in_pieces(text, &sizes)));
        // A cut is never taken for the end, but where only the end of the connection tells it.
        let cut = cut.index(text.len());
        let result = receive_now(&mut get(in_pieces(&text[..cut], &sizes))).unwrap();
        prop_assert!(result.is_err() || index == 3);
    }

    #[test]
    fn any_bytes_are_survived(
        prefix in 0..4_usize,
        bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"\r\n01;: ,aH".to_vec())], 0..300),
        sizes in vec(1_usize..50, 0..20),
    ) {
        let prefix = [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
        ][prefix];
        let text = [prefix.as_bytes(), &bytes].concat();
        let whole = describe(in_pieces(&text, &[]));
        prop_assert_eq!(whole.starts_with("Ok"), describe(in_pieces(&text, &sizes)).starts_with("Ok"));
    }

    #[test]
    fn a_request_parses_as_exactly_one_message(
        method in "[A-Z]{1,12}",
        path in "/[!-~]{0,40}",
        host in "[!-~]{0,20}",
        pairs in vec(("[a-zA-Z-]{1,12}|host|cookie|content-length|transfer-encoding|te", "[ -~\u{80}-\u{ff}\t]{0,20}"), 0..12),
    ) {
        let headers: HeaderMap = pairs
            .iter()
            .filter_map(|(name, value)| Some((
                http::HeaderName::from_bytes(name.as_bytes()).ok()?,
                http::HeaderValue::from_bytes(value.as_bytes()).ok()?,
            )))
            .collect();
        let method: Method = method.parse().unwrap();
        let head = RequestHead {
            method: &method,
            path_and_query: &path,
            host: &host,
            headers: &headers,
            forwarding: None,
            close: true,
        };
        let connection = Connection::new(Script::silent());
        let limits = ResponseLimits::default();
        let mut exchange = Exchange::start(connection, head, Body::empty(), Some(0), limits);
        let refused = receive_now(&mut exchange).is_some();
        let sent = exchange.connection_io().heard.concat();
        if refused {
            prop_assert!(sent.is_empty());
            return Ok(());
        }
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut fields);
        prop_assert_eq!(parsed.parse(&sent), Ok(httparse::Status::Complete(sent.len())));
        prop_assert_eq!(parsed.method, Some(method.as_str()));
        prop_assert_eq!(parsed.path, Some(path.as_str()));
        prop_assert_eq!(parsed.headers[0].name, "host");
        prop_assert_eq!(parsed.headers[0].value, host.as_bytes());
        for name in ["host", "cookie", "connection", "content-length", "te"] {
            prop_assert!(parsed.headers.iter().filter(|field| field.name == name).count() <= 1);
        }
        prop_assert!(parsed.headers.iter().all(|field| field.name != "transfer-encoding"));
    }

    #[test]
    fn a_body_arrives_whole_whatever_a_write_takes(
        sizes in vec(prop_oneof![0_usize..20, 4_000_usize..5_000, 10_000_usize..40_000], 0..8),
        max_write in prop_oneof![1_usize..4_000, Just(usize::MAX)],
        chunked in any::<bool>(),
    ) {
        let mut next = 0_u8;
        let chunks: Vec<Bytes> = sizes
            .iter()
            .map(|&size| {
                next += 1;
                Bytes::from(vec![next; size])
            })
            .collect();
        let whole = chunks.concat();
        let length = (!chunked).then_some(whole.len() as u64);
        let script = Script { max_write: Some(max_write), ..Script::silent() };
        let body = body_of(chunks.into_iter().map(Frame::data));
        let mut exchange = start(script, Method::POST, &HeaderMap::new(), body, length);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // A poll may give way after some writes.
        for _ in 0..=whole.len() {
            exchange.poll_upload(&mut cx);
        }
        prop_assert!(exchange.is_upload_done());
        let sent = exchange.connection_io().heard.concat();
        let end = sent.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        let sent = if chunked { unchunked(&sent[end..]) } else { sent[end..].to_vec() };
        prop_assert!(sent == whole);
    }
}
