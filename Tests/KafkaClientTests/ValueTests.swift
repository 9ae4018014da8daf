// SPDX-License-Identifier: Apache-2.0
//
// ValueTests.swift
// The parts without sockets: frames, deadlines, addresses, backoff, batches of a partition, the partitioner.

import KafkaProtocol
import Model
import NIOCore
import Records
import Testing

@testable import KafkaClient

@Suite struct ValueTests {
    // MARK: Frames

    private func frames(_ bodies: [[UInt8]]) -> [UInt8] {
        bodies.flatMap { body in (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body }
    }

    @Test(arguments: [1, 2, 3, 5, 7, 64, 1_000])
    func framesComeOutWholeHoweverTheyArrive(_ step: Int) throws {
        let bodies: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 7, count: 300), [9]]
        let bytes = frames(bodies)
        var splitter = FrameSplitter(frameBytesMax: 1_000)
        var found: [[UInt8]] = []
        for start in stride(from: 0, to: bytes.count, by: step) {
            splitter.append(ByteBuffer(bytes: bytes[start..<min(start + step, bytes.count)]))
            while let frame = try splitter.next() { found.append(Array(frame.readableBytesView)) }
        }
        #expect(found == bodies)
        #expect(splitter.pendingBytes == 0)
    }

    @Test(arguments: [-1, 1_001, .max, .min] as [Int32])
    func absurdSizesAreRefused(_ size: Int32) {
        var splitter = FrameSplitter(frameBytesMax: 1_000)
        splitter.append(ByteBuffer(integer: size))
        #expect(throws: FrameSplitter.InvalidSize(size: size)) { try splitter.next() }
    }

    // MARK: Requests that wait

    @Test func answersMustComeInOrder() {
        var pending = PendingRequests<String>()
        for name in ["a", "b", "c"] {
            let id = pending.makeCorrelationID()
            pending.add(.init(correlationID: id, deadlineNanoseconds: 100 + UInt64(id), completion: name))
        }
        #expect(pending.answer(correlationID: 1) == nil)
        #expect(pending.answer(correlationID: 0)?.completion == "a")
        #expect(!pending.isOverdue(nowNanoseconds: 100) && pending.isOverdue(nowNanoseconds: 101))
        #expect(pending.removeAll().map(\.completion) == ["b", "c"])
        #expect(pending.count == 0)
    }

    // MARK: Addresses and backoff

    @Test(
        arguments: [
            ("kafka", "kafka:9092"), ("kafka:1", "kafka:1"), ("10.0.0.1:65535", "10.0.0.1:65535"),
            ("[::1]:9", "[::1]:9"),
            ("::1", "[::1]:9092"), ("[::1]", "[::1]:9092"), ("", nil), (":1", nil), ("a:", nil), ("a:0", nil),
            ("a:65536", nil), ("a:x", nil), ("[::1", nil), ("[::1]x", nil), ("a b:1", nil),
        ] as [(String, String?)])
    func addresses(_ text: String, _ expected: String?) {
        #expect(BrokerAddress(parsing: text)?.description == expected)
    }

    @Test func listsOfAddresses() {
        #expect(BrokerAddress.list(parsing: "a,b:2")?.map(\.description) == ["a:9092", "b:2"])
        #expect(BrokerAddress.list(parsing: "a,,b") == nil)
        #expect(BrokerAddress.list(parsing: "") == nil)
    }

    @Test func waitsDoubleUpToTheLimitWithJitter() {
        var random = SeededRandom(seed: 7)
        var backoff = Backoff(firstMilliseconds: 10, largestMilliseconds: 80)
        for expected in [10, 20, 40, 80, 80, 80] as [Int64] {
            #expect((expected / 2...expected).contains(backoff.next(using: &random)))
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= 10)
        for _ in 0..<100 { #expect(backoff.next(using: &random) <= 80) }
    }

    // MARK: Batches of a partition

    private func queue(batchBytesMax: Int = 1_000) -> PartitionQueue {
        PartitionQueue(
            TopicPartition(topic: "t", partition: PartitionIndex(rawValue: 0)), codec: .none,
            batchBytesMax: batchBytesMax)
    }

    private func seal(_ queue: inout PartitionQueue, at nanoseconds: UInt64 = 1, records: Int = 1) throws {
        for _ in 0..<records {
            _ = queue.append(
                key: nil, value: ByteBuffer(string: "v"), headers: [], timestamp: 5,
                at: Instant(nanoseconds: nanoseconds))
        }
        try queue.seal(context: CompressionContext())
    }

    @Test func recordsOfOneInstantShareAStamp() throws {
        var queue = queue()
        for instant in [1, 1, 2, 3, 3, 3] as [UInt64] {
            _ = queue.append(
                key: nil, value: nil, headers: [], timestamp: 5, at: Instant(nanoseconds: instant))
        }
        try queue.seal(context: CompressionContext())
        guard let batch = queue.takeNext() else { return #expect(Bool(false), "nothing was sealed") }
        #expect(batch.stamps.map(\.count) == [2, 1, 3])
        #expect(batch.stamps.map(\.instant.nanoseconds) == [1, 2, 3])
        #expect(batch.recordCount == 6 && batch.openedAt == Instant(nanoseconds: 1))
    }

    @Test func bytesInAndBytesOutAreTheSame() throws {
        var queue = queue(batchBytesMax: 100)
        var bytes = 0
        while !queue.isFull {
            bytes += queue.append(
                key: nil, value: ByteBuffer(string: "value"), headers: [], timestamp: 5, at: Instant(nanoseconds: 1))
        }
        try queue.seal(context: CompressionContext())
        #expect(queue.takeNext()?.bufferedBytes == bytes)
    }

    @Test func sequencesFollowTheRecords() throws {
        var queue = queue()
        queue.producer = ProducerFields(id: ProducerID(rawValue: 9), epoch: 2, baseSequence: 0)
        for count in [3, 1, 2] { try seal(&queue, records: count) }
        var sequences: [Int32] = []
        while let batch = queue.takeNext() {
            let header = try RecordBatch(batch.bytes).header
            #expect(header.producerID.rawValue == 9 && header.producerEpoch == 2)
            sequences.append(header.baseSequence)
        }
        #expect(sequences == [0, 3, 4])
    }

    @Test func afterAFailureEverythingGoesAgainInOrder() throws {
        var queue = queue()
        let now = Instant(nanoseconds: 1_000)
        for _ in 0..<5 { try seal(&queue) }
        let sent = (0..<4).compactMap { _ in queue.takeNext()?.ordinal }
        queue.fail(sent[1])
        #expect(queue.isRewinding && !queue.isSendable(now: now))
        queue.settle(sent[0])
        queue.fail(sent[3])
        let early = queue.finishRewind(resumesAt: now)
        #expect(!early, "one batch is still in flight")
        queue.fail(sent[2])
        let done = queue.finishRewind(resumesAt: now)
        #expect(done)
        #expect(!queue.isSendable(now: Instant(nanoseconds: 999)) && queue.isSendable(now: now))
        #expect((0..<4).compactMap { _ in queue.takeNext()?.ordinal } == [1, 2, 3, 4])
        for ordinal in 1...4 as ClosedRange<UInt64> { queue.settle(ordinal) }
        #expect(queue.isEmpty)
    }

    @Test func oldBatchesExpireOldestFirst() throws {
        var queue = queue()
        for instant in [10, 20, 30] as [UInt64] { try seal(&queue, at: instant) }
        #expect(queue.expire(openedBefore: Instant(nanoseconds: 25)).map(\.ordinal) == [0, 1])
        #expect(queue.removeSealed().map(\.ordinal) == [2])
    }

    // MARK: Partitioner

    @Test(
        arguments: [
            ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829), ("abc", 479_470_107),
        ] as [(String, Int32)])
    func hashesAgreeWithOtherClients(_ key: String, _ hash: Int32) {
        #expect(Int32(bitPattern: Partitioner.murmur2(ByteBuffer(string: key))) == hash)
    }

    @Test func settingsThatContradictAreNamed() {
        var settings = ProducerSettings()
        #expect(settings.problem == nil)
        settings.isIdempotent = true
        settings.acknowledgement = .leader
        #expect(settings.problem?.contains("acknowledgement") == true)
        settings.acknowledgement = .all
        settings.inFlightMax = 6
        #expect(settings.problem?.contains("in flight") == true)
    }
}
