// SPDX-License-Identifier: Apache-2.0
//
// zstd.c
// One-shot zstd through reusable contexts. The streaming interface is not used: its window is chosen by the sender of
// the bytes and may take 128 MiB.

#define ZSTD_STATIC_LINKING_ONLY // ZSTD_decompressBound
#include <zstd.h>
#include <zstd_errors.h>

#include "CCodecs.h"

static int64_t result_of(size_t result) {
    if (!ZSTD_isError(result)) { return (int64_t)result; }
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_dstSize_tooSmall: return CODECS_ERROR_SPACE;
    case ZSTD_error_memory_allocation: return CODECS_ERROR_MEMORY;
    case ZSTD_error_parameter_unsupported:
    case ZSTD_error_parameter_outOfBound:
    case ZSTD_error_stage_wrong: return CODECS_ERROR_LIBRARY;
    default: return CODECS_ERROR_CORRUPT;
    }
}

codecs_zstd_compressor *codecs_zstd_compressor_create(void) {
    return (codecs_zstd_compressor *)ZSTD_createCCtx();
}

void codecs_zstd_compressor_free(codecs_zstd_compressor *compressor) {
    ZSTD_freeCCtx((ZSTD_CCtx *)compressor);
}

int64_t codecs_zstd_set_level(codecs_zstd_compressor *compressor, int32_t level) {
    if (level < ZSTD_minCLevel()) { level = ZSTD_minCLevel(); }
    if (level > ZSTD_maxCLevel()) { level = ZSTD_maxCLevel(); }
    return result_of(ZSTD_CCtx_setParameter((ZSTD_CCtx *)compressor, ZSTD_c_compressionLevel, level));
}

size_t codecs_zstd_bound(size_t count) {
    return ZSTD_compressBound(count);
}

int64_t codecs_zstd_compress(codecs_zstd_compressor *compressor, void *output, size_t capacity, const void *input,
                             size_t count) {
    return result_of(ZSTD_compress2((ZSTD_CCtx *)compressor, output, capacity, input, count));
}

codecs_zstd_decompressor *codecs_zstd_decompressor_create(void) {
    return (codecs_zstd_decompressor *)ZSTD_createDCtx();
}

void codecs_zstd_decompressor_free(codecs_zstd_decompressor *decompressor) {
    ZSTD_freeDCtx((ZSTD_DCtx *)decompressor);
}

int64_t codecs_zstd_output_bound(const void *input, size_t count) {
    unsigned long long bound = ZSTD_decompressBound(input, count);
    if (bound == ZSTD_CONTENTSIZE_ERROR) { return CODECS_ERROR_CORRUPT; }
    return bound > INT64_MAX ? INT64_MAX : (int64_t)bound;
}

int64_t codecs_zstd_decompress(codecs_zstd_decompressor *decompressor, void *output, size_t capacity,
                               const void *input, size_t count) {
    return result_of(ZSTD_decompressDCtx((ZSTD_DCtx *)decompressor, output, capacity, input, count));
}
