//! An allocator that counts what one thread has, and a server on such a thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use strait::core::Settings;
use strait::core::event::SlotCounts;
use strait::net::{CoreSeed, ExitReason, ShellConfig, StopHandle, serve};

use super::PATIENCE;

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static LIVE_BLOCKS: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, with a mark before every block: whether it counts, so that it is subtracted wherever it is
/// freed.
struct Counting;

/// Room before a block for the mark, without spoiling the block's alignment.
fn margin(layout: Layout) -> usize {
    layout.align().max(size_of::<usize>())
}

fn with_margin(layout: Layout) -> Layout {
    let size = layout.size() + margin(layout);
    Layout::from_size_align(size, margin(layout)).expect("no block is nearly as large as the address space")
}

// SAFETY: every block is one of the system's allocator, handed out from `margin` bytes on; `margin` depends on the
// layout alone, which is the same when the block is freed, and is a multiple of the alignment.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero.
        let start = unsafe { System.alloc(with_margin(layout)) };
        if start.is_null() {
            return start;
        }
        let counts = COUNTED.try_with(Cell::get).unwrap_or(false);
        if counts {
            LIVE_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
            LIVE_BLOCKS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the margin has room for the mark, and the block begins behind it.
        unsafe {
            start.cast::<usize>().write(usize::from(counts));
            start.add(margin(layout))
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `alloc` gave this block `margin` bytes behind the start of the system's.
        unsafe {
            let start = block.sub(margin(layout));
            if start.cast::<usize>().read() == 1 {
                LIVE_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
                LIVE_BLOCKS.fetch_sub(1, Ordering::Relaxed);
            }
            System.dealloc(start, with_margin(layout));
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server on a thread of this process. Only one at a time: the counters are the process's.
pub struct CountedServer {
    pub address: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<std::io::Result<ExitReason>>>,
}

impl CountedServer {
    /// Starts one that forgets people fast.
    pub fn start(resume_timeout: Duration) -> Self {
        let config = ShellConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            connections_per_address_max: 1000,
            idle_timeout: Duration::from_secs(2),
            handle_signals: false,
            ..ShellConfig::default()
        };
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            COUNTED.set(true);
            let set_log_level = Box::new(|_: &str| Ok(()));
            serve(
                config,
                |seed| settings(seed, resume_timeout),
                set_log_level,
                |bound| {
                    sender.send((bound.listen, bound.stop.clone())).expect("the test waits");
                },
            )
        });
        let (address, stop) = receiver.recv_timeout(PATIENCE).expect("the server starts");
        Self { address, stop, thread: Some(thread) }
    }

    /// Bytes and blocks that its thread has allocated and nobody has freed.
    pub fn live(&self) -> (i64, i64) {
        (LIVE_BYTES.load(Ordering::Relaxed), LIVE_BLOCKS.load(Ordering::Relaxed))
    }
}

impl Drop for CountedServer {
    fn drop(&mut self) {
        self.stop.stop();
        let ended = self.thread.take().expect("started").join();
        if !std::thread::panicking() {
            ended.expect("the server does not panic").expect("the server ends well");
        }
    }
}

fn settings(seed: CoreSeed, resume_timeout: Duration) -> Settings {
    Settings {
        rooms_max: 1000,
        participants_per_room_max: 100,
        tracks_per_participant_max: 8,
        slots: SlotCounts { audio: 4, video: 4 },
        slots_max: SlotCounts { audio: 16, video: 16 },
        empty_timeout: Duration::ZERO,
        resume_timeout,
        media_timeout: Duration::from_secs(30),
        certificate: seed.certificate,
        epoch: seed.epoch,
        epoch_unix: seed.epoch_unix,
    }
}
