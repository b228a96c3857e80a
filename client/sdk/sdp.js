// The two changes the SDK makes to SDP. A browser's Opus encoder follows the fmtp of the *answer*; discontinuous
// transmission has no other switch, so it is asked for there. And what Firefox leaves over in an offer after codec
// preferences is not sent; the local description stays as the browser made it.

/**
 * Adds `usedtx=1` and `useinbandfec=1` to the Opus parameters of the named sections.
 * @param {string} sdp
 * @param {ReadonlySet<string>} mids
 */
export function withOpusDtx(sdp, mids) {
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => {
      const mid = /^a=mid:(\S+)/m.exec(section)?.[1];
      return mid !== undefined && mids.has(mid) ? withOpusParameters(section) : section;
    })
    .join('');
}

/** @param {string} section */
function withOpusParameters(section) {
  const payloadType = /^a=rtpmap:(\d+) opus\/48000/im.exec(section)?.[1];
  if (payloadType === undefined) return section;
  const fmtp = new RegExp(`^a=fmtp:${payloadType} ([^\\r\\n]*)`, 'm');
  const found = fmtp.exec(section);
  if (!found) {
    const rtpmap = new RegExp(`^a=rtpmap:${payloadType} [^\\r\\n]*`, 'm');
    return section.replace(rtpmap, (line) => `${line}\r\na=fmtp:${payloadType} useinbandfec=1;usedtx=1`);
  }
  const parameters = (found[1] ?? '')
    .split(';')
    .filter((p) => !/^\s*(usedtx|useinbandfec)=/.test(p) && p.trim() !== '');
  return section.replace(fmtp, `a=fmtp:${payloadType} ${[...parameters, 'useinbandfec=1', 'usedtx=1'].join(';')}`);
}

/**
 * Firefox keeps `rtcp-fb` lines of codecs that the preferences took out of a section; strict parsers refuse them.
 * @param {string} sdp
 */
export function withoutStrayAttributes(sdp) {
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => {
      const payloadTypes = new Set(/^m=\S+ \S+ \S+ ([^\r\n]*)/.exec(section)?.[1]?.split(' '));
      return section.replace(/^a=(?:rtcp-fb|fmtp):(\d+) [^\n]*\n/gm, (line, payloadType) =>
        payloadTypes.has(payloadType) ? line : '',
      );
    })
    .join('');
}
