//! What hosts do: the table that `filter::behaviours` plays on the hosts that tests run on, in a real Envoy.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use host_tests::behaviours::{self, APART, LEAVES, ROUTES, Row, Seen, VARIABLE};
use host_tests::stack::{Answer, Ingress, Setup};
use host_tests::traffic::{self, Echo};
use serde_json::{Value, json};

/// How long what the probe tells may take to stand in the log.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn envoy_does_what_the_table_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let echo = runtime.block_on(Echo::start()).unwrap().port();
    let setup =
        Setup { forge: echo, registry: echo, token_lookup: echo, workers: 2, filter: &[], change: &with_the_probe };
    let ingress = Ingress::set_up(&setup).unwrap();
    let rows = behaviours::table().unwrap();
    let wrong: Vec<String> = rows.iter().filter_map(|row| row.wrong(&play(&ingress, row))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The probe in the filter's place.
fn with_the_probe(configuration: &mut Value) -> anyhow::Result<()> {
    let manager = configuration
        .pointer_mut("/static_resources/listeners/0/filter_chains/0/filters/0/typed_config")
        .expect("a connection manager");
    manager["http_protocol_options"] = json!({"enable_trailers": true});
    let hosts = manager["route_config"]["virtual_hosts"].as_array_mut().expect("virtual hosts");
    for routes in hosts.iter_mut().map(|host| host["routes"].as_array_mut().expect("routes")) {
        let mut routed = routes[0].clone();
        let (by, says) = ROUTES;
        routed["match"]["headers"] = json!([{"name": by, "string_match": {"exact": "write"}}]);
        routed["request_headers_to_add"] = json!([{"header": {"key": says, "value": "write"}}]);
        routes.insert(0, routed);
    }
    let filters = manager["http_filters"].as_array_mut().expect("filters");
    let filter = filters.iter_mut().find(|filter| filter["name"] == "jobscope").expect("the filter");
    let plugin = &mut filter["typed_config"]["config"];
    plugin["vm_config"]["code"]["local"]["filename"] = json!(behaviours::probe());
    plugin["vm_config"]["environment_variables"]["key_values"] = json!({VARIABLE.0: VARIABLE.1});
    let table = behaviours::configuration(&behaviours::table().expect("the table"));
    plugin["configuration"] =
        json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": table.to_string()});
    Ok(())
}

fn play(ingress: &Ingress, row: &Row) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..row.sends.times {
        let answer = ask(ingress.port(), row);
        let fields = answer.head.lines().filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let upstream: Option<traffic::Seen> = serde_json::from_slice(&answer.body).ok();
        seen.upstream = upstream.map(|seen| (seen.path, seen.length, seen.fields));
        (seen.client, seen.gets) = (answer.status, (answer.body, fields));
    }
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        seen.lines = behaviours::lines(ingress.log().unwrap().lines(), &row.name);
        if row.is_told(&seen.lines) {
            break;
        }
        sleep(Duration::from_millis(20));
    }
    seen
}

/// A client that sends its request piece by piece.
fn ask(port: u16, row: &Row) -> Answer {
    let sends = &row.sends;
    let mut head = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n", sends.method, row.path());
    for (name, value) in &sends.fields {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let length: usize = sends.body.iter().map(String::len).sum();
    match (sends.trailers, length) {
        (true, _) => head.push_str("Transfer-Encoding: chunked\r\n"),
        (false, 0) => {}
        (false, length) => {
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
    }
    head.push_str("\r\n");
    let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_nodelay(true).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    for (number, piece) in sends.body.iter().enumerate() {
        sleep(APART);
        let piece = match (sends.trailers, number + 1 == sends.body.len()) {
            (false, _) => piece.clone(),
            (true, false) => format!("{:x}\r\n{piece}\r\n", piece.len()),
            (true, true) => format!("{:x}\r\n{piece}\r\n0\r\nx-trailer: 1\r\n\r\n", piece.len()),
        };
        // It may have been answered before.
        let _ = connection.write_all(piece.as_bytes());
    }
    if sends.leaves {
        connection.set_read_timeout(Some(LEAVES)).unwrap();
    }
    let (mut answer, mut piece, begin) = (Vec::new(), [0; 16 << 10], Instant::now());
    while !sends.leaves || begin.elapsed() < LEAVES {
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(size) => answer.extend_from_slice(&piece[..size]),
        }
    }
    Answer::read(answer, begin.elapsed())
}
