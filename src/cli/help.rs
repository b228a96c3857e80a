//! The longer texts of `--help`: what each subcommand is for, examples, and every setting with its variable.

use std::fmt::Write;

use crate::config::{Config, KEYS};

/// How wide help is: what fits a terminal of a hundred characters.
const WIDTH: usize = 98;

pub(super) const SHORT: &str = "-h prints short descriptions, --help more details and examples.";

pub(super) const ABOUT: &str = "\
A WebRTC server for calls: one program, one port. Without a command it serves.

Open the address that it prints, and share the link of a room. The page, signalling, media and
TURN use one port, 7443 unless --listen names another, on UDP and TCP.";

pub(super) const SERVE: &str = "\
Serves calls until it is told to stop by SIGINT (Ctrl-C), SIGTERM or SIGHUP.

It prints the address to open once clients can come, and logs to standard error.";

pub(super) const CONFIG: &str = "\
Prints the configuration that `strait serve` would use with the same flags, variables and file,
and where each value comes from. Nothing is started.

What it prints can be used as a file. It exits with 2, and says what to change, if the
configuration cannot be used.";

pub(super) const LOAD: &str = "\
Loads a server with people of its own, who join, publish and receive as browsers do, and measures
latency, loss, the times of joining, and what the server uses. docs/load.md explains each figure.

It exits with 0 if everybody joined and every track reached everybody whom it should, with 1 if
not, and says why, and with 2 if the arguments are wrong.";

pub(super) const LOAD_EXAMPLES: &str = "\
Examples:
  strait load --rooms 10 --subscribers 20 --profile video --duration 30s
      Ten rooms, each with one publisher and twenty viewers
  strait load --profile conference --publishers 5 --subscribers 0
      A call of five, who all see and hear each other
  strait load --url ws://192.0.2.7:7443 --json figures.json
      Another server, and the figures as a file";

pub(super) const STATS: &str = "\
Prints what a running server does: its rooms, its packets and their latency, as JSON, or as a line
each second with --watch.

The server answers this machine, and others that have its administration token.";

pub(super) const STATS_EXAMPLES: &str = "\
Examples:
  strait stats | jq .shell.latency
  strait stats --watch
  strait stats --room standup";

pub(super) const REPLAY: &str = "\
Replays a room that `strait serve --record` recorded, opens no socket, and compares everything
that the room does with what it did. It can also write what was said and shown as files.

It exits with 0 if the room did the same to the byte, with 1 if not, and shows the first
difference, and with 2 if the trace cannot be used. Use the version that recorded.";

pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  strait replay standup.trace
  strait replay standup.trace --until 90s --log debug
      What the server would have logged, up to that time
  strait replay standup.trace --pcap call.pcap --media tracks
      Decrypted packets for Wireshark, and the tracks for players";

pub(super) const EXPLAIN: &str = "\
Tells what happened in a room that `strait serve --record` recorded: who came and left, how they
were reached, what was lost on which way, when a picture stood still, and who was to blame.

It exits with 1 if the replay of the trace goes another way than the room did, with 2 if the trace
cannot be used.";

pub(super) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  strait explain standup.trace --participant Anna
  strait explain standup.trace --participant Anna --at 2m
      How things were for Anna after two minutes, and what happened around then
  strait explain standup.trace --html standup.html
      A page with a lane for each participant";

pub(super) const SIM: &str = "\
Plays whole rooms on a simulated network under simulated time, and checks what every participant
sees. A seed names a world: who comes, what they do, and what goes wrong with their networks.

It exits with 1 if a world fails, and prints the command that plays that world again.";

pub(super) const SIM_EXAMPLES: &str = "\
Examples:
  strait sim --seeds 0..100000 --jobs 2
      Look for worlds that fail
  strait sim --seed 133 --shrink
      One world, and the least of it that still fails
  strait sim --seed 133 --trace 133.trace
      The same, as a trace for strait replay and strait explain";

const EXAMPLES: &str = "\
Examples:
  strait
      Serve on port 7443, then open http://localhost:7443
  strait serve --listen 127.0.0.1:8080
      Serve this computer only, on another port
  strait serve --public-address 203.0.113.7
      Serve behind a NAT that forwards the port, UDP and TCP
  strait serve --tls-cert fullchain.pem --tls-key privkey.pem
      Serve with a certificate that browsers trust
  strait config --config strait.toml
      Check a file, and see what it comes to";

const SOURCES: &str = "\
Settings:
  Every key of the configuration file is also a variable, STRAIT_<SECTION>_<KEY>. A flag goes
  before a variable, a variable before the file. docs/configuration.md explains all of them.";

const EXIT_CODES: &str = "\
Exit codes:
  0  it was told to stop, and did
  2  something has to be changed before it can start: a flag, a setting, a port that is in use
  1  anything else";

/// Returns what `strait --help` ends with.
pub(super) fn overview() -> String {
    format!("{EXAMPLES}\n\n{SOURCES}\n  `strait serve --help` lists them.\n\n{EXIT_CODES}")
}

/// Returns what `strait serve --help` ends with.
pub(super) fn serving() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}\n\n{}", settings())
}

/// Returns every setting: its variable, its default and what it does, by section.
pub(super) fn settings() -> String {
    let defaults = Config::default();
    let mut text = format!("{SOURCES}\n");
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n  [{section}]\n");
        }
        let _ = writeln!(text, "  {} [default: {}]", key.variable(), key.value(&defaults));
        for line in wrapped(key.help.trim(), WIDTH - 6) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Breaks a text between words into lines of at most `width` characters. A longer word is a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_never_within_one() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("extraordinary at", 7), ["extraordinary", "at"]);
        assert!(wrapped("", 7).is_empty());
    }

    #[test]
    fn every_setting_is_listed_with_its_variable() {
        let text = settings();
        assert!(
            KEYS.iter().all(|key| text.contains(&format!("\n  {} [default: ", key.variable()))),
            "{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }
}
