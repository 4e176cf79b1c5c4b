#ifndef CMEMORY_H
#define CMEMORY_H

/// Tells the processor that the bytes at `address` will be read soon; never faults, changes nothing.
static inline void kv_prefetch(const void *address) { __builtin_prefetch(address); }

/// How many bytes of the heap are handed out now.
unsigned long kv_heap_bytes(void);

#endif
