//! AMD's GPUs as the kernel lists them below `/sys/class/kfd/kfd/topology/nodes`.
//!
//! Discovery names GPUs by this and the hook finds them again by it, so both read it alike. A board may be divided into
//! several GPUs, its partitions: they share what names the board, and the kernel numbers them within `location_id`.

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// The name of its directory, a number.
    pub node: u32,
    /// `GPU-` and the board's unique id in 16 hexadecimal digits; of a board without one its PCI address. A partition
    /// has its number and that of all behind: `GPU-0123456789abcdef-3of8`.
    pub uuid: String,
    /// PCI address of the board, `0000:63:00.0`.
    pub pci: String,
    /// Which of several partitions of the board it is, from 0; absent: it is the whole board.
    pub partition: Option<u32>,
    /// Minor number of its render node.
    pub render_minor: u32,
}

/// What a node says of itself that names it.
struct Node {
    number: u32,
    unique_id: u64,
    domain: u32,
    location: u32,
    render_minor: u32,
}

/// A board: unique id, PCI domain, bus and device.
type Board = (u64, u32, u32, u32);

impl Node {
    /// The GPU that a node is; a processor has no SIMD units, and what no render node leads to can be given to nobody.
    fn read(number: u32, text: &str) -> Option<Self> {
        let wide = |name: &str| value(text, name)?.parse::<u64>().ok();
        let narrow = |name: &str| value(text, name)?.parse::<u32>().ok();
        wide("simd_count").filter(|count| *count > 0)?;
        Some(Self {
            number,
            unique_id: wide("unique_id").unwrap_or(0),
            domain: narrow("domain").unwrap_or(0),
            location: narrow("location_id")?,
            render_minor: narrow("drm_render_minor").filter(|minor| *minor > 0)?,
        })
    }

    fn board(&self) -> Board {
        (self.unique_id, self.domain, (self.location >> 8) & 0xff, (self.location >> 3) & 0x1f)
    }

    /// The kernel writes a partition's number into the four highest bits, older ones where the PCI function is.
    fn numbers(&self) -> (u32, u32) {
        (self.location >> 28, self.location & 7)
    }
}

/// The GPUs among nodes, each given by its number and the text of its `properties`; in the order of `nodes`.
///
/// # Errors
///
/// In words, if two partitions of a board cannot be told apart.
pub fn gpus(nodes: &[(u32, String)]) -> Result<Vec<Gpu>, String> {
    let nodes: Vec<Node> = nodes.iter().filter_map(|(number, text)| Node::read(*number, text)).collect();
    nodes.iter().map(|node| gpu(node, &nodes)).collect()
}

fn gpu(node: &Node, all: &[Node]) -> Result<Gpu, String> {
    let parts: Vec<&Node> = all.iter().filter(|other| other.board() == node.board()).collect();
    let (_, domain, bus, device) = node.board();
    let pci = |function: u32| format!("{domain:04x}:{bus:02x}:{device:02x}.{function}");
    let (partition, pci) = if parts.len() > 1 {
        (Some(number_within(node, &parts)?), pci(0))
    } else {
        (None, pci(node.location & 7))
    };
    let board =
        if node.unique_id == 0 { format!("GPU-{pci}") } else { format!("GPU-{:016x}", node.unique_id) };
    let uuid = match partition {
        Some(number) => format!("{board}-{number}of{}", parts.len()),
        None => board,
    };
    Ok(Gpu { node: node.number, uuid, pci, partition, render_minor: node.render_minor })
}

/// Its number among the partitions of its board: by one of the two places, whichever tells all of them apart.
fn number_within(node: &Node, parts: &[&Node]) -> Result<u32, String> {
    let numbered = |number: fn(&Node) -> u32| {
        let mut numbers = (0..).zip(parts).map(|(place, _): (u32, _)| place);
        numbers.all(|wanted| parts.iter().any(|part| number(part) == wanted)).then(|| number(node))
    };
    numbered(|node| node.numbers().0).or_else(|| numbered(|node| node.numbers().1)).ok_or_else(|| {
        format!("node {} and others are one board, and `location_id` does not number them", node.number)
    })
}

/// The value of `name` among lines of `name value`.
#[must_use]
pub fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut pairs = text.lines().filter_map(|line| line.trim().split_once(' '));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(unique_id: u64, location: u32, minor: u32) -> String {
        format!(
            "cpu_cores_count 0\nsimd_count 416\nlocation_id {location}\ndomain 1\ndrm_render_minor {minor}\n\
             unique_id {unique_id}\n"
        )
    }

    fn named(nodes: &[String]) -> Result<Vec<(String, String, Option<u32>)>, String> {
        let nodes: Vec<(u32, String)> = (0..).zip(nodes.iter().cloned()).collect();
        let found = gpus(&nodes)?;
        Ok(found.into_iter().map(|gpu| (gpu.uuid, gpu.pci, gpu.partition)).collect())
    }

    #[test]
    fn processors_and_what_has_no_render_node_are_none() {
        let processor = "cpu_cores_count 64\nsimd_count 0\ndrm_render_minor 0\n".to_owned();
        let hidden = node(7, 0x6300, 0);
        let found = gpus(&[(0, processor), (2, node(7, 0x6300, 128)), (3, hidden)]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].node, found[0].render_minor), (2, 128));
        assert_eq!((found[0].uuid.as_str(), found[0].pci.as_str()), ("GPU-0000000000000007", "0001:63:00.0"));
    }

    #[test]
    fn a_board_without_unique_id_is_named_by_its_place() {
        let found = named(&[node(0, 0x0309, 128), node(0, 0x0400, 129)]).unwrap();
        assert_eq!(found[0], ("GPU-0001:03:01.1".to_owned(), "0001:03:01.1".to_owned(), None));
        assert_eq!(found[1].0, "GPU-0001:04:00.0");
    }

    #[test]
    fn partitions_are_numbered_where_the_kernel_writes_it() {
        let newer = named(&[node(0xab, 0x6300, 128), node(0xab, 0x1000_6300, 129)]).unwrap();
        let older = named(&[node(0xab, 0x6300, 128), node(0xab, 0x6301, 129)]).unwrap();
        assert_eq!(newer, older);
        let second = ("GPU-00000000000000ab-1of2".to_owned(), "0001:63:00.0".to_owned(), Some(1));
        assert_eq!(newer[1], second);
    }

    #[test]
    fn partitions_that_cannot_be_told_apart_are_refused() {
        let same = named(&[node(0xab, 0x6300, 128), node(0xab, 0x6300, 129)]);
        let why = "node 0 and others are one board, and `location_id` does not number them";
        assert_eq!(same, Err(why.to_owned()));
    }
}
