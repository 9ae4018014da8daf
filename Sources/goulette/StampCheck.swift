// SPDX-License-Identifier: Apache-2.0
//
// StampCheck.swift
// Reads the stamps that a benchmark wrote into its values and follows their order.

import KafkaClient
import Model
import NIOCore
import Records
import Terminal

/// Follows the records of some runs in every partition.
struct StampCheck {
    private struct Key: Hashable {
        let partition: TopicPartition
        let run: UInt64
    }

    private let runs: Set<UInt64>
    private let context = CompressionContext()
    private var checks: [Key: SequenceCheck] = [:]
    /// From the instant a record was due to the instant its chunk was taken; not filled without a clock.
    private(set) var latency = LatencyHistogram()
    /// Records of the runs seen so far.
    private(set) var seen = 0

    init(runs: [UInt64]) { self.runs = Set(runs) }

    /// The verdict on all partitions together.
    var verdict: Verification { checks.values.reduce(into: Verification()) { $0.merge($1.verdict) } }

    /// Takes the records of a chunk; others' records are passed over.
    ///
    /// - Parameter instant: When the chunk arrived, to measure latency.
    mutating func see(_ chunk: FetchedChunk, at instant: Instant? = nil) throws(ClientError) {
        var (found, latency): ([Key: SequenceCheck], LatencyHistogram) = (checks, self.latency)
        // The originals are let go, so that the copies are changed in place.
        checks = [:]
        self.latency = LatencyHistogram()
        var count = 0
        defer {
            checks = found
            self.latency = latency
            seen += count
        }
        do {
            try chunk.forEachRecord(context: context) { record, _ throws(RecordError) in
                guard let value = record.value, value.readableBytes >= BenchLoad.stampBytes,
                    let run = value.getInteger(at: value.readerIndex, as: UInt64.self), runs.contains(run),
                    let sequence = value.getInteger(at: value.readerIndex + 8, as: Int64.self),
                    let due = value.getInteger(at: value.readerIndex + 16, as: UInt64.self)
                else { return }
                found[Key(partition: chunk.partition, run: run), default: SequenceCheck()].see(sequence)
                if let instant { latency.record(instant.nanoseconds(since: Instant(nanoseconds: due))) }
                count += 1
            }
        } catch {
            throw ClientError(.corruptData, attempted: "read records", place: "\(chunk.partition)", detail: "\(error)")
        }
    }
}
