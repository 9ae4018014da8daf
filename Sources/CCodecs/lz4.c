// SPDX-License-Identifier: Apache-2.0
//
// lz4.c
// The lz4 frame format.

#include <lz4frame.h>
#include <string.h>

#include "CCodecs.h"

/// 64 KiB independent blocks, no content size and no checksums: what Java and C clients write themselves.
static LZ4F_preferences_t preferences(int32_t level) {
    LZ4F_preferences_t preferences;
    memset(&preferences, 0, sizeof preferences);
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level;
    preferences.autoFlush = 1;
    return preferences;
}

size_t codecs_lz4_bound(size_t count) {
    LZ4F_preferences_t settings = preferences(0);
    return LZ4F_compressFrameBound(count, &settings);
}

int64_t codecs_lz4_compress(int32_t level, void *output, size_t capacity, const void *input, size_t count) {
    LZ4F_preferences_t settings = preferences(level);
    size_t result = LZ4F_compressFrame(output, capacity, input, count, &settings);
    if (LZ4F_isError(result)) { return CODECS_ERROR_LIBRARY; }
    return (int64_t)result;
}

codecs_lz4_decoder *codecs_lz4_decoder_create(void) {
    LZ4F_dctx *context = NULL;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION))) { return NULL; }
    return (codecs_lz4_decoder *)context;
}

void codecs_lz4_decoder_free(codecs_lz4_decoder *decoder) {
    LZ4F_freeDecompressionContext((LZ4F_dctx *)decoder);
}

void codecs_lz4_decoder_reset(codecs_lz4_decoder *decoder) {
    LZ4F_resetDecompressionContext((LZ4F_dctx *)decoder);
}

codecs_step codecs_lz4_decode(codecs_lz4_decoder *decoder, void *output, size_t capacity, const void *input,
                              size_t count) {
    codecs_step step = {.consumed = count, .produced = capacity, .status = 0};
    size_t hint =
        LZ4F_decompress((LZ4F_dctx *)decoder, output, &step.produced, input, &step.consumed, NULL);
    if (LZ4F_isError(hint)) {
        codecs_step failed = {0, 0, CODECS_ERROR_CORRUPT};
        return failed;
    }
    step.status = hint == 0 ? 1 : 0;
    return step;
}
