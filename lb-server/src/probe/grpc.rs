//! Messages of the gRPC health checking protocol (`grpc.health.v1.Health/Check`), by hand: each has
//! one field.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};

/// Where a check is sent.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `HealthCheckRequest { string service = 1; }`, uncompressed, with its length in front.
pub(super) fn request(service: &str) -> Bytes {
    let mut message = BytesMut::with_capacity(service.len() + 16);
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.put_u8(length.to_le_bytes()[0] | 0x80);
            length >>= 7;
        }
        message.put_u8(length.to_le_bytes()[0]);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(message);
    framed.freeze()
}

/// What an answer says: `Ok` is `SERVING`. `fields` are its trailers, or its head where there are none.
pub(super) fn verdict(body: &[u8], fields: &HeaderMap) -> Result<&'static str, String> {
    let text = |name| fields.get(name).and_then(|value| value.to_str().ok());
    match text(GRPC_STATUS) {
        Some("0") => {}
        Some("12") => return Err("the backend has no health service (gRPC status 12)".to_owned()),
        Some(status) => {
            let message = text(GRPC_MESSAGE).unwrap_or_default();
            return Err(format!("gRPC status {status} {message}")
                .trim_end()
                .to_owned());
        }
        None => return Err("no gRPC status".to_owned()),
    }
    match serving_status(body) {
        Some(1) => Ok("SERVING"),
        Some(0) => Err("UNKNOWN".to_owned()),
        Some(2) => Err("NOT_SERVING".to_owned()),
        Some(3) => Err("SERVICE_UNKNOWN".to_owned()),
        Some(other) => Err(format!("serving status {other}")),
        None => Err("no health check response".to_owned()),
    }
}

/// `HealthCheckResponse { ServingStatus status = 1; }`; absent is 0, and of several the last counts.
fn serving_status(framed: &[u8]) -> Option<u64> {
    let (head, message) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?) as usize;
    if head[0] != 0 || message.len() != length {
        return None;
    }
    let (mut rest, mut status) = (message, 0);
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => {
                varint(&mut rest)?;
            }
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn trailers(status: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static(status))])
    }

    #[test]
    fn writes_what_protoc_would() {
        assert_eq!(&request("")[..], b"\0\0\0\0\0");
        assert_eq!(&request("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = "x".repeat(300);
        assert_eq!(&request(&long)[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn reads_every_serving_status() {
        let said = |body: &[u8]| verdict(body, &trailers("0"));
        assert_eq!(said(b"\0\0\0\0\x02\x08\x01"), Ok("SERVING"));
        assert_eq!(said(b"\0\0\0\0\0"), Err("UNKNOWN".into()));
        assert_eq!(said(b"\0\0\0\0\x02\x08\x02"), Err("NOT_SERVING".into()));
        assert_eq!(said(b"\0\0\0\0\x02\x08\x03"), Err("SERVICE_UNKNOWN".into()));
        // Unknown fields are skipped.
        assert_eq!(said(b"\0\0\0\0\x06\x12\x02hi\x08\x01"), Ok("SERVING"));
    }

    #[test]
    fn tells_what_is_wrong_with_an_answer() {
        let body = b"\0\0\0\0\x02\x08\x01";
        assert!(
            verdict(body, &trailers("12"))
                .unwrap_err()
                .contains("no health service")
        );
        assert_eq!(verdict(body, &trailers("14")), Err("gRPC status 14".into()));
        assert_eq!(
            verdict(body, &HeaderMap::new()),
            Err("no gRPC status".into())
        );
        for body in [
            &b""[..],
            b"\0\0\0\0\x03\x08\x01",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x01\x08",
        ] {
            assert_eq!(
                verdict(body, &trailers("0")),
                Err("no health check response".into())
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = verdict(&body, &trailers("0"));
            let mut framed = vec![0];
            framed.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
            framed.extend(&body);
            let _ = verdict(&framed, &trailers("0"));
        }
    }
}
