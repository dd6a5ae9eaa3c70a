//! A ward that is flooded over UDP while its line is fine: what its kernel and its queue drop before the spool stands in
//! the city's receipt book, so that sent = stored + told as lost.

use std::time::Duration;

use crate::forward::{Forwarder, World};
use crate::overload_kernel::{DATAGRAM_BYTES, DATAGRAMS_MORE, metric, send_while_stopped};
use crate::support::{Server, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);

/// What the book says was lost: by the ward's queue, with the sender's name; by its kernel, on the forwarder's own row.
fn told(world: &World, server: &Server) -> (usize, usize) {
    let sources = world.sources(server);
    let rows = sources["sources"].as_array().unwrap();
    let sum = |name: &str, count: &dyn Fn(&serde_json::Value) -> u64| -> usize {
        let of_name = rows.iter().filter(|row| row["name"] == name);
        usize::try_from(of_name.map(count).sum::<u64>()).unwrap()
    };
    let shed = sum("may-01/lu", &|row| {
        let reasons = &row["reasons"]["rejected"];
        let by = ["flood", "queue_full"].map(|reason| reasons[reason].as_u64().unwrap_or(0)).iter().sum();
        assert_eq!(row["rejected"], by, "{row}");
        by
    });
    (shed, sum("may-01", &|row| row["lost_before_receipt"].as_u64().unwrap()))
}

#[test]
fn what_a_flooded_ward_drops_before_its_spool_stands_in_the_citys_book() {
    let world = World::new();
    let server = world.serve();
    let config = world.config(world.port, "syslog_udp = \"127.0.0.1:0\"\nrecord_bytes_max = 8192\n");
    let ward = Forwarder::start(&config);
    // The city has the same buffer; as the kernel says it, twice what is for data.
    let sent = metric(server.http, "receive_buffer_bytes") / DATAGRAM_BYTES + DATAGRAMS_MORE;
    send_while_stopped(ward.pid(), ward.address("syslog_udp"), "dong", sent);
    let stored = || world.count("message:dong*");
    wait_for("all are stored or told", PATIENCE, || {
        let (shed, lost) = told(&world, &server);
        let stored = stored();
        assert!(stored + shed + lost <= sent, "{stored} stored, {shed} and {lost} told of {sent}");
        stored + shed + lost == sent
    });
    let (shed, lost) = told(&world, &server);
    println!("ward: {sent} sent, {} stored, {shed} told as shed, {lost} as dropped by the kernel", stored());
    assert!(DATAGRAMS_MORE <= lost && 0 < stored());
    wait_for("the ward says the same", PATIENCE, || world.forwarder_row(&server)["dropped"] == shed + lost);
    // Nothing is told twice when the ward or the city starts anew.
    ward.stop();
    server.stop();
    let server = world.serve();
    let ward = Forwarder::start(&config);
    wait_for("the ward is back", PATIENCE, || world.forwarder_row(&server)["dropped"] == 0);
    assert_eq!(told(&world, &server), (shed, lost));
    ward.stop();
    server.stop();
}
