//! The explanation as one self-contained page: a lane for each track that a participant sent or received, over one axis
//! of time. It has no scripts and loads nothing, and is light or dark like the reader's system.

mod lanes;

use super::model::{Explanation, Person, Weight};
use super::text::{clock, received, sent, short};
use super::time::{Time, date};
use super::words;

const STYLE: &str = include_str!("html/page.css");

/// The legend of the colours: each one's variable and meaning.
const LEGEND: [(&str, &str); 11] = [
    ("--udp", "reached by UDP"),
    ("--tcp", "by TCP"),
    ("--turn", "by TURN"),
    ("--cut", "could not be reached"),
    ("--media", "pictures, by their bit rate"),
    ("--sound", "sound"),
    ("--muted", "muted or paused"),
    ("--loss", "packets lost, hanging from the top"),
    ("--publisher", "stood still: the publisher's side"),
    ("--server", "stood still: the server"),
    ("--downlink", "stood still: the receiver's side"),
];

/// The legend of the signs.
const SIGNS: [(&str, &str); 2] =
    [("●", "the way, or signalling, broke, came back or changed"), ("▲", "a key frame was asked for")];

/// Escapes text for a page, including attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters are invalid in XML and mean nothing to a reader.
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Returns the explanation as a self-contained HTML page.
pub fn render(explanation: &Explanation) -> String {
    let room = escaped(&explanation.room);
    let stripped = if explanation.stripped { " · stripped of media and keys" } else { "" };
    let people = explanation.participants.len() as u64;
    let about = format!(
        "{} · {} long · {} · the trace's end: {} · recorded by Strait {}{stripped}",
        date(explanation.began),
        clock(explanation.call_time),
        words::count(people, "participant", "participants"),
        escaped(&explanation.ending),
        escaped(&explanation.build),
    );
    let line = |line: &String| {
        let is_trouble = ["stand still", "could not be reached"].iter().any(|what| line.contains(what));
        let class = if is_trouble { " class=\"trouble\"" } else { "" };
        format!("<li{class}>{}</li>\n", escaped(line))
    };
    let short: String = short(explanation).iter().map(line).collect();
    let legend: String = LEGEND
        .iter()
        .map(|(colour, means)| format!("<li><i style=\"background:var({colour})\"></i>{means}</li>\n"))
        .chain(SIGNS.iter().map(|(sign, means)| format!("<li><b>{sign}</b> {means}</li>\n")))
        .collect();
    let stories: String =
        explanation.participants.iter().map(|person| story(person, explanation.began)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{room} – what happened</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>Room {room}</h1>\n<p class=\"about\">{about}</p>\n<ul class=\"short\">\n{short}</ul>\n\
         <h2>Who sent and saw what</h2>\n<ul class=\"legend\">\n{legend}</ul>\n<div class=\"lanes\">\n{}</div>\n\
         <h2>Step by step</h2>\n{stories}</body>\n</html>\n",
        lanes::draw(explanation)
    )
}

/// Returns one participant's timeline. The tooltip of each time has the format of log lines.
fn story(person: &Person, began: Time) -> String {
    let facts: String = person
        .publishes
        .iter()
        .map(|published| format!("sent: {}", sent(published)))
        .chain(person.watches.iter().map(|watched| format!("received: {}", received(watched))))
        .map(|line| format!("<li>{}</li>\n", escaped(&line)))
        .collect();
    let rows: String = person
        .timeline
        .iter()
        .map(|entry| {
            let class = match entry.weight {
                Weight::Plain => "plain",
                Weight::Notable => "notable",
                Weight::Trouble => "trouble",
            };
            let (at, text) = (clock(entry.at), escaped(&entry.text));
            let read_as = date(Time(began.0 + entry.at.0));
            format!("<tr class=\"{class}\"><td title=\"{read_as}\">{at}</td><td>{text}</td></tr>\n")
        })
        .collect();
    let has_trouble = person.timeline.iter().any(|entry| entry.weight == Weight::Trouble);
    let open = if has_trouble { " open" } else { "" };
    format!(
        "<details{open}><summary>{} <span>{}</span></summary>\n<ul>\n{facts}</ul>\n<table>\n{rows}</table></details>\n",
        escaped(&person.name),
        escaped(&person.id)
    )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_name_cannot_become_markup() {
        assert_eq!(escaped("<b title='\"x\"'>&\u{7}"), "&lt;b title=&#39;&quot;x&quot;&#39;&gt;&amp; ");
    }
}
