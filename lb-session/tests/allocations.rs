//! What is done for every request does not allocate.

use std::hint::black_box;

use lb_session::cookie::{SetCookie, find};
use lb_session::{AffinityTable, Secrets, SessionCookie, SessionId};

fn allocations(operation: impl FnOnce()) -> u64 {
    allocation_counter::measure(operation).count_total
}

#[test]
fn reading_cookies_does_not_allocate() {
    let secrets = Secrets::try_new([[1; 32], [2; 32]]).expect("the secrets are right");
    let cookie = SessionCookie::new(SetCookie::try_new("s").expect("a name"), &secrets);
    let table = AffinityTable::seal(&secrets, "web", ["a", "b"]);
    let issued = cookie.issue(&SessionId::from_random([7; 16]), None);
    let pair = issued.split(';').next().expect("a pair");
    let value = table.value("b").expect("it is in the list");
    let field = format!("a=1; b=2; lb_route={value}; c=3; {pair}");
    let found = allocations(|| assert!(black_box(find(field.as_bytes(), "c")).is_some()));
    let verified = allocations(|| assert!(black_box(table.verify(value.as_bytes())).is_some()));
    let read = allocations(|| assert!(cookie.read([field.as_bytes()]).is_some()));
    assert_eq!((found, verified, read), (0, 0, 0));
    // So that the count is known to count.
    assert_eq!(allocations(|| drop(black_box(vec![1]))), 1);
}
