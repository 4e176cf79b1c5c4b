#ifndef CMEMORY_H
#define CMEMORY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

/// Tells the processor that the bytes at `address` will be read soon; never faults, changes nothing.
static inline void kv_prefetch(const void *address) { __builtin_prefetch(address); }

/// How many bytes of the heap are handed out now.
unsigned long kv_heap_bytes(void);

/// Gives the pages that the allocator holds free back to the system.
void kv_memory_trim(void);

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/// Asks for large pages in [address, address + length), which begins at a large page, and makes one of the first `touched` bytes
/// at once.
///
/// Hints: where the system refuses, nothing changes.
static inline void kv_use_large_pages(void *address, size_t length, size_t touched) {
  (void)madvise(address, length, MADV_HUGEPAGE);
  (void)madvise(address, touched, MADV_COLLAPSE);
}

/// Asks for the pages of a file that were written in [offset, offset + length) to go to the disk now, and does not wait.
///
/// A hint: nothing is durable by it, and an error shows at the next sync.
static inline void kv_start_writeback(int descriptor, int64_t offset, int64_t length) {
  (void)sync_file_range(descriptor, offset, length, SYNC_FILE_RANGE_WRITE);
}

#endif
