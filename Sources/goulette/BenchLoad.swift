// SPDX-License-Identifier: Apache-2.0
//
// BenchLoad.swift
// Makes records on a client's event loop, as fast as there is room or at a fixed rate, and times their delivery.

import KafkaClient
import Model
import NIOCore
import Terminal

/// What a load has to do; one value for each client.
struct LoadPlan: Sendable {
    var topic: String
    /// Partitions to write to in turn; every client has its own order.
    var slotsFrom: Int
    var size: Int
    var compressibility: Double
    /// How many records; nil for no limit.
    var count: Int?
    var durationNanoseconds: UInt64?
    /// Records a second; nil for as many as there is room for.
    var rate: Double?
    /// Whether values begin with a run, a sequence number and the instant they were due.
    var isStamped: Bool
    var run: UInt64
    var seed: UInt64
}

/// What became of a load so far.
struct LoadResult: Sendable {
    var delivered = 0
    var failed = 0
    var payloadBytes = 0
    var wireBytes = 0
    var appended = 0
    var firstError: ClientError?
    var latency = LatencyHistogram()
    /// Since the last sample.
    var recent = LatencyHistogram()
    var startedAt: Instant?
    var endedAt: Instant?
    /// Whether the last record has been delivered or given up.
    var isDone = false

    /// Seconds from the first record to the last delivery.
    var seconds: Double {
        guard let startedAt, let endedAt else { return 0 }
        return Double(endedAt.nanoseconds(since: startedAt)) / 1e9
    }

    /// Adds what another client did.
    mutating func merge(_ other: LoadResult) {
        delivered += other.delivered
        failed += other.failed
        payloadBytes += other.payloadBytes
        wireBytes += other.wireBytes
        appended += other.appended
        firstError = firstError ?? other.firstError
        latency.merge(other.latency)
        recent.merge(other.recent)
        startedAt = [startedAt, other.startedAt].compactMap { $0 }.min()
        endedAt = [endedAt, other.endedAt].compactMap { $0 }.max()
    }
}

/// One client's load; confined to its event loop.
///
/// With a rate, a record is due at its place in the schedule whether or not the client could send it then, and its
/// latency counts from there: a broker that stalls is charged for every record it held up, not only for those in
/// flight.
final class BenchLoad {
    /// Where the header of a stamped value ends: run, sequence, instant.
    static let stampBytes = 24
    private static let burstMax = 2_000
    /// Above this rate, records of 100 us share one instant, the earliest, so that stamps stay few.
    private static let exactRateMax = 50_000.0
    private static let tickNanoseconds: UInt64 = 100_000

    private let producer: ProducerCore
    private let loop: NIOIsolatedEventLoop
    private let clock: Clock
    private let plan: LoadPlan
    private var slots: [Int] = []
    private var sequences: [Int64] = []
    private var nextSlot = 0
    private var values: [ByteBuffer] = []
    private var nextValue = 0
    private var isFinishing = false
    private(set) var result = LoadResult()

    init(_ plan: LoadPlan, producer: ProducerCore, eventLoop: any EventLoop, clock: Clock) {
        self.plan = plan
        self.producer = producer
        self.loop = eventLoop.assumeIsolated()
        self.clock = clock
        let count = producer.partitionCount(of: plan.topic)
        slots = (0..<count).compactMap {
            producer.slot(of: TopicPartition(topic: plan.topic, partition: PartitionIndex(rawValue: Int32($0))))
        }
        sequences = [Int64](repeating: 0, count: slots.count)
        nextSlot = plan.slotsFrom % max(1, count)
        var random = SeededRandom(seed: plan.seed)
        values = (0..<64).map { _ in Self.value(plan, using: &random) }
    }

    /// Random bytes followed by equal ones, in the proportion asked for.
    private static func value(_ plan: LoadPlan, using random: inout SeededRandom) -> ByteBuffer {
        let equal = Int(Double(plan.size) * plan.compressibility)
        var value = ByteBuffer()
        value.reserveCapacity(plan.size)
        for _ in 0..<plan.size - equal { value.writeInteger(UInt8.random(in: .min ... .max, using: &random)) }
        value.writeRepeatingByte(UInt8(ascii: "x"), count: equal)
        if plan.isStamped { value.setInteger(plan.run, at: value.readerIndex) }
        return value
    }

