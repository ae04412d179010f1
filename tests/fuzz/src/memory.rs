//! Counts what is allocated while an input is decoded.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes allocated by any thread since the start, freed or not.
static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came; only a counter is moved.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(size.saturating_sub(layout.size()), Ordering::Relaxed);
        // SAFETY: the pointer came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How much more memory than bytes a message may take. The most is that of rules: a layer is nine
/// bytes, and not quite 500 in memory, of which there are a few dozen.
pub const TIMES: usize = 32;

/// Runs a decoder, and ends the process if it allocates more than `times` the input and four pages:
/// a length in the input must never be believed before the bytes are there. The pages are for what
/// is of one size however little is in it, as the list of a `Forgotten` is.
pub fn bounded<T>(input: &[u8], times: usize, decode: impl FnOnce() -> T) -> T {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let value = decode();
    let taken = ALLOCATED.load(Ordering::Relaxed).wrapping_sub(before);
    let most = input.len() * times + 16_384;
    assert!(taken <= most, "{taken} bytes allocated for an input of {}", input.len());
    value
}
