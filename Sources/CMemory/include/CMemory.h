#ifndef CMEMORY_H
#define CMEMORY_H

/// Tells the processor that the bytes at `address` will be read soon; never faults, changes nothing.
static inline void kv_prefetch(const void *address) { __builtin_prefetch(address); }

/// Gives the pages that the allocator holds free back to the system.
void kv_memory_trim(void);

#endif
