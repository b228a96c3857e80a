//! Descriptors as encoders write them, read field by field, and random ones, which must do no harm.

use super::super::noise::with_random_bytes;
use super::Indication::{Discardable, NotPresent, Required, Switch};
use super::*;

/// A key frame of Chromium's AV1 with three temporal layers: 3 decode targets, 5 templates, one chain, 320×180.
const L1T3: [u8; 20] = [
    0xc0, 0x00, 0x01, 0x80, 0x02, 0x14, 0xea, 0xa8, 0x60, 0x41, 0x4d, 0x14, 0x10, 0x20, 0x84, 0x27, 0x01,
    0x3f, 0x00, 0xb3,
];
/// A key frame of Chromium's AV1 with three spatial and three temporal layers, and two frames behind it.
const L3T3: [u8; 97] = [
    0xc1, 0x00, 0x01, 0xc0, 0x08, 0x14, 0x85, 0x21, 0x4e, 0xaf, 0xff, 0xaa, 0xaa, 0x86, 0x3c, 0xf0, 0x43,
    0x0c, 0x10, 0xc3, 0x02, 0xaf, 0xc0, 0xaa, 0xa0, 0x06, 0x3c, 0x00, 0x43, 0x00, 0x10, 0xc0, 0x02, 0xa0,
    0x00, 0xa8, 0x00, 0x06, 0x00, 0x00, 0x40, 0x00, 0x1d, 0x95, 0x49, 0x26, 0xe0, 0x82, 0xb0, 0x4a, 0x09,
    0x41, 0xb8, 0x20, 0xac, 0x12, 0x82, 0x50, 0x31, 0x57, 0xf9, 0x74, 0x00, 0x0c, 0xa8, 0x64, 0x33, 0x0e,
    0x22, 0x22, 0x22, 0xec, 0xa8, 0x65, 0x53, 0x04, 0x22, 0x42, 0x30, 0xec, 0xa8, 0x77, 0x53, 0x01, 0x3f,
    0x00, 0xb3, 0x02, 0x7f, 0x01, 0x67, 0x04, 0xff, 0x02, 0xcf, 0x1f, 0x80,
];
const L3T3_BASE: [u8; 9] = [0xc0, 0x00, 0x09, 0x5f, 0xfd, 0x70, 0x20, 0x1c, 0x1c];
const L3T3_UPPER: [u8; 10] = [0xc8, 0x00, 0x08, 0x5f, 0xfd, 0x14, 0x00, 0x70, 0x60, 0x60];
/// A key frame of two spatial and two temporal layers, of which the upper spatial one refers to the lower one in key
/// pictures alone. Ids begin at 5; two chains; 640×360 and 1280×720.
const L2T2_KEY: [u8; 32] = [
    0xc5, 0x00, 0x01, 0x80, 0xa3, 0x18, 0x7a, 0xaf, 0x01, 0x00, 0xa0, 0xf0, 0x14, 0x51, 0x41, 0x14, 0x51,
    0x80, 0x10, 0x90, 0x88, 0x89, 0x09, 0x40, 0x9f, 0xc0, 0x59, 0xc1, 0x3f, 0xc0, 0xb3, 0xc0,
];
/// A frame of template 3 with everything that can be its own: two of three targets active, other indications, references 1,
/// 17 and 4096 frames back, and a chain of 200.
const CUSTOM: [u8; 10] = [0x83, 0x00, 0x07, 0x7b, 0x25, 0x08, 0x43, 0xff, 0xf3, 0x20];

fn structure_of(bytes: &[u8]) -> Structure {
    structure(bytes).unwrap().expect("one is attached")
}

#[test]
fn the_mandatory_fields_are_read() {
    let descriptor = parse(&[0x85, 0x12, 0x34]).unwrap();
    assert!(descriptor.start_of_frame && !descriptor.end_of_frame && !descriptor.has_structure);
    assert_eq!((descriptor.template_id, descriptor.frame_number), (5, 0x1234));
    assert!(parse(&[0x40, 0, 0]).unwrap().end_of_frame);
    assert_eq!(parse(&[0x85, 0x12]), Err(Malformed));
}

#[test]
fn a_structure_marks_a_key_frame() {
    assert!(parse(&[0x80, 0, 1, 0x80, 0]).unwrap().has_structure);
    assert!(!parse(&[0x80, 0, 1, 0x40, 0]).unwrap().has_structure, "only active decode targets");
    assert_eq!(structure(&CUSTOM), Ok(None));
}

