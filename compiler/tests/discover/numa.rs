//! How far NUMA nodes are from each other.

use gpupol::topology::{Fact, NumaNode};

use crate::recorded;
use crate::simulation::Simulation;

const NODES: &str = "sys/devices/system/node";

fn host(name: &str) -> Simulation {
    let simulation = Simulation::of(name, &recorded("t4-1x-cloud"));
    std::fs::remove_dir_all(simulation.root().join(NODES)).unwrap();
    simulation
}

fn found(simulation: &Simulation) -> Fact<Vec<NumaNode>> {
    simulation.discover().unwrap().numa_nodes
}

#[test]
fn numbers_with_gaps_are_read_in_their_order() {
    let simulation = host("numa-gaps");
    for (node, distances) in [(8, "40 10 80"), (252, "80 80 10"), (0, "10 40 80")] {
        simulation.write(&format!("{NODES}/node{node}/distance"), &format!("{distances}\n"));
    }
    simulation.write(&format!("{NODES}/has_cpu"), "0,8\n");
    let node = |node, distances: [u32; 3]| NumaNode { node, distances: distances.into() };
    let expected = [node(0, [10, 40, 80]), node(8, [40, 10, 80]), node(252, [80, 80, 10])];
    assert_eq!(found(&simulation), Fact::Known(expected.into()));
}

#[test]
fn a_kernel_without_numa_has_no_nodes() {
    assert_eq!(found(&host("numa-none")), Fact::Absent);
}

#[test]
fn what_is_no_row_of_distances_is_unknown() {
    for (name, text) in [("numa-short", "10"), ("numa-words", "10 far"), ("numa-long", "10 20 30")] {
        let simulation = host(name);
        simulation.write(&format!("{NODES}/node0/distance"), text);
        simulation.write(&format!("{NODES}/node1/distance"), "20 10\n");
        let why = format!("`/{NODES}/node0/distance` does not hold a distance for each of 2 nodes");
        assert_eq!(found(&simulation), Fact::Unknown(why), "{text}");
    }
    let simulation = host("numa-silent");
    simulation.write(&format!("{NODES}/node0/cpulist"), "0-3\n");
    assert_eq!(found(&simulation), Fact::unknown(format!("`/{NODES}/node0/distance`: no such file")));
}
