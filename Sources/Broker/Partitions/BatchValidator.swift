// SPDX-License-Identifier: Apache-2.0
//
// BatchValidator.swift
// Checks batches that have to be unpacked or packed anew, and unpacks what followers are sent, on threads of their own:
// an event loop never waits for a codec.

import LogStore
import Model
package import NIOCore
package import Records
package import Telemetry

/// A batch that passed validation.
package struct CheckedBatch: Sendable {
    /// As it is stored: with another codec than the producer's, when the topic asks for one.
    package var batch: RecordBatch
    package var summary: RecordBatchSummary
}

/// What a batch is checked against.
package struct BatchCheck: Sendable {
    package var records: ByteBuffer?
    package var rules: ProduceRules
    /// The codec that the topic wants; nil keeps the producer's.
    package var targetCodec: CompressionCodec?

    /// Whether the check takes so long that it does not belong on an event loop.
    var isLong: Bool {
        guard let records, let batch = try? RecordBatch.produced(in: records) else { return false }
        if let targetCodec, targetCodec != batch.codec { return true }
        return batch.isCompressed && batch.totalBytes >= BatchValidator.bytesMin
    }

    /// Carries it out.
    func run(_ context: CompressionContext) -> Result<CheckedBatch, RecordError> {
        do throws(RecordError) {
            guard let records, records.readableBytes > 0 else { throw .notOneBatch(trailingBytes: 0) }
            var batch = try RecordBatch.produced(in: records)
            let summary = try batch.validate(rules, context: context)
            if let targetCodec, targetCodec != batch.codec, !batch.isTransactional {
                batch = try batch.recompressed(to: targetCodec, context: context)
            }
            return .success(CheckedBatch(batch: batch, summary: summary))
        } catch {
            return .failure(error)
        }
    }
}

/// Threads that check and unpack batches; those of one group one after the other, in the order they came.
package final class BatchValidator: Sendable {
    /// From this size on unpacking costs more than two hops between threads.
    package static let bytesMin = 8 << 10

    private let loops: [any EventLoop]
    private let contexts: [NIOLoopBoundBox<CompressionContext?>]
    private let unpackers: [NIOLoopBoundBox<EntryUnpacker?>]
    private let waiting: Gauge

    /// Checks on `loops`, which do nothing else.
    package init(loops: [any EventLoop], waiting: Gauge) {
        self.loops = loops
        self.waiting = waiting
        contexts = loops.map { .makeEmptyBox(valueType: CompressionContext.self, eventLoop: $0) }
        unpackers = loops.map { .makeEmptyBox(valueType: EntryUnpacker.self, eventLoop: $0) }
    }

    /// Whether there is a thread to check on.
    var isAvailable: Bool { !loops.isEmpty }

    /// Checks a batch of `group`; `then` runs on the thread that checked it.
    func check(
        _ check: BatchCheck, of group: GroupID, then: @escaping @Sendable (Result<CheckedBatch, RecordError>) -> Void
    ) {
        let number = Int(group.rawValue % UInt64(loops.count))
        let box = contexts[number]
        waiting.add(1)
        loops[number].execute { [waiting] in
            let context = box.value ?? CompressionContext()
            box.value = context
            let verdict = check.run(context)
            waiting.add(-1)
            then(verdict)
        }
    }

    /// Unpacks an entry of `group`; `then` runs on the thread that did, in the order of the calls, with nil when the entry
    /// cannot be unpacked.
    func unpack(_ entry: StoredEntry, of group: GroupID, then: @escaping @Sendable (ByteBuffer?) -> Void) {
        let number = Int(group.rawValue % UInt64(loops.count))
        let box = unpackers[number]
        waiting.add(1)
        loops[number].execute { [waiting] in
            let unpacker = box.value ?? EntryUnpacker()
            box.value = unpacker
            let payload = unpacker.unpack(entry)
            waiting.add(-1)
            then(payload)
        }
    }
}