#[test]
fn the_templates_of_temporal_layers_are_read() {
    let structure = structure_of(&L1T3);
    let layers: Vec<_> = structure.templates.iter().map(|one| (one.spatial, one.temporal)).collect();
    assert_eq!(layers, [(0, 0), (0, 0), (0, 1), (0, 2), (0, 2)]);
    let said = |template: usize| [0, 1, 2].map(|target| structure.templates[template].indications.of(target));
    assert_eq!([said(0), said(2)], [[Switch, Switch, Switch], [NotPresent, Discardable, Switch]]);
    assert_eq!(said(4), [NotPresent, NotPresent, Discardable]);
    let references: Vec<_> = structure.templates.iter().map(|one| one.references.as_slice()).collect();
    assert_eq!(references, [&[][..], &[4], &[2], &[1], &[1]]);
    let chain: Vec<u8> = structure.templates.iter().map(|one| one.chain_diffs[0]).collect();
    assert_eq!((structure.chains, chain), (1, vec![0, 4, 2, 1, 3]));
    let targets: Vec<_> = structure.decode_targets.iter().map(|one| (one.temporal, one.chain)).collect();
    assert_eq!(targets, [(0, Some(0)), (1, Some(0)), (2, Some(0))]);
    assert_eq!(structure.resolutions, [(320, 180)]);
    assert_eq!([0, 1, 2].map(|target| structure.within(target)), [0b001, 0b011, 0b111]);
    for length in 3..L1T3.len() {
        assert!(super::structure(&L1T3[..length]).map_or(true, |read| read.is_none()), "{length} bytes");
    }
}

#[test]
fn the_templates_of_spatial_layers_are_read() {
    let structure = structure_of(&L2T2_KEY);
    let targets: Vec<_> =
        structure.decode_targets.iter().map(|one| (one.spatial, one.temporal, one.chain)).collect();
    assert_eq!(targets, [(0, 0, Some(0)), (0, 1, Some(0)), (1, 0, Some(1)), (1, 1, Some(1))]);
    assert_eq!(structure.resolutions, [(640, 360), (1280, 720)]);
    // Behind a key picture the upper layer stands alone: nobody who watches it gets the lower one.
    assert_eq!([0, 1, 2, 3].map(|target| structure.within(target)), [0b0001, 0b0011, 0b0100, 0b1100]);
    let key = structure.template(5).expect("the first one");
    assert_eq!((key.spatial, key.indications.of(3)), (0, Switch));
    assert_eq!(structure.template(10).map(|template| (template.spatial, template.temporal)), Some((1, 1)));
    assert_eq!([structure.template(4), structure.template(11)], [None, None]);
}

#[test]
fn what_chromium_sends_of_nine_layers_is_read() {
    let structure = structure_of(&L3T3);
    let sizes = (structure.templates.len(), structure.decode_targets.len(), structure.chains);
    assert_eq!((sizes, structure.template_id_offset), ((15, 9, 3), 0));
    assert_eq!(structure.resolutions, [(320, 180), (640, 360), (1280, 720)]);
    let targets: Vec<_> =
        structure.decode_targets.iter().map(|one| (one.spatial, one.temporal, one.chain)).collect();
    let expected: Vec<_> = (0..9).map(|target| (target / 3, target % 3, Some(target / 3))).collect();
    assert_eq!(targets, expected);
    assert_eq!([0, 4, 8].map(|target| structure.within(target)), [0b1, 0b1_1011, 0b1_1111_1111]);
    let key = describe(&L3T3, &structure).unwrap();
    // The browser begins without the largest pictures.
    assert_eq!((key.spatial, key.temporal, key.active), (0, 0, Some(0b11_1111)));
    let base = describe(&L3T3_BASE, &structure).unwrap();
    assert_eq!((base.spatial, base.temporal, base.active), (0, 0, Some(0b1_1111_1111)));
    assert_eq!((base.references.as_slice(), base.chain_diffs[..3].to_vec()), (&[8][..], vec![8, 7, 7]));
    let upper = describe(&L3T3_UPPER, &structure).unwrap();
    assert_eq!((upper.spatial, upper.temporal), (1, 2));
    assert_eq!((upper.references.as_slice(), upper.chain_diffs[..3].to_vec()), (&[2, 1][..], vec![7, 6, 6]));
}

