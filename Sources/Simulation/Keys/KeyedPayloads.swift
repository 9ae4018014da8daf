// SPDX-License-Identifier: Apache-2.0
//
// KeyedPayloads.swift
// Batches for a compacted topic: few keys, deletions, transactions and the markers that end them, each codec.

internal import Model
internal import NIOCore
internal import Records

extension Payloads {
    /// How many keys a topic has.
    private static let keys = 12
    /// Two producers write transactions, the third does not.
    private static let transactional = 1...2

    /// One batch of keyed records, or a marker, of about `size` bytes; the operation decides which.
    static func keyed(_ operation: UInt64, size: Int, base: Offset, term: Term, timestamp: Int64) -> (ByteBuffer, Int) {
        var random = SeededRandom(seed: operation ^ 0x4B_4559_5345)
        let kind = Int.random(in: 0..<10, using: &random)
        let number = kind < 4 ? Int.random(in: transactional, using: &random) : 3
        let producer = ProducerID(rawValue: Int64(number))
        var built: ByteBuffer?
        var count = 1
        if kind == 0 {
            let marker = ControlRecord(kind: Bool.random(using: &random) ? .abort : .commit, coordinatorEpoch: 0)
            built = try? marker.batch(producerID: producer, producerEpoch: 0, time: WallTime(milliseconds: timestamp))
        } else {
            let fields = ProducerFields(
                id: producer, epoch: 0, baseSequence: Int32(truncatingIfNeeded: operation & 0x3FFF_FFFF))
            let codec = CompressionCodec.allCases.randomElement(using: &random) ?? .none
            var builder = RecordBatchBuilder(
                codec: codec, producer: kind < 5 ? fields : .none, isTransactional: kind < 4)
            count = Int.random(in: 1...3, using: &random)
            for place in 0..<count {
                var value = ByteBuffer()
                value.writeInteger(operation)
                for _ in 0..<max(0, size / count - 70) / 8 { value.writeInteger(random.next()) }
                let isDeletion = Int.random(in: 0..<6, using: &random) == 0
                builder.append(
                    key: ByteBuffer(string: "key \(Int.random(in: 0..<keys, using: &random))"),
                    value: isDeletion ? nil : value, timestamp: timestamp + Int64(place))
            }
            built = try? builder.build()
        }
        guard var buffer = built else { preconditionFailure("a batch of the simulation cannot be built") }
        RecordBatch.patch(baseOffset: base, leaderEpoch: term.leaderEpoch, in: &buffer, at: buffer.readerIndex)
        if buffer.readableBytes >= placedBytesMin { buffer = placed(buffer, residue: Int(random.next() % 512) * 8) }
        return (buffer, count)
    }
}
