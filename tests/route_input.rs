//! What the example `route_server` keeps of a body is bounded by what it stands for, not by how long it was written.

#[path = "../examples/route_server/route.rs"]
#[allow(dead_code, reason = "the example's other half")]
mod route;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn parses(prefix: &str, next_hop: &str) -> bool {
    let json = format!(r#"{{"vrf_id":7,"prefix":"{prefix}","next_hop":"{next_hop}"}}"#);
    route::parse(json.as_bytes()).is_ok()
}

/// The first of these is also a seed of the fuzz target `server_input`, whose bound on a table it passed.
#[test]
fn a_route_with_padding_is_refused() {
    let zeros = "0".repeat(1000);
    assert!(!parses(&format!("10.0.0.0/{zeros}8"), "192.0.2.7"));
    assert!(!parses(&format!("{zeros}10.0.0.0/8"), "192.0.2.7"));
    assert!(!parses("10.0.0.0/8", &format!("::{zeros}1")));
    assert!(!parses("10.0.0.0/8", " 192.0.2.7"));
}

#[test]
fn the_longest_route_is_taken() {
    let longest = "1111:2222:3333:4444:5555:6666:123.123.123.123";
    assert!(parses(&format!("{longest}/128"), longest));
    assert!(parses("0.0.0.0/0", "::"));
}
