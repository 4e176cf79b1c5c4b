#include "CMemory.h"

// All of it is in the header, so that it is inlined where it is used.
