// CRC-32C (RFC 3720, appendix B.4; polynomial 0x1EDC6F41, reflected), by the processor's own instruction where it has one.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// The checksum of `count` bytes that follow those whose checksum is `before` (0: none).
uint32_t tracefwd_crc32c(uint32_t before, const void *_Nullable bytes, size_t count);
