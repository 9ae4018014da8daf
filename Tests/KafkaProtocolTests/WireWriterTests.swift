// SPDX-License-Identifier: Apache-2.0
//
// WireWriterTests.swift
// What is gathered, what is passed through, and what is cut.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct WireWriterTests {
    private func address(_ buffer: ByteBuffer) -> Int {
        buffer.withUnsafeReadableBytes { Int(bitPattern: $0.baseAddress) }
    }

    @Test func smallRecordsAreGatheredInOnePiece() {
        var writer = WireWriter()
        writer.int16(1)
        writer.nullableRecords(ByteBuffer(bytes: [1, 2, 3]))
        writer.int8(2)
        let pieces = writer.finish()
        #expect(pieces.count == 1)
        #expect(pieces[0].readableBytesView.hex == "0001" + "00000003" + "010203" + "02")
    }

    @Test func largeRecordsArePassedThroughWithoutCopying() {
        let first = ByteBuffer(repeating: 1, count: WireWriter.passThroughBytesMin)
        let second = ByteBuffer(repeating: 2, count: 100_000)
        var writer = WireWriter()
        writer.int8(7)
        writer.records(RecordSlices([first, second]))
        writer.int8(8)
        #expect(writer.byteCount == 1 + 4 + first.readableBytes + second.readableBytes + 1)
        let pieces = writer.finish()
        #expect(pieces.map(\.readableBytes) == [5, first.readableBytes, second.readableBytes, 1])
        #expect(address(pieces[1]) == address(first))
        #expect(address(pieces[2]) == address(second))
    }

    @Test func aFetchAnswerPassesEveryPartitionsBatchesThrough() throws {
        let batch = ByteBuffer(repeating: 0xAB, count: 10_000)
        let partitions = (0..<3).map {
            FetchResponse.Partition(index: $0, highWatermark: 9, records: RecordSlices([batch, batch]))
        }
        let response = FetchResponse(topics: [.init(name: "events", partitions: partitions)])
        for version in APIRegistry[.fetch].served {
            let body = ResponseEncoder.encode(response, version: version, correlationID: 5)
            #expect(body.pieces.filter { address($0) == address(batch) }.count == 6)
            #expect(body.byteCount == body.contiguous().readableBytes)
            let decoded = try ResponseDecoder.decode(FetchResponse.self, from: body.contiguous(), version: version)
            #expect(decoded.topics[0].partitions.map(\.records.byteCount) == [20_000, 20_000, 20_000])
            #expect(decoded.topics[0].partitions[2].records == partitions[2].records)
        }
    }

    @Test func aFetchAnswerNeverHoldsNullRecords() throws {
        let response = FetchResponse(topics: [.init(name: "t", partitions: [.init(index: 0, highWatermark: 0)])])
        var classic = WireWriter()
        response.encode(to: &classic, version: 4)
        #expect(classic.finishContiguous().readableBytesView.suffix(4).hex == "00000000")
        var compact = WireWriter()
        response.encode(to: &compact, version: 12)
        // Records of length 0, then no tagged fields of the partition, the topic and the message.
        #expect(compact.finishContiguous().readableBytesView.suffix(4).hex == "01000000")
    }

    @Test func produceRecordsAreSlicesOfTheFrame() throws {
        let records = ByteBuffer(repeating: 3, count: 5000)
        let request = ProduceRequest(
            transactionalID: nil, acks: -1, timeoutMilliseconds: 1000,
            topics: [.init(name: "events", partitions: [.init(index: 4, records: records)])])
        for version in APIRegistry[.produce].served {
            let pieces = RequestEncoder.encode(request, version: version, correlationID: 1, clientID: "c")
            #expect(pieces.contains { address($0) == address(records) })
            var frame = RecordSlices(pieces).contiguous()
            #expect(frame.readInteger(as: Int32.self) == Int32(frame.readableBytes))
            let header = try RequestHeader.read(from: &frame)
            guard case .produce(let decoded) = try RequestDecoder.decode(header, body: frame) else {
                Issue.record("not a produce request")
                return
            }
            // From version 13 on a topic has an id instead of its name.
            #expect(decoded.topics.map(\.name) == [version <= 12 ? "events" : ""])
            #expect(decoded.topics.map(\.partitions) == request.topics.map(\.partitions))
            let slice = try #require(decoded.topics[0].partitions[0].records)
            let distance = address(slice) - address(frame)
            #expect(distance > 0 && distance < frame.readableBytes)
        }
    }

    @Test func longStringsAreCutBeforeACharacter() throws {
        let long = "a" + String(repeating: "é", count: 20_000)
        for isFlexible in [false, true] {
            var writer = WireWriter(isFlexible: isFlexible)
            writer.string(long)
            var reader = WireReader(writer.finishContiguous(), isFlexible: isFlexible)
            let cut = try reader.string()
            #expect(cut.utf8.count == 32767 && long.hasPrefix(cut))
        }
    }
}
