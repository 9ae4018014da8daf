// SPDX-License-Identifier: Apache-2.0
//
// CRocksDB.cpp
// Operations of rocksdb::DB that the C interface does not reach. Nothing here may throw or keep state.

#include "CRocksDB.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/statistics.h>
#include <rocksdb/version.h>

#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

// The C interface hides its handles. These mirrors must equal the definitions inside the library that is linked;
// check them in its db/c.cc before admitting another release here.
static_assert(ROCKSDB_MAJOR == 7 && ROCKSDB_MINOR == 8,
              "CRocksDB knows the handle layouts of RocksDB 7.8; verify them before building against another release");

struct rocksdb_t {
  rocksdb::DB* rep;
};
struct rocksdb_options_t {
  rocksdb::Options rep;
};
struct rocksdb_column_family_handle_t {
  rocksdb::ColumnFamilyHandle* rep;
};

namespace {

/// Stores the message of a failed status where the C interface would.
bool failed(const rocksdb::Status& status, char** error) {
  if (status.ok()) return false;
  *error = strdup(status.ToString().c_str());
  return true;
}

rocksdb::Tickers ticker(crocksdb_counter counter) {
  switch (counter) {
    case crocksdb_counter_wal_syncs: return rocksdb::WAL_FILE_SYNCED;
    case crocksdb_counter_wal_bytes: return rocksdb::WAL_FILE_BYTES;
    case crocksdb_counter_bytes_written: return rocksdb::BYTES_WRITTEN;
    case crocksdb_counter_bytes_read: return rocksdb::BYTES_READ;
    case crocksdb_counter_cache_hits: return rocksdb::BLOCK_CACHE_HIT;
    case crocksdb_counter_cache_misses: return rocksdb::BLOCK_CACHE_MISS;
    case crocksdb_counter_stall_microseconds: return rocksdb::STALL_MICROS;
    case crocksdb_counter_flush_bytes: return rocksdb::FLUSH_WRITE_BYTES;
    case crocksdb_counter_compaction_read_bytes: return rocksdb::COMPACT_READ_BYTES;
    case crocksdb_counter_compaction_written_bytes: return rocksdb::COMPACT_WRITE_BYTES;
    case crocksdb_counter_background_errors: return rocksdb::ERROR_HANDLER_BG_ERROR_COUNT;
  }
  return rocksdb::TICKER_ENUM_MAX;
}

/// An information log whose writes may fail: what does not fit on the disk is left out.
///
/// The library's own goes on writing to a file whose last write failed, which the library's assertions forbid.
class InformationLog final : public rocksdb::Logger {
 public:
  InformationLog(std::string path, size_t bytes_max, rocksdb::InfoLogLevel level)
      : Logger(level), path_(std::move(path)), bytes_max_(bytes_max) {}

  ~InformationLog() override { release(); }

  using rocksdb::Logger::Logv;

  void Logv(const char* format, va_list arguments) override {
    if (path_.empty()) return;
    char line[4096];
    const int end = sizeof(line) - 1;
    timeval now;
    gettimeofday(&now, nullptr);
    tm date;
    gmtime_r(&now.tv_sec, &date);
    int length = static_cast<int>(strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &date));
    length += snprintf(line + length, sizeof(line) - length, ".%06ldZ ", static_cast<long>(now.tv_usec));
    length += std::max(0, vsnprintf(line + length, sizeof(line) - length, format, arguments));
    length = std::min(length, end - 1);
    if (line[length - 1] != '\n') line[length++] = '\n';
    std::lock_guard<std::mutex> guard(mutex_);
    if (file_ < 0 || size_ >= bytes_max_) begin();
    if (file_ >= 0) size_ += std::max<ssize_t>(0, write(file_, line, length));
  }

 private:
  /// Begins a new file and keeps the one before. The folder may not be there yet.
  void begin() {
    release();
    rename(path_.c_str(), (path_ + ".old").c_str());
    file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_ = 0;
  }

  void release() {
    if (file_ >= 0) close(file_);
    file_ = -1;
  }

  const std::string path_;
  const size_t bytes_max_;
  std::mutex mutex_;
  int file_ = -1;
  size_t size_ = 0;
};

}  // namespace

extern "C" {

const int crocksdb_version = ROCKSDB_MAJOR * 10000 + ROCKSDB_MINOR * 100 + ROCKSDB_PATCH;

const char* crocksdb_empty_bytes(void) { return ""; }

void crocksdb_sync_wal(rocksdb_t* database, char** error) { failed(database->rep->FlushWAL(true), error); }

void crocksdb_flush_families(rocksdb_t* database, rocksdb_column_family_handle_t* const* families, size_t count,
                             unsigned char wait, char** error) {
  rocksdb::FlushOptions options;
  options.wait = wait != 0;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  for (size_t i = 0; i < count; i++) handles.push_back(families[i]->rep);
  failed(database->rep->Flush(options, handles), error);
}

void crocksdb_create_families(rocksdb_t* database, const rocksdb_options_t* const* options, const char* const* names,
                              size_t count, rocksdb_column_family_handle_t** handles, char** error) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < count; i++) {
    descriptors.emplace_back(std::string(names[i]), rocksdb::ColumnFamilyOptions(options[i]->rep));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> created;
  if (failed(database->rep->CreateColumnFamilies(descriptors, &created), error)) {
    for (auto* handle : created) database->rep->DestroyColumnFamilyHandle(handle);
    return;
  }
  // Released by rocksdb_column_family_handle_destroy, which deletes both the wrapper and what it holds.
  for (size_t i = 0; i < count; i++) handles[i] = new rocksdb_column_family_handle_t{created[i]};
}

void crocksdb_options_collect_counters(rocksdb_options_t* options) {
  options->rep.statistics = rocksdb::CreateDBStatistics();
  options->rep.statistics->set_stats_level(rocksdb::StatsLevel::kExceptHistogramOrTimers);
}

void crocksdb_options_log_to(rocksdb_options_t* options, const char* path, size_t bytes_max) {
  options->rep.info_log = std::make_shared<InformationLog>(path, bytes_max, options->rep.info_log_level);
}

void crocksdb_options_hint_inserts_by_prefix(rocksdb_options_t* options, size_t length) {
  options->rep.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(length));
}

uint64_t crocksdb_counter_value(rocksdb_t* database, enum crocksdb_counter counter) {
  auto statistics = database->rep->GetDBOptions().statistics;
  return statistics ? statistics->getTickerCount(ticker(counter)) : 0;
}

}  // extern "C"
