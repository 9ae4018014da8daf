// SPDX-License-Identifier: Apache-2.0
//
// Partition+NewestRecord.swift
// Which record has the highest timestamp (KIP-734).

import KafkaProtocol
import LogStore
import Model

extension Partition {
    /// The answer to ListOffsets for the highest timestamp: the first record before `end` that has it.
    ///
    /// The log knows a bound of its timestamps, which nearly always is the timestamp itself: then one search finds the
    /// record. It is too high when the record that had it is deleted, or not committed; then the timestamp is searched
    /// for by halves, in at most 63 searches.
    func newestRecord(
        upTo end: Offset,
        completion: @escaping (KafkaErrorCode, _ offset: Int64, _ timestamp: Int64, _ epoch: Int32) -> Void
    ) {
        let search = NewestRecordSearch(bound: log.maxTimestamp)
        advance(search, upTo: end, completion)
    }

    private func advance(
        _ search: NewestRecordSearch, upTo end: Offset,
        _ completion: @escaping (KafkaErrorCode, _ offset: Int64, _ timestamp: Int64, _ epoch: Int32) -> Void
    ) {
        guard let timestamp = search.next else {
            guard let found = search.found else { return completion(.none, -1, -1, -1) }
            return completion(.none, found.offset.rawValue, found.timestamp, found.term.leaderEpoch)
        }
        log.offset(forTimestamp: timestamp, upTo: end) { [self] answer in
            switch answer {
            case .success(let match):
                var search = search
                search.take(match)
                advance(search, upTo: end, completion)
            case .failure(let error): completion(ErrorMapping.code(of: error), -1, -1, -1)
            }
        }
    }
}

/// The search for the highest timestamp of a log that only answers which record is the first at or after a time.
///
/// Invariant: no record has a timestamp of `absent` or above; `found` is the first of all that have its timestamp or a
/// higher one.
struct NewestRecordSearch {
    /// The time to search for next; nil when the search is over.
    private(set) var next: Int64?
    /// The record with the highest timestamp of those seen.
    private(set) var found: TimestampMatch?
    private var absent: Int64

    /// Begins with `bound`, the highest timestamp there can be; -1 when there is no record.
    init(bound: Int64) {
        absent = bound == .max ? .max : bound + 1
        next = bound >= 0 ? bound : nil
    }

    /// Takes the answer to ``next``.
    mutating func take(_ match: TimestampMatch?) {
        guard let asked = next else { return }
        if let match { found = match } else { absent = asked }
        guard let found else {
            // The second question is whether there is a record at all.
            return next = absent > 0 ? 0 : nil
        }
        let gap = absent - found.timestamp
        next = gap > 1 ? found.timestamp + gap / 2 : nil
    }
}
