#include "CMemory.h"

#include <malloc.h>

void kv_memory_trim(void) { malloc_trim(0); }
