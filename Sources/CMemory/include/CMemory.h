#ifndef CMEMORY_H
#define CMEMORY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
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

#endif
