// SPDX-License-Identifier: Apache-2.0
//
// snappy.c
// Raw snappy blocks; the framing of Java clients is done in Swift.

#include <snappy-c.h>

#include "CCodecs.h"

size_t codecs_snappy_bound(size_t count) {
    return snappy_max_compressed_length(count);
}

int64_t codecs_snappy_compress(void *output, size_t capacity, const void *input, size_t count) {
    size_t written = capacity;
    switch (snappy_compress((const char *)input, count, (char *)output, &written)) {
    case SNAPPY_OK: return (int64_t)written;
    case SNAPPY_BUFFER_TOO_SMALL: return CODECS_ERROR_SPACE;
    default: return CODECS_ERROR_LIBRARY;
    }
}

int64_t codecs_snappy_length(const void *input, size_t count) {
    size_t length = 0;
    if (snappy_uncompressed_length((const char *)input, count, &length) != SNAPPY_OK) { return CODECS_ERROR_CORRUPT; }
    return (int64_t)length;
}

int64_t codecs_snappy_decompress(void *output, size_t capacity, const void *input, size_t count) {
    size_t written = capacity;
    switch (snappy_uncompress((const char *)input, count, (char *)output, &written)) {
    case SNAPPY_OK: return (int64_t)written;
    case SNAPPY_BUFFER_TOO_SMALL: return CODECS_ERROR_SPACE;
    default: return CODECS_ERROR_CORRUPT;
    }
}