    /// Begins.
    func start() {
        result.startedAt = clock.now()
        run()
    }

    /// What became of the load so far; begins a new interval of recent latencies.
    func sample() -> LoadResult {
        defer { result.recent.reset() }
        return result
    }

    /// Counts a delivery.
    func delivered(_ delivery: Delivery) {
        let now = clock.now()
        result.endedAt = now
        result.wireBytes += delivery.byteCount
        if let error = delivery.error {
            result.failed += delivery.recordCount
            result.firstError = result.firstError ?? error
            return
        }
        result.delivered += delivery.recordCount
        result.payloadBytes += delivery.recordCount * plan.size
        for stamp in delivery.stamps {
            let nanoseconds = now.nanoseconds(since: stamp.instant)
            result.latency.record(nanoseconds, times: stamp.count)
            result.recent.record(nanoseconds, times: stamp.count)
        }
    }

    // MARK: Making records

    private func run() {
        guard producer.hasRoom else { return producer.whenRoom { self.loop.execute { self.run() } } }
        let now = clock.now()
        guard !isOver(now) else { return finish() }
        if let rate = plan.rate { paced(rate, now) } else { unpaced(now) }
    }

    private func unpaced(_ now: Instant) {
        let count = min(Self.burstMax, plan.count.map { $0 - result.appended } ?? Self.burstMax)
        let timestamp = clock.wallTime().milliseconds
        for _ in 0..<count { append(timestamp: timestamp, due: now) }
        // The socket and the answers have their turn before the next burst.
        loop.execute { self.run() }
    }

    private func paced(_ rate: Double, _ now: Instant) {
        guard let startedAt = result.startedAt else { return }
        let elapsed = Double(now.nanoseconds(since: startedAt))
        var due = Int(elapsed * rate / 1e9) + 1
        if let count = plan.count { due = min(due, count) }
        let timestamp = clock.wallTime().milliseconds
        let last = min(due, result.appended + Self.burstMax)
        while result.appended < last {
            append(timestamp: timestamp, due: instant(of: result.appended, rate, startedAt))
        }
        let next = instant(of: result.appended, rate, startedAt).nanoseconds(since: clock.now())
        if next == 0 { return loop.execute { self.run() } }
        loop.scheduleTask(in: .nanoseconds(Int64(max(next, 20_000)))) { self.run() }
    }

    /// When record number `index` is due.
    private func instant(of index: Int, _ rate: Double, _ startedAt: Instant) -> Instant {
        var nanoseconds = UInt64(Double(index) * 1e9 / rate)
        if rate > Self.exactRateMax { nanoseconds -= nanoseconds % Self.tickNanoseconds }
        return Instant(nanoseconds: startedAt.nanoseconds + nanoseconds)
    }

    private func append(timestamp: Int64, due: Instant) {
        let place = nextSlot
        nextSlot = nextSlot + 1 == slots.count ? 0 : nextSlot + 1
        let number = nextValue
        nextValue = (nextValue + 1) & 63
        if plan.isStamped {
            let start = values[number].readerIndex
            values[number].setInteger(sequences[place], at: start + 8)
            values[number].setInteger(due.nanoseconds, at: start + 16)
            sequences[place] += 1
        }
        producer.append(slot: slots[place], key: nil, value: values[number], timestamp: timestamp, at: due)
        result.appended += 1
    }

    private func isOver(_ now: Instant) -> Bool {
        if let count = plan.count, result.appended >= count { return true }
        if let limit = plan.durationNanoseconds, let startedAt = result.startedAt {
            return now.nanoseconds(since: startedAt) >= limit
        }
        return false
    }

    private func finish() {
        guard !isFinishing else { return }
        isFinishing = true
        producer.flush { self.result.isDone = true }
    }
}
