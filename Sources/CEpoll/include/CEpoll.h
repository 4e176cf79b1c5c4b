#ifndef KV_CEPOLL_H
#define KV_CEPOLL_H

#include <stdint.h>

// The kernel's epoll with a number for each descriptor and a time-out in nanoseconds: the C library's module for Swift lacks it.

/// What is ready at a descriptor.
struct kv_ready {
    uint64_t tag;
    uint32_t readable;
    uint32_t writable;
};

/// A new set of descriptors, or -1.
int kv_epoll_create(void);

/// Watches a descriptor for reading, and for writing where asked; 0 or -1.
int kv_epoll_watch(int set, int descriptor, uint64_t tag, int is_new, int writing);

/// Waits at most so many nanoseconds, without end where negative; how many of `ready` were filled, or -1.
int kv_epoll_wait(int set, struct kv_ready *ready, int count, int64_t nanoseconds);

#endif
