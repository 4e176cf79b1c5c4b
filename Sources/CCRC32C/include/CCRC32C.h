#ifndef CCRC32C_H
#define CCRC32C_H

#include <stddef.h>
#include <stdint.h>

/// CRC32C (Castagnoli) of `length` bytes, continuing from `crc` (0 to start). Uses the processor's instruction where
/// there is one (SSE 4.2, ARMv8 CRC), else a table.
uint32_t kv_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by the table alone, whatever the processor has: what the tests hold the other against.
uint32_t kv_crc32c_by_table(uint32_t crc, const void *bytes, size_t length);

#endif
