// Swift's Mutex on Linux is a futex word. Its uncontended lock and unlock are atomics that are compiled into the caller, where
// ThreadSanitizer sees them. A contended one calls `_lockSlow` and `_unlockSlow` in libswiftSynchronization.so, which no
// sanitizer instruments: the kernel hands the word over, and ThreadSanitizer misses the edge from the thread that unlocked
// to the one that waited. It then calls everything under a contended Mutex a race.
//
// These functions stand in front of the library's: the program's own symbols win. They call the library's and say what
// happened, on the address of the word, which is also where the instrumented atomics keep their clocks. Nothing is
// suppressed: a race that a Mutex does not order is still told (Tests/KVEnvironmentTests/SanitizerControlTests.swift).
//
// Only in builds for ThreadSanitizer (scripts/sanitize thread).

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "CMutexEvents.h"

#define SWIFT_CALL __attribute__((swiftcall, visibility("default"), no_sanitize("thread")))
#define SWIFT_SELF __attribute__((swift_context))

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef __attribute__((swiftcall)) void (*LockSlow)(uint32_t thread, SWIFT_SELF void *word);
typedef __attribute__((swiftcall)) bool (*TryLockSlow)(SWIFT_SELF void *word);
typedef __attribute__((swiftcall)) void (*UnlockSlow)(SWIFT_SELF void *word);

extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

const int kv_tells_mutex_events = 1;

static void *next(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  // A library without it has another Mutex: these functions would not be called either.
  if (!found) abort();
  return found;
}

SWIFT_CALL void kv_mutex_lock_slow(uint32_t thread, SWIFT_SELF void *word) __asm__(LOCK_SLOW);
SWIFT_CALL bool kv_mutex_try_lock_slow(SWIFT_SELF void *word) __asm__(TRY_LOCK_SLOW);
SWIFT_CALL void kv_mutex_unlock_slow(SWIFT_SELF void *word) __asm__(UNLOCK_SLOW);

SWIFT_CALL void kv_mutex_lock_slow(uint32_t thread, SWIFT_SELF void *word) {
  static LockSlow original;
  if (!original) original = (LockSlow)next(LOCK_SLOW);
  original(thread, word);
  __tsan_acquire(word);
}

SWIFT_CALL bool kv_mutex_try_lock_slow(SWIFT_SELF void *word) {
  static TryLockSlow original;
  if (!original) original = (TryLockSlow)next(TRY_LOCK_SLOW);
  bool taken = original(word);
  if (taken) __tsan_acquire(word);
  return taken;
}

SWIFT_CALL void kv_mutex_unlock_slow(SWIFT_SELF void *word) {
  static UnlockSlow original;
  if (!original) original = (UnlockSlow)next(UNLOCK_SLOW);
  __tsan_release(word);
  original(word);
}
