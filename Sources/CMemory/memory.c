#include "CMemory.h"

#include <malloc.h>

// The rest is in the header, so that it is inlined where it is used.

unsigned long kv_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
