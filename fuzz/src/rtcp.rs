//! RTCP: what was read can be written, and then says the same; what we write, somebody else's parser reads.

use rtcp_types::RtcpPacketParser;
use strait::core::ids::Ssrc;
use strait::core::media::rtcp::{RtcpItem, RtcpWriter, parse};

/// What can be written again.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Plain(RtcpItem<'static>),
    /// In the order of their numbers: neighbours are packed into one word.
    Nack(Ssrc, Vec<u16>),
}

/// `rtcp`: read, write, read: the same; write again: the same bytes.
pub fn rtcp(data: &[u8]) {
    let items = read(data);
    let written = write(&items);
    assert_eq!(normal(read(&written)), normal(items.clone()));
    assert_eq!(write(&read(&written)), written, "written twice is written once");
    let mut rest = written.as_slice();
    while !rest.is_empty() {
        let words = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let (packet, behind) = rest.split_at(4 * words + 4);
        rest = behind;
        rtcp_types::Packet::parse(packet).expect("somebody else can read what we write");
    }
}

fn read(compound: &[u8]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut count = 0;
    parse(compound, &mut |item| {
        count += 1;
        let item = match item {
            RtcpItem::Nack { media, lost } => {
                let lost: Vec<u16> = lost.collect();
                assert!(lost.len() <= compound.len() / 4 * 17);
                Item::Nack(media, lost)
            }
            RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets } => {
                Item::Plain(RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets })
            }
            RtcpItem::ReportBlock { sender, block } => Item::Plain(RtcpItem::ReportBlock { sender, block }),
            RtcpItem::Pli { media } => Item::Plain(RtcpItem::Pli { media }),
            RtcpItem::Fir { media, command } => Item::Plain(RtcpItem::Fir { media, command }),
            RtcpItem::TransportFeedback { bytes } => {
                assert!(bytes.len() % 4 == 0 && bytes.len() <= compound.len());
                return;
            }
            RtcpItem::Remb { .. } | RtcpItem::Bye { .. } | RtcpItem::Other => return,
        };
        items.push(item);
    });
    assert!(count <= compound.len(), "more is said than there are bytes");
    items
}

fn write(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = RtcpWriter::new(&mut out);
    for item in items {
        match item {
            Item::Plain(RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets }) => {
                writer.sender_report(*ssrc, *ntp, *rtp_timestamp, *packets, *octets, &[]);
            }
            Item::Plain(RtcpItem::ReportBlock { sender, block }) => {
                writer.receiver_report(*sender, &[*block]);
            }
            Item::Plain(RtcpItem::Pli { media }) => writer.pli(Ssrc(1), *media),
            Item::Plain(RtcpItem::Fir { media, command }) => writer.fir(Ssrc(1), *media, *command),
            Item::Plain(other) => panic!("{other:?} is not written"),
            Item::Nack(media, lost) => writer.nack(Ssrc(1), *media, lost),
        }
    }
    out
}

/// Requests of one stream that follow each other as one, each number once.
fn normal(items: Vec<Item>) -> Vec<Item> {
    let mut all: Vec<Item> = Vec::new();
    for item in items {
        match (all.last_mut(), item) {
            (_, Item::Nack(_, lost)) if lost.is_empty() => {}
            (Some(Item::Nack(media, before)), Item::Nack(other, lost)) if *media == other => {
                before.extend(lost);
            }
            (_, item) => all.push(item),
        }
    }
    for item in &mut all {
        if let Item::Nack(_, lost) = item {
            lost.sort_unstable();
            lost.dedup();
        }
    }
    all
}
