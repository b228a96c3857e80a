//! The codec in which a LiveKit client wants to send a track: it says so when it announces the track, and leaves it to the server
//! to put that codec first. Our answers follow the order of the offer, so it is put first there.

use super::super::whip::lines;
use crate::core::ids::Mid;

/// Returns an offer in which the formats of the codec come first that `codec_in` names for a section, if it does.
pub fn put_first(sdp: &str, codec_in: impl Fn(Mid) -> Option<String>) -> String {
    let mut out = String::with_capacity(sdp.len());
    let starts = sdp.match_indices("\nm=").map(|(at, _)| at + 1);
    let mut from = 0;
    for to in starts.chain([sdp.len()]) {
        put_first_in(&sdp[from..to], &codec_in, &mut out);
        from = to;
    }
    out
}

fn put_first_in(section: &str, codec_in: &impl Fn(Mid) -> Option<String>, out: &mut String) {
    let mid = lines(section).find_map(|line| line.strip_prefix("a=mid:"));
    let codec = mid.and_then(|mid| codec_in(Mid::from(mid)));
    let (Some(codec), Some((first, rest))) = (codec, section.split_once('\n')) else {
        return out.push_str(section);
    };
    let is_of_codec = |format: &&str| {
        lines(section).filter_map(|line| line.strip_prefix("a=rtpmap:")).any(|map| {
            let named = map.split_once(' ').filter(|(number, _)| number == format);
            let name = named.and_then(|(_, codec)| codec.split('/').next());
            name.is_some_and(|name| name.eq_ignore_ascii_case(&codec))
        })
    };
    let words: Vec<&str> = first.trim_end_matches('\r').split(' ').collect();
    let (head, formats) = words.split_at(words.len().min(3));
    let (preferred, others): (Vec<&str>, Vec<&str>) = formats.iter().copied().partition(is_of_codec);
    out.push_str(&[head, &preferred, &others].concat().join(" "));
    out.push_str("\r\n");
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_of_the_wanted_codec_come_first_in_its_section_alone() {
        let section = |mid: &str| {
            format!(
                "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\r\na=mid:{mid}\r\na=rtpmap:96 VP8/90000\r\n\
                 a=rtpmap:97 rtx/90000\r\na=rtpmap:98 VP9/90000\r\n"
            )
        };
        let offer = format!("v=0\r\n{}{}", section("0"), section("1"));
        let wanted = |mid: Mid| (mid.as_str() == "1").then(|| "vp9".to_owned());
        let put = put_first(&offer, wanted);
        let expected = section("1").replace("96 97 98", "98 96 97");
        assert_eq!(put, format!("v=0\r\n{}{expected}", section("0")));
        assert_eq!(put_first(&offer, |_| None), offer);
        assert_eq!(put_first("nonsense", wanted), "nonsense");
    }
}
