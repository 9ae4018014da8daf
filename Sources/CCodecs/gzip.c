// SPDX-License-Identifier: Apache-2.0
//
// gzip.c
// The gzip format through zlib, with contexts that are reset instead of made anew.

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "CCodecs.h"

/// 15 bits of window, plus 16 for the gzip wrapper.
enum { gzip_window_bits = 15 + 16, memory_level = 8 };

struct codecs_gzip_encoder {
    z_stream stream;
};

struct codecs_gzip_decoder {
    z_stream stream;
    bool at_member_end;
};

static uInt clamped(size_t count) {
    return count > UINT_MAX ? UINT_MAX : (uInt)count;
}

codecs_gzip_encoder *codecs_gzip_encoder_create(int32_t level) {
    if (level < Z_DEFAULT_COMPRESSION) { level = Z_DEFAULT_COMPRESSION; }
    if (level > Z_BEST_COMPRESSION) { level = Z_BEST_COMPRESSION; }
    codecs_gzip_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL) { return NULL; }
    if (deflateInit2(&encoder->stream, level, Z_DEFLATED, gzip_window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(encoder);
        return NULL;
    }
    return encoder;
}

void codecs_gzip_encoder_free(codecs_gzip_encoder *encoder) {
    deflateEnd(&encoder->stream);
    free(encoder);
}

size_t codecs_gzip_bound(codecs_gzip_encoder *encoder, size_t count) {
    // A stream that has ended no longer counts its trailer, so the bound is asked of a fresh one.
    deflateReset(&encoder->stream);
    return deflateBound(&encoder->stream, count);
}

int64_t codecs_gzip_compress(codecs_gzip_encoder *encoder, void *output, size_t capacity, const void *input,
                             size_t count) {
    if (count > UINT_MAX || deflateReset(&encoder->stream) != Z_OK) { return CODECS_ERROR_LIBRARY; }
    z_stream *stream = &encoder->stream;
    stream->next_in = (Bytef *)input;
    stream->avail_in = (uInt)count;
    stream->next_out = output;
    stream->avail_out = clamped(capacity);
    int result = deflate(stream, Z_FINISH);
    if (result == Z_OK || result == Z_BUF_ERROR) { return CODECS_ERROR_SPACE; }
    if (result != Z_STREAM_END) { return CODECS_ERROR_LIBRARY; }
    return (int64_t)(clamped(capacity) - stream->avail_out);
}

codecs_gzip_decoder *codecs_gzip_decoder_create(void) {
    codecs_gzip_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) { return NULL; }
    if (inflateInit2(&decoder->stream, gzip_window_bits) != Z_OK) {
        free(decoder);
        return NULL;
    }
    return decoder;
}

void codecs_gzip_decoder_free(codecs_gzip_decoder *decoder) {
    inflateEnd(&decoder->stream);
    free(decoder);
}

void codecs_gzip_decoder_reset(codecs_gzip_decoder *decoder) {
    decoder->at_member_end = false;
    inflateReset(&decoder->stream);
}

codecs_step codecs_gzip_decode(codecs_gzip_decoder *decoder, void *output, size_t capacity, const void *input,
                               size_t count) {
    codecs_step step = {0, 0, CODECS_ERROR_CORRUPT};
    if (decoder->at_member_end) { codecs_gzip_decoder_reset(decoder); }
    z_stream *stream = &decoder->stream;
    stream->next_in = (Bytef *)input;
    stream->avail_in = clamped(count);
    stream->next_out = output;
    stream->avail_out = clamped(capacity);
    int result = inflate(stream, Z_NO_FLUSH);
    step.consumed = clamped(count) - stream->avail_in;
    step.produced = clamped(capacity) - stream->avail_out;
    switch (result) {
    case Z_OK:
    case Z_BUF_ERROR: step.status = 0; break;
    case Z_STREAM_END:
        step.status = 1;
        decoder->at_member_end = true;
        break;
    case Z_MEM_ERROR: step.status = CODECS_ERROR_MEMORY; break;
    default: break;
    }
    return step;
}
