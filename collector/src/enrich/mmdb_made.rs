//! Files of the MaxMind DB format, made for tests. In: networks with what is known of each. Out: the bytes of a file,
//! format 2.0, IPv6 tree with IPv4 below `::/96`, records of 32 bits.
//!
//! Source: MaxMind DB File Format Specification 2.0, sections "Binary Search Tree" and "Output Data Section".

use std::net::IpAddr;

use super::Cidr;

/// A value of the data section.
#[derive(Clone, Debug)]
pub enum Node {
    /// `utf8_string`
    Text(String),
    /// `double`
    Double(f64),
    /// `uint16`
    U16(u16),
    /// `uint32`
    U32(u32),
    /// `uint64`
    U64(u64),
    /// `array`
    List(Vec<Node>),
    /// `map`
    Map(Vec<(String, Node)>),
}

impl Node {
    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Node::Text(text) => {
                head(2, text.len(), into);
                into.extend(text.as_bytes());
            }
            Node::Double(number) => {
                head(3, 8, into);
                into.extend(number.to_be_bytes());
            }
            Node::U16(number) => {
                head(5, 2, into);
                into.extend(number.to_be_bytes());
            }
            Node::U32(number) => {
                head(6, 4, into);
                into.extend(number.to_be_bytes());
            }
            Node::U64(number) => {
                head(9, 8, into);
                into.extend(number.to_be_bytes());
            }
            Node::List(nodes) => {
                head(11, nodes.len(), into);
                nodes.iter().for_each(|node| node.write(into));
            }
            Node::Map(rows) => {
                head(7, rows.len(), into);
                for (name, node) in rows {
                    Node::Text(name.clone()).write(into);
                    node.write(into);
                }
            }
        }
    }
}

/// The control byte, the type beyond seven in a byte of its own, and a size below 285.
fn head(kind: u8, size: usize, into: &mut Vec<u8>) {
    let short = size.min(29);
    into.push((if kind < 8 { kind << 5 } else { 0 }) | u8::try_from(short).expect("is small"));
    if 7 < kind {
        into.push(kind - 7);
    }
    if short == 29 {
        into.push(u8::try_from(size - 29).expect("tests have short values"));
    }
}

#[derive(Clone, Copy)]
enum Branch {
    Nothing,
    Data(usize),
    Tree(usize),
}

/// A file of these networks; a narrower one is to come after the wider one around it.
pub fn database(kind: &str, built: u64, networks: &[(&str, Node)]) -> Vec<u8> {
    let mut tree: Vec<[Branch; 2]> = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for (range, node) in networks {
        let range: Cidr = range.parse().expect("is a range");
        let at = data.len();
        node.write(&mut data);
        let (bits, length) = match range.first() {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 96 + range.prefix()),
            IpAddr::V6(address) => (address.to_bits(), range.prefix()),
        };
        let mut place = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                tree[place][side] = Branch::Data(at);
                break;
            }
            place = match tree[place][side] {
                Branch::Tree(below) => below,
                // What was known of the wider network goes on being known beside the narrower one.
                held => {
                    tree.push([held; 2]);
                    let below = tree.len() - 1;
                    tree[place][side] = Branch::Tree(below);
                    below
                }
            };
        }
    }
    let mut bytes = Vec::new();
    for branch in tree.iter().flatten() {
        let record = match branch {
            Branch::Nothing => tree.len(),
            Branch::Tree(below) => *below,
            // Past the nodes and the 16 zero bytes.
            Branch::Data(at) => tree.len() + 16 + at,
        };
        bytes.extend(u32::try_from(record).expect("is small").to_be_bytes());
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let text = |text: &str| Node::Text(text.to_owned());
    let metadata = [
        ("node_count", Node::U32(u32::try_from(tree.len()).expect("is small"))),
        ("record_size", Node::U16(32)),
        ("ip_version", Node::U16(6)),
        ("database_type", text(kind)),
        ("languages", Node::List(vec![text("en")])),
        ("binary_format_major_version", Node::U16(2)),
        ("binary_format_minor_version", Node::U16(0)),
        ("build_epoch", Node::U64(built)),
        ("description", Node::Map(vec![("en".to_owned(), text("made for a test"))])),
    ];
    Node::Map(metadata.map(|(name, node)| (name.to_owned(), node)).to_vec()).write(&mut bytes);
    bytes
}
