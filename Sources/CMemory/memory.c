#include "CMemory.h"

#include <malloc.h>

unsigned long kv_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void kv_memory_trim(void) { malloc_trim(0); }
