// SPDX-License-Identifier: Apache-2.0
//
// CRocksDB.h
// RocksDB's C interface, and the few operations it lacks. Imported by RocksKV and by nobody else.

#ifndef GOULETTE_CROCKSDB_H
#define GOULETTE_CROCKSDB_H

#include <rocksdb/c.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// As in rocksdb/c.h: a failed call stores a malloc'ed message in *error, which the caller frees with rocksdb_free.

/// The RocksDB release the headers belong to, as major * 10000 + minor * 100 + patch.
extern const int crocksdb_version;

/// The address to pass for a key or value of zero bytes: RocksDB compares null pointers with an assertion.
const char* crocksdb_empty_bytes(void);

/// Makes everything written so far durable by syncing the write-ahead log.
void crocksdb_sync_wal(rocksdb_t* database, char** error);

/// Writes the memtables of several column families to files in one step.
void crocksdb_flush_families(rocksdb_t* database, rocksdb_column_family_handle_t* const* families, size_t count,
                             unsigned char wait, char** error);

/// Creates several column families and writes the options file once for all of them.
/// Stores one handle per family, in order; on failure none is left open.
void crocksdb_create_families(rocksdb_t* database, const rocksdb_options_t* const* options, const char* const* names,
                              size_t count, rocksdb_column_family_handle_t** handles, char** error);

/// Collects counters, but neither histograms nor timers, which cost clock readings on every operation.
void crocksdb_options_collect_counters(rocksdb_options_t* options);

/// Writes the information log to `path`, and keeps the file before it as `path`.old when it has `bytes_max` bytes or another
/// database is opened; nowhere when `path` is empty. The level must be set before.
/// Lines that cannot be written are left out, unlike in the library's own log, whose assertions abort the process then.
void crocksdb_options_log_to(rocksdb_options_t* options, const char* path, size_t bytes_max);

/// Remembers, for each key prefix of `length` bytes, where the memtable was last written: appends to many interleaved
/// sequences then need no search. Reads are not affected.
void crocksdb_options_hint_inserts_by_prefix(rocksdb_options_t* options, size_t length);

/// Counters of one database since it was opened.
enum crocksdb_counter {
  crocksdb_counter_wal_syncs = 0,
  crocksdb_counter_wal_bytes,
  crocksdb_counter_bytes_written,
  crocksdb_counter_bytes_read,
  crocksdb_counter_cache_hits,
  crocksdb_counter_cache_misses,
  crocksdb_counter_stall_microseconds,
  crocksdb_counter_flush_bytes,
  crocksdb_counter_compaction_read_bytes,
  crocksdb_counter_compaction_written_bytes,
  crocksdb_counter_background_errors,
};

/// One counter; 0 when the database was opened without counters.
uint64_t crocksdb_counter_value(rocksdb_t* database, enum crocksdb_counter counter);

#ifdef __cplusplus
}
#endif

#endif
