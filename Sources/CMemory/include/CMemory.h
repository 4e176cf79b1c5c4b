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

/// Gives the pages that the allocator holds free back to the system.
void kv_memory_trim(void);

/// Asks for large pages where [address, address + length) is used; a hint, refused without consequence.
static inline void kv_advise_large_pages(void *address, size_t length) {
  const uintptr_t page = (uintptr_t)2 << 20;
  uintptr_t from = ((uintptr_t)address + page - 1) & ~(page - 1);
  uintptr_t to = ((uintptr_t)address + length) & ~(page - 1);
  if (from < to) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

#endif
