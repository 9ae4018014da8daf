// SPDX-License-Identifier: Apache-2.0
//
// CCodecs.h
// Checksums, compression and allocator tuning in one narrow C interface, so that Swift sees no foreign header.
//
// Conventions: a function that writes bytes returns how many it wrote, or a negative CODECS_ERROR. A context belongs to
// one thread at a time. No function keeps a pointer to its caller's bytes after it has returned. A null pointer goes
// with a count of 0.

#ifndef GOULETTE_CCODECS_H
#define GOULETTE_CCODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang assume_nonnull begin
#define CODECS_NULLABLE _Nullable
#else
#define CODECS_NULLABLE
#endif

/// What a negative result means.
enum {
    /// The input is not what the codec expects: damaged, cut off or of another format.
    CODECS_ERROR_CORRUPT = -1,
    /// The output does not fit the capacity that was given.
    CODECS_ERROR_SPACE = -2,
    /// No memory for a context.
    CODECS_ERROR_MEMORY = -3,
    /// The library refused for another reason, such as a bad parameter.
    CODECS_ERROR_LIBRARY = -4,
};

/// What one step of a streaming decoder did.
typedef struct codecs_step {
    size_t consumed;
    size_t produced;
    /// 0: give more input or more space; 1: a stream ended here; negative: a CODECS_ERROR.
    int32_t status;
} codecs_step;

// MARK: CRC32C

/// Continues the CRC-32C `crc` (0 to begin) over `count` bytes, with the best instructions of this machine.
uint32_t codecs_crc32c(uint32_t crc, const void *CODECS_NULLABLE bytes, size_t count);
/// The same from tables alone; the fallback and the reference of the tests.
uint32_t codecs_crc32c_portable(uint32_t crc, const void *CODECS_NULLABLE bytes, size_t count);
/// The same with the CRC instruction in three lanes, where there is one; for tests.
uint32_t codecs_crc32c_lanes(uint32_t crc, const void *CODECS_NULLABLE bytes, size_t count);
/// The name of what codecs_crc32c() uses here.
const char *codecs_crc32c_implementation(void);

// MARK: Allocator

/// Keeps buffers up to `mmap_threshold` bytes in the heap and keeps up to `trim_threshold` free bytes at its top.
/// Returns false where the C library has no such settings or refuses them.
bool codecs_tune_allocator(int mmap_threshold, int trim_threshold);

// MARK: zstd

typedef struct codecs_zstd_compressor codecs_zstd_compressor;
typedef struct codecs_zstd_decompressor codecs_zstd_decompressor;

codecs_zstd_compressor *CODECS_NULLABLE codecs_zstd_compressor_create(void);
void codecs_zstd_compressor_free(codecs_zstd_compressor *compressor);
/// Clamped to what the library supports.
int64_t codecs_zstd_set_level(codecs_zstd_compressor *compressor, int32_t level);
size_t codecs_zstd_bound(size_t count);
int64_t codecs_zstd_compress(codecs_zstd_compressor *compressor, void *CODECS_NULLABLE output, size_t capacity,
                             const void *CODECS_NULLABLE input, size_t count);

codecs_zstd_decompressor *CODECS_NULLABLE codecs_zstd_decompressor_create(void);
void codecs_zstd_decompressor_free(codecs_zstd_decompressor *decompressor);
/// An upper bound of the decompressed size, from the headers of frames and blocks alone; CODECS_ERROR_CORRUPT when
/// these do not parse. The frames may lie, so the bound only saves memory, it proves nothing.
int64_t codecs_zstd_output_bound(const void *CODECS_NULLABLE input, size_t count);
/// Decompresses all frames of `input`. The output is its own window: memory is bounded by `capacity`.
int64_t codecs_zstd_decompress(codecs_zstd_decompressor *decompressor, void *CODECS_NULLABLE output, size_t capacity,
                               const void *CODECS_NULLABLE input, size_t count);

// MARK: lz4 (frame format)

typedef struct codecs_lz4_decoder codecs_lz4_decoder;

size_t codecs_lz4_bound(size_t count);
/// One frame of independent blocks, which is the only form that Kafka's own Java reader takes.
int64_t codecs_lz4_compress(int32_t level, void *CODECS_NULLABLE output, size_t capacity,
                            const void *CODECS_NULLABLE input, size_t count);
codecs_lz4_decoder *CODECS_NULLABLE codecs_lz4_decoder_create(void);
void codecs_lz4_decoder_free(codecs_lz4_decoder *decoder);
/// Forgets a stream that was not read to its end.
void codecs_lz4_decoder_reset(codecs_lz4_decoder *decoder);
codecs_step codecs_lz4_decode(codecs_lz4_decoder *decoder, void *CODECS_NULLABLE output, size_t capacity,
                              const void *CODECS_NULLABLE input, size_t count);

// MARK: snappy (raw blocks)

size_t codecs_snappy_bound(size_t count);
int64_t codecs_snappy_compress(void *CODECS_NULLABLE output, size_t capacity, const void *CODECS_NULLABLE input,
                               size_t count);
/// The decompressed size a block claims, at most 2^32 - 1.
int64_t codecs_snappy_length(const void *CODECS_NULLABLE input, size_t count);
int64_t codecs_snappy_decompress(void *CODECS_NULLABLE output, size_t capacity, const void *CODECS_NULLABLE input,
                                 size_t count);

// MARK: gzip

typedef struct codecs_gzip_encoder codecs_gzip_encoder;
typedef struct codecs_gzip_decoder codecs_gzip_decoder;

codecs_gzip_encoder *CODECS_NULLABLE codecs_gzip_encoder_create(int32_t level);
void codecs_gzip_encoder_free(codecs_gzip_encoder *encoder);
size_t codecs_gzip_bound(codecs_gzip_encoder *encoder, size_t count);
int64_t codecs_gzip_compress(codecs_gzip_encoder *encoder, void *CODECS_NULLABLE output, size_t capacity,
                             const void *CODECS_NULLABLE input, size_t count);
codecs_gzip_decoder *CODECS_NULLABLE codecs_gzip_decoder_create(void);
void codecs_gzip_decoder_free(codecs_gzip_decoder *decoder);
void codecs_gzip_decoder_reset(codecs_gzip_decoder *decoder);
/// Stops at the end of each member; the next call begins the next one.
codecs_step codecs_gzip_decode(codecs_gzip_decoder *decoder, void *CODECS_NULLABLE output, size_t capacity,
                               const void *CODECS_NULLABLE input, size_t count);

#if defined(__clang__)
#pragma clang assume_nonnull end
#endif

#endif
