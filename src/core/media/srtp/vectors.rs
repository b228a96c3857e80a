//! Test vectors: RFC 3711 B.2 (AES-CM), RFC 7714 §16 (SRTP with GCM) and §17 (SRTCP with GCM).

use super::*;
use crate::core::media::srtp::keys::split;
use crate::core::media::srtp::testing::hex;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e6973206469766973612069\
                   6e207061727465732074726573";
const RTP_128: &str = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42\
                       a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce";
const RTP_256: &str = "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b5\
                       0b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13";
const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeef\
                    deadbeefdeadbeefdeadbeef";
const RTCP_128: &str = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d\
                        6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4";
const RTCP_256: &str = "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c11105\
                        55be8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4";
const SSRC: u32 = 0x5501_a0b2;
const SEQUENCE: u64 = 0xf17b;
const RTCP_SSRC: u32 = 0x4d61_7273;
const RTCP_INDEX_VALUE: u32 = 0x5d4;

fn gcm(profile: SrtpProfile) -> SessionCipher {
    let algorithm = if profile == SrtpProfile::AeadAes256Gcm { &AES_256_GCM } else { &AES_128_GCM };
    let key = UnboundKey::new(algorithm, &hex(KEY)[..algorithm.key_len()]).unwrap();
    SessionCipher::Gcm { key: LessSafeKey::new(key), salt: *b"Quid pro quo" }
}

#[test]
fn rfc_3711_b_2_gives_the_key_stream() {
    let key = UnboundCipherKey::new(&AES_128, &hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
    let salt: [u8; 14] = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let mut stream = [0; 48];
    counter_mode(&EncryptingKey::ctr(key).unwrap(), &salt, 0, 0, &mut stream).unwrap();
    let expected = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab\
                    41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream.as_slice(), hex(expected));
}

#[test]
fn rfc_7714_16_seals_and_opens_rtp() {
    for (profile, sealed) in [(SrtpProfile::AeadAes128Gcm, RTP_128), (SrtpProfile::AeadAes256Gcm, RTP_256)] {
        let plain = hex(RTP);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + RTP_OVERHEAD_MAX, 0);
        let cipher = gcm(profile);
        assert_eq!(cipher.seal_rtp(&mut buffer, 12, plain.len(), SSRC, SEQUENCE), Some(buffer.len()));
        assert_eq!(buffer, hex(sealed));
        assert_eq!(cipher.open_rtp(&mut buffer, 12, SSRC, SEQUENCE), Ok(plain.len()));
        assert_eq!(&buffer[..plain.len()], plain);
    }
}

#[test]
fn rfc_7714_17_seals_and_opens_rtcp() {
    for (profile, sealed) in [(SrtpProfile::AeadAes128Gcm, RTCP_128), (SrtpProfile::AeadAes256Gcm, RTCP_256)]
    {
        let plain = hex(RTCP);
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + RTCP_OVERHEAD_MAX, 0);
        let cipher = gcm(profile);
        assert_eq!(cipher.seal_rtcp(&mut buffer, plain.len(), RTCP_INDEX_VALUE), Some(buffer.len()));
        assert_eq!(buffer, hex(sealed));
        assert_eq!(cipher.rtcp_claims(&buffer), Ok((RTCP_SSRC, RTCP_INDEX_VALUE)));
        assert_eq!(cipher.open_rtcp(&mut buffer, RTCP_SSRC, RTCP_INDEX_VALUE), Ok(plain.len()));
        assert_eq!(&buffer[..plain.len()], plain);
    }
}

/// A compound with its keying material, as str0m's tests have it: the whole way from DTLS to SRTCP.
#[test]
fn a_compound_in_counter_mode_opens_from_keying_material() {
    let material = hex("2cb02346b42276a672cfd143aec2d5eeddde55f0ad7bcac22666f1c6386173ed6eb25cb7d26a61a1\
                        ee2c210adae760aaa2fd67b672c41aed105f9d36");
    let mut packet = hex("80c800063cd7cc13b7c831dcb776cd8dc26fda1d9bfc8ee6589a1a8a49289caeb264200c37d2d0a4\
                          afac6385ffc60dec7d06d4873dd3a8cc80000001b7bb526521d1e73c0fc0");
    let plain = hex("80c800063cd7cc13e2ee35c8604e618c26f32734000000430000140781ca00063cd7cc130110386e4675\
                     32685766724d44724766346f0000");
    let (client, _) = split(SrtpProfile::Aes128CmSha1_80, &material).unwrap();
    let cipher = SessionCipher::new(SrtpProfile::Aes128CmSha1_80, &client, Use::Rtcp).unwrap();
    let sealed = packet.clone();
    assert_eq!(cipher.rtcp_claims(&packet), Ok((0x3cd7_cc13, 1)));
    assert_eq!(cipher.open_rtcp(&mut packet, 0x3cd7_cc13, 1), Ok(plain.len()));
    assert_eq!(&packet[..plain.len()], plain);
    assert_eq!(cipher.seal_rtcp(&mut packet, plain.len(), 1), Some(sealed.len()));
    assert_eq!(packet, sealed);
}
