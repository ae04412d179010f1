//! The documents say what the code does.

use std::collections::BTreeMap;

use haoyuan::codec;
use haoyuan::model::*;
use haoyuan::protocol::*;

const PROTOCOL: &str = include_str!("../../docs/protocol.md");
const GOLDEN: &str = include_str!("golden/wire.hex");

/// The blocks of the document that are marked as hex, by name.
fn blocks() -> BTreeMap<&'static str, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    for block in PROTOCOL.split("```hex ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        let (hex, _) = rest.split_once("```").unwrap();
        assert!(blocks.insert(name, bytes(hex)).is_none(), "{name} stands twice");
    }
    blocks
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The cells of the rows of the table whose header begins so.
fn table(header: &str) -> Vec<Vec<&'static str>> {
    let start = PROTOCOL.find(header).unwrap_or_else(|| panic!("no table {header}"));
    let (_, table) = PROTOCOL.split_at(start);
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let cells = |row: &'static str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`')).collect()
    };
    rows.map(cells).filter(|row: &Vec<&str>| !row[0].starts_with("---")).collect()
}

fn again(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    write(&mut buffer);
    buffer
}

/// Decodes an example as what its name says it is, and writes it again.
fn round_trip(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name.split_once('.').unwrap() {
        ("hello", "client" | "client_2") => {
            again(|buffer| ClientHello::read(bytes).unwrap().write(buffer))
        }
        ("hello", "server" | "server_2") => {
            again(|buffer| ServerHello::read(bytes).unwrap().write(buffer))
        }
        ("request", kind) => {
            let (correlation, request) = decode_request(bytes).unwrap();
            assert!(kind.starts_with(request.operation().name()), "{name}: {request:?}");
            again(|buffer| write_request(correlation, &request, buffer))
        }
        ("reply", _) => {
            let (correlation, reply) = decode_reply(bytes).unwrap();
            again(|buffer| write_reply(correlation, &reply, buffer))
        }
        ("fact", _) => {
            let mut record = decode_fact_item(bytes).unwrap();
            let facts = codec::decode_facts(&record.facts).unwrap();
            record.facts = again(|buffer| codec::encode_facts(&facts, buffer));
            again(|buffer| write_fact_item(&record, buffer))
        }
        ("push", "heartbeat") => again(|buffer| Heartbeat::read(bytes).unwrap().write(buffer)),
        ("frame", "requests") => {
            let (mut assembler, mut packer) = (Assembler::default(), Packer::default());
            assembler.push(bytes);
            while let Some((kind, unit)) = assembler.next_unit().unwrap() {
                let (correlation, request) = decode_request(unit).unwrap();
                packer.item(kind, |buffer| write_request(correlation, &request, buffer));
            }
            packer.take()
        }
        _ => panic!("{name} is no kind of example"),
    }
}

#[test]
fn every_example_of_the_protocol_decodes_and_is_the_golden_one() {
    let golden: BTreeMap<&str, Vec<u8>> = GOLDEN
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, hex)| (name, bytes(hex)))
        .collect();
    let blocks = blocks();
    assert!(golden.keys().eq(blocks.keys()), "{:?} {:?}", golden.keys(), blocks.keys());
    for (name, example) in &blocks {
        assert_eq!(example, &golden[name], "{name}");
        assert_eq!(&round_trip(name, example), example, "{name}");
    }
}

#[test]
fn every_operation_has_its_heading_and_its_example() {
    for operation in Operation::ALL {
        let heading = format!("\n### {} ({})\n", operation.name(), operation as u8);
        assert!(PROTOCOL.contains(&heading), "{heading}");
        assert!(blocks().contains_key(format!("request.{}", operation.name()).as_str()));
    }
}

#[test]
fn outcomes_are_documented_in_order_of_precedence() {
    let documented: Vec<(String, &str, bool)> = table("| code | outcome |")[1..]
        .iter()
        .inspect(|row| assert!(row[3].ends_with('.'), "{row:?} has no sentence"))
        .map(|row| (row[0].to_owned(), row[1], row[2] == "transient"))
        .collect();
    let known: Vec<(String, &str, bool)> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.code().to_string(), outcome.name(), outcome.is_transient()))
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn close_codes_and_kinds_of_frames_are_documented() {
    let documented: Vec<(String, &str)> = table("| code | name | meaning |")[1..]
        .iter()
        .map(|row| (row[0].to_owned(), row[1]))
        .collect();
    let known: Vec<(String, &str)> =
        CloseCode::ALL.iter().map(|code| (code.code().to_string(), code.name())).collect();
    assert_eq!(documented, known);
    let documented: Vec<(String, String)> = table("| kind | name | sent by |")[1..]
        .iter()
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    let known: Vec<(String, String)> = FrameKind::ALL
        .iter()
        .map(|kind| ((*kind as u8).to_string(), format!("{kind:?}")))
        .collect();
    assert_eq!(documented, known);
}

#[test]
fn roles_may_ask_what_the_documented_table_says_and_nothing_else() {
    let rows = table("| operation | gateway");
    let roles: Vec<Role> = rows[0][1..].iter().map(|name| Role::from_name(name).unwrap()).collect();
    assert_eq!(roles, Role::ALL);
    let operations: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(operations, Operation::ALL.map(Operation::name));
    for (operation, row) in Operation::ALL.into_iter().zip(&rows[1..]) {
        for (role, cell) in Role::ALL.into_iter().zip(&row[1..]) {
            assert_eq!(*cell == "x", permits(role, operation), "{role:?} {operation:?}");
            assert!(matches!(*cell, "x" | ""), "{cell}");
        }
    }
}

#[test]
fn limits_are_documented_as_they_are() {
    let thousands = |number: usize| match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", number / 1_000, number % 1_000),
    };
    for sentence in [
        format!("A frame is at most {} bytes", thousands(FRAME_BYTES_MAX)),
        format!("A request is at most {} bytes", thousands(REQUEST_BYTES_MAX)),
        format!("At most {} changes of a stream wait", thousands(IN_FLIGHT_MAX as usize)),
        format!("At most {} streams per connection", haoyuan::server::limits::STREAMS_MAX),
        format!("(at most {CLIENT_NAME_BYTES_MAX} bytes)"),
        format!("At most {} organizations", limits::ACTOR_ORGANIZATIONS_MAX),
        format!("without any packet for {} s", haoyuan::server::limits::IDLE_TIMEOUT.as_secs()),
        format!(
            "does not end within {} s is forgotten",
            haoyuan::server::limits::HANDSHAKE_TIME_MAX.as_secs()
        ),
        format!(
            "({}, or {} of one address)",
            haoyuan::server::limits::HANDSHAKES_MAX,
            haoyuan::server::limits::HANDSHAKES_PER_ADDRESS_MAX
        ),
        format!("makes the node wait for {} s", haoyuan::server::limits::PEER_TIME_MAX.as_secs()),
        format!(
            "closed with code {} within {} s",
            CloseCode::CertificateNotValid.code(),
            haoyuan::server::limits::CERTIFICATES_LOOK.as_secs()
        ),
    ] {
        assert!(PROTOCOL.contains(&sentence), "{sentence}");
    }
}
