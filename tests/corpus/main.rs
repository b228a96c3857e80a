//! The fuzz targets on stable Rust.
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

#[test]
fn smoke() {
    use fuzz::step::Step;
    let mut tape = vec![3, 1];
    for who in 0..3 { Step::Arrive { who, other_room: false, by_media: false }.write(&mut tape); }
    Step::Live { rounds: 60 }.write(&mut tape);
    let at = std::time::Instant::now();
    for _ in 0..1 { fuzz::story::core(&tape); }
    println!("{:?}", at.elapsed() / 20);
    let at = std::time::Instant::now();
    for _ in 0..1 { fuzz::story::datagrams(&[std::env::var("SEED").unwrap().parse().unwrap()]); }
    println!("{:?}", at.elapsed() / 20);
}
