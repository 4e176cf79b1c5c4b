#include <stddef.h>
#include <stdint.h>

/// libFuzzer's own loop: calls `one` with input after input; see "Using libFuzzer as a library" in LLVM's documentation.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *bytes, size_t count));
