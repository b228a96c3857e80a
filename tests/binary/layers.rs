//! Simulcast over the wire: a viewer says how large a track is shown, and the publisher hears what is watched.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::call::Call;

const LAYERS: [(&str, u16); 3] = [("high", 720), ("medium", 360), ("low", 180)];

/// The camera sends these encodings until the condition holds.
fn film(call: &mut Call, layers: &[u8], what: &str, mut condition: impl FnMut(&mut Call) -> bool) {
    let mut next = Instant::now();
    call.until(what, |call| {
        if next <= Instant::now() {
            for number in layers {
                call.clients[0].send_encoding("camera", Some(LAYERS[usize::from(*number)].0), *number);
            }
            next = Instant::now() + Duration::from_millis(40);
        }
        condition(call)
    });
}

/// Whether the newest packets that the viewer got are of that encoding.
fn is_shown(call: &mut Call, track: &str, number: u8) -> bool {
    let received = call.clients[1].take_received(track);
    received.last().is_some_and(|packet| packet.payload[2] == number)
}

/// Whether the publisher was told last to send these.
fn was_told(call: &Call, active: &Value) -> bool {
    call.clients[0].told("encodings").last().is_some_and(|order| order["active"] == *active)
}

#[test]
fn a_viewer_gets_what_fits_and_a_publisher_hears_what_is_watched() {
    let (_server, mut call) = Call::at(&[]);
    let anna = call.join("standup", "Anna");
    let offer = call.clients[anna].offer_layers(&LAYERS);
    assert_eq!(call.ask(anna, "offer", offer)["type"], "answer");
    let ben = call.join("standup", "Ben");
    call.publish(ben, 1, &[]);
    call.until_connected();
    let track = call.clients[anna].track("camera");
    film(&mut call, &[0, 1, 2], "the middle one, which nobody has asked for", |call| {
        is_shown(call, &track, 1)
    });

    let small = json!({"tracks": [{"trackId": track, "width": 320, "height": 180}]});
    assert_eq!(call.ask(ben, "prefer", small)["type"], "ok");
    film(&mut call, &[0, 1, 2], "the small one", |call| is_shown(call, &track, 2));
    call.until("it is told", |call| !call.clients[ben].told("layers").is_empty());
    let told = call.until_told(ben, "layers");
    let expected = json!({"trackId": track, "layer": "low", "width": 320, "height": 180, "reason": "wanted"});
    assert_eq!(told, expected);

    film(&mut call, &[0, 1, 2], "the publisher hears of it", |call| was_told(call, &json!(["low"])));
    call.clients[anna].news.clear();
    let large = json!({"tracks": [{"trackId": track, "height": 720}]});
    assert_eq!(call.ask(ben, "prefer", large)["type"], "ok");
    let order = call.until_told(anna, "encodings");
    assert_eq!((&order["active"], &order["trackId"]), (&json!(["high", "low"]), &json!(track)));
    film(&mut call, &[0, 2], "the large one", |call| is_shown(call, &track, 0));

    // What is told again after a break.
    call.clients[anna].cut();
    call.clients[anna].news.clear();
    assert_eq!(call.resume(anna)["type"], "resumed");
    assert_eq!(call.until_told(anna, "encodings")["active"], json!(["high", "low"]));

    let error = call.refused(ben, "prefer", json!({"tracks": [{"trackId": track, "height": 0}]}));
    assert_eq!(error["code"], "bad-message");
    let hidden = json!({"tracks": [{"trackId": track, "paused": true}]});
    assert_eq!(call.ask(ben, "prefer", hidden)["type"], "ok");
    film(&mut call, &[0, 2], "nobody watches", |call| was_told(call, &json!([])));
}