#[test]
fn a_frame_is_described_by_its_template_and_by_what_it_says_itself() {
    let structure = structure_of(&L1T3);
    let key = describe(&L1T3, &structure).unwrap();
    assert_eq!((key.spatial, key.temporal, key.active), (0, 0, None));
    let plain = describe(&[0xc2, 0x12, 0x36], &structure).unwrap();
    assert_eq!((plain.temporal, plain.references.as_slice(), plain.chain_diffs[0]), (1, &[2][..], 2));
    let custom = describe(&CUSTOM, &structure).unwrap();
    assert_eq!((custom.temporal, custom.active), (2, Some(0b011)));
    assert_eq!([0, 1, 2].map(|target| custom.indications.of(target)), [NotPresent, Switch, Discardable]);
    assert_eq!((custom.references.as_slice(), custom.chain_diffs[0]), (&[1, 17, 4096][..], 200));
    assert_eq!(describe(&[0xc5, 0, 0], &structure), Err(Malformed), "there is no such template");
    assert_eq!(custom.indications.of(200), NotPresent);
    assert_eq!(Indications(u64::MAX).of(31), Required);
    for length in 0..CUSTOM.len() {
        let read = describe(&CUSTOM[..length], &structure);
        assert!(read.is_err() || length == 3, "{length} bytes");
    }
}

#[test]
fn a_mask_is_put_in_or_replaced_and_all_else_stays() {
    for (name, bytes, key) in [
        ("mandatory fields alone", &[0xc2, 0x12, 0x36][..], &L1T3[..]),
        ("a structure", &L1T3, &L1T3),
        ("a structure of other layers", &L2T2_KEY, &L2T2_KEY),
        ("another mask", &CUSTOM, &L1T3),
        ("a structure with a mask", &L3T3, &L3T3),
        ("a frame of Chromium's", &L3T3_UPPER, &L3T3),
    ] {
        let structure = structure_of(key);
        let before = describe(bytes, &structure).unwrap();
        let mut out = [0xff; 128];
        let length = write_active(bytes, before.active_place, 0b001, &mut out).expect("there is room");
        let out = &out[..length];
        let after = describe(out, &structure).unwrap();
        assert_eq!(after, FrameDependencies { active: Some(0b001), ..before }, "{name}");
        assert_eq!(super::structure(out), super::structure(bytes), "{name}");
        assert_eq!((parse(out), out[..3].to_vec()), (parse(bytes), bytes[..3].to_vec()), "{name}");
        assert!(length <= bytes.len() + 2, "{name}: {length} bytes");
        assert_eq!(write_active(bytes, before.active_place, 1, &mut [0; 3]), None, "{name}");
    }
}

#[test]
fn a_patched_number_is_read_back_and_nothing_else_changes() {
    with_random_bytes(&[0x80, 0, 1, 0x80], |bytes| {
        let before = parse(bytes);
        let tail = bytes.get(3..).unwrap_or_default().to_vec();
        patch_frame_number(bytes, 0xbeef);
        patch_frame_number(bytes, 0xbeef);
        let expected = before.map(|descriptor| DependencyDescriptor { frame_number: 0xbeef, ..descriptor });
        assert_eq!(parse(bytes), expected);
        assert_eq!(bytes.get(3..).unwrap_or_default(), tail);
    });
}

#[test]
fn random_bytes_are_survived() {
    for (sample, key) in [(&L1T3[..], &L1T3[..]), (&L2T2_KEY, &L2T2_KEY), (&CUSTOM, &L1T3), (&L3T3, &L3T3)] {
        let known = structure_of(key);
        with_random_bytes(sample, |bytes| {
            let attached = structure(bytes).ok().flatten();
            let structure = attached.as_ref().unwrap_or(&known);
            assert!(structure.templates.len() <= TEMPLATES_MAX);
            let Ok(frame) = describe(bytes, structure) else { return };
            let mut out = [0; 2200];
            let length = write_active(bytes, frame.active_place, 0x5555, &mut out).expect("there is room");
            let again = describe(&out[..length], structure).expect("we write what we can read");
            let targets = structure.decode_targets.len() as u32;
            let mask = 0x5555 & u32::MAX >> (32 - targets);
            assert_eq!(again, FrameDependencies { active: Some(mask), ..frame });
        });
    }
}
