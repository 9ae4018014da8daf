// SPDX-License-Identifier: Apache-2.0
//
// ProducerCore.swift
// The producer on its event loop: takes records in, decides when batches leave, and keeps the books.
// What becomes of answers stands in ProducerCore+Answers.swift.

import KafkaProtocol
public import Model
public import NIOCore
public import Records

/// The part of a producer that belongs to the client's event loop; reach it through ``Producer/onLoop(_:)``.
///
/// - Cost: a record is encoded once into its batch; no allocation, task or promise a record.
public final class ProducerCore {
    /// One topic: where its partitions are, and the partition that records without a key go to now.
    private struct TopicSlots {
        var slots: [Int]
        var sticky: Int
    }

    let settings: ProducerSettings
    let cluster: ClusterCore
    let clock: Clock
    let onDelivery: (Delivery) -> Void
    var queues: [PartitionQueue] = []
    var inFlightRequests: [NodeID: Int] = [:]
    var backoff: Backoff
    var random = SystemRandomNumberGenerator()
    /// Why an idempotent producer stopped: a batch was lost, so those behind it cannot be written in order.
    var fatalError: ClientError?
    private var topics: [String: TopicSlots] = [:]
    private let compression = CompressionContext()
    private var bufferedBytes = 0
    private var roomWaiters: [() -> Void] = []
    private var flushWaiters: [() -> Void] = []
    private var pumpIsScheduled = false
    private var wakeUp: (task: Scheduled<Void>, at: Instant)?
    private var refreshIsRunning = false
    private var firstQueue = 0

    init(
        cluster: ClusterCore, settings: ProducerSettings, clock: Clock, onDelivery: @escaping (Delivery) -> Void
    ) {
        self.cluster = cluster
        self.settings = settings
        self.clock = clock
        self.onDelivery = onDelivery
        self.backoff = Backoff(
            firstMilliseconds: cluster.settings.backoffMilliseconds,
            largestMilliseconds: cluster.settings.backoffMaxMilliseconds)
    }

    /// Makes the partitions of a topic known; they stand one behind another from the returned slot on.
    @discardableResult
    func addTopic(_ name: String, partitionCount: Int, producer: ProducerFields?) -> Int {
        let first = queues.count
        for index in 0..<partitionCount {
            let partition = TopicPartition(topic: name, partition: PartitionIndex(rawValue: Int32(index)))
            var queue = PartitionQueue(partition, codec: settings.codec, batchBytesMax: settings.batchBytesMax)
            queue.producer = producer
            queues.append(queue)
        }
        topics[name] = TopicSlots(slots: Array(first..<queues.count), sticky: first)
        return first
    }

    // MARK: Taking records in

    /// The slot of a partition for ``append(slot:key:value:headers:timestamp:at:)``; nil when it does not exist.
    public func slot(of partition: TopicPartition) -> Int? {
        guard let slots = topics[partition.topic]?.slots, slots.indices.contains(Int(partition.partition.rawValue))
        else { return nil }
        return slots[Int(partition.partition.rawValue)]
    }

    /// How many partitions a topic has; 0 when it is not known.
    public func partitionCount(of topic: String) -> Int { topics[topic]?.slots.count ?? 0 }

    /// Whether more records may be taken in.
    ///
    /// The limit is soft: a burst may exceed it.
    public var hasRoom: Bool { bufferedBytes < settings.bufferBytesMax }

    /// How much waits in memory, in flight included.
    public var waitingBytes: Int { bufferedBytes }

    /// Runs `body` on the loop when there is room, at once if there is room now.
    public func whenRoom(_ body: @escaping () -> Void) {
        if hasRoom { body() } else { roomWaiters.append(body) }
    }

    /// Appends a record to a partition.
    ///
    /// - Parameter instant: When the record was due, for the delivery's stamps; one value for a burst.
    public func append(
        slot: Int, key: ByteBuffer?, value: ByteBuffer?, headers: [RecordHeader] = [], timestamp: Int64,
        at instant: Instant
    ) {
        bufferedBytes += queues[slot].append(
            key: key, value: value, headers: headers, timestamp: timestamp, at: instant)
        if queues[slot].isFull { seal(slot) }
        schedulePump()
    }

    /// Appends a record to the partition it names, or to the one its key or the producer chooses.
    ///
    /// - Returns: Whether the topic and the partition exist.
    public func append(_ record: ProducerRecord, timestamp: Int64, at instant: Instant) -> Bool {
        guard let topic = topics[record.topic] else { return false }
        let slot: Int
        if let partition = record.partition {
            guard topic.slots.indices.contains(Int(partition.rawValue)) else { return false }
            slot = topic.slots[Int(partition.rawValue)]
        } else if let key = record.key {
            slot = topic.slots[Partitioner.partition(ofKey: key, count: topic.slots.count)]
        } else {
            slot = topic.sticky
        }
        append(
            slot: slot, key: record.key, value: record.value, headers: record.headers,
            timestamp: record.timestamp ?? timestamp, at: instant)
        return true
    }

    /// Sends everything without waiting for lingering batches to fill, and calls back when nothing is left.
    public func flush(_ completion: @escaping () -> Void) {
        flushWaiters.append(completion)
        schedulePump()
    }

    func seal(_ slot: Int) {
        do {
            try queues[slot].seal(context: compression)
        } catch {
            // Only a codec library that fails gets here; the records cannot be sent in any form.
            let partition = queues[slot].partition
            stop(ClientError(.corruptData, attempted: "compress", place: "\(partition)", detail: "\(error)"))
        }
        // Records without a key move on to the next partition with each batch.
        let topic = queues[slot].partition.topic
        if let slots = topics[topic], slots.sticky == slot {
            topics[topic]?.sticky = slot + 1 < slots.slots[0] + slots.slots.count ? slot + 1 : slots.slots[0]
        }
    }

    // MARK: Sending

    /// Looks once, at the end of this turn of the loop, whether anything can leave.
    func schedulePump() {
        guard !pumpIsScheduled else { return }
        pumpIsScheduled = true
        cluster.loop.execute {
            self.pumpIsScheduled = false
            self.pump()
        }
    }

    private func pump() {
        let now = clock.now()
        expire(now: now)
        var leaderless: Set<String> = []
        var ready: [NodeID: [Int]] = [:]
        for step in queues.indices {
            let slot = (firstQueue + step) % queues.count
            guard isDue(slot, now: now) else { continue }
            if let leader = cluster.metadata[queues[slot].partition]?.leader {
                ready[leader, default: []].append(slot)
            } else {
                // Sealed, so that it has an age.
                seal(slot)
                leaderless.insert(queues[slot].partition.topic)
            }
        }
        firstQueue = queues.isEmpty ? 0 : (firstQueue + 1) % queues.count
        for (leader, slots) in ready { send(slots, to: leader, now: now) }
        if !leaderless.isEmpty { refresh(leaderless.sorted()) }
        settleWaiters()
        armWakeUp(now: now)
    }

    /// Whether `slot` has, or would have once sealed, a batch that may leave now.
    private func isDue(_ slot: Int, now: Instant) -> Bool {
        if queues[slot].isRewinding { return false }
        if queues[slot].isSendable(now: now) { return true }
        if let resumesAt = queues[slot].resumesAt, resumesAt > now { return false }
        return isLingeredOut(slot, now: now)
    }

    private func isLingeredOut(_ slot: Int, now: Instant) -> Bool {
        guard let since = queues[slot].openSince else { return false }
        return !flushWaiters.isEmpty || since.advanced(byMilliseconds: settings.lingerMilliseconds) <= now
    }

    /// Sends requests to `leader`, each with at most one batch of a partition, while its window has room.
    private func send(_ slots: [Int], to leader: NodeID, now: Instant) {
        var slots = slots
        while inFlightRequests[leader, default: 0] < settings.inFlightMax, !slots.isEmpty {
            var members: [(slot: Int, batch: SealedBatch)] = []
            var bytes = 0
            for slot in slots {
                if !queues[slot].isSendable(now: now), isLingeredOut(slot, now: now) { seal(slot) }
                guard queues[slot].isSendable(now: now) else { continue }
                guard members.isEmpty || bytes + queues[slot].nextBytes <= settings.requestBytesMax else { break }
                guard let batch = queues[slot].takeNext() else { continue }
                bytes += batch.bytes.readableBytes
                members.append((slot, batch))
            }
            guard !members.isEmpty else { return }
            transmit(members, to: leader)
            slots = slots.filter { queues[$0].isSendable(now: now) || isLingeredOut($0, now: now) }
        }
    }

    private func transmit(_ members: [(slot: Int, batch: SealedBatch)], to leader: NodeID) {
        var topics: [ProduceRequest.Topic] = []
        for member in members.sorted(by: { $0.slot < $1.slot }) {
            let partition = queues[member.slot].partition
            if topics.last?.name != partition.topic { topics.append(.init(name: partition.topic)) }
            topics[topics.count - 1].partitions.append(
                .init(index: partition.partition.rawValue, records: member.batch.bytes))
        }
        let request = ProduceRequest(
            acks: settings.acknowledgement.rawValue,
            timeoutMilliseconds: Int32(clamping: cluster.settings.requestTimeoutMilliseconds), topics: topics)
        inFlightRequests[leader, default: 0] += 1
        if settings.acknowledgement == .none {
            cluster.sendOneWay(request, to: .node(leader)) { self.sentOneWay(members, leader: leader, $0) }
        } else {
            cluster.send(request, to: .node(leader)) { self.answered(members, leader: leader, $0) }
        }
    }

    // MARK: Books

    /// Reports what became of a batch and gives its room back.
    func settle(_ slot: Int, _ batch: SealedBatch, baseOffset: Offset?, error: ClientError?) {
        queues[slot].settle(batch.ordinal)
        bufferedBytes -= batch.bufferedBytes
        onDelivery(
            Delivery(
                partition: queues[slot].partition, baseOffset: baseOffset, recordCount: batch.recordCount,
                byteCount: batch.bytes.readableBytes, stamps: batch.stamps, error: error))
    }

    private func settleWaiters() {
        if queues.allSatisfy(\.isEmpty) {
            assert(bufferedBytes == 0, "\(bufferedBytes) bytes are unaccounted for")
            let waiters = flushWaiters
            flushWaiters = []
            for waiter in waiters { waiter() }
        }
        guard hasRoom, !roomWaiters.isEmpty else { return }
        let waiters = roomWaiters
        roomWaiters = []
        for waiter in waiters { waiter() }
    }

    /// Asks for metadata, once at a time, and looks again a little later.
    func refresh(_ topics: [String]) {
        guard !refreshIsRunning else { return }
        refreshIsRunning = true
        cluster.refresh(topics: topics) { _ in
            self.refreshIsRunning = false
            self.wake(at: self.clock.now().advanced(byMilliseconds: self.backoff.next(using: &self.random)))
        }
    }

    /// Wakes when an open batch has lingered, when a retry is due, or to look for batches that are too old.
    ///
    /// What was due before now waits for an answer: that of a request in its way, or of a metadata refresh.
    private func armWakeUp(now: Instant) {
        var times: [Instant] = []
        for queue in queues {
            let resumesAt = queue.resumesAt ?? now
            if let since = queue.openSince {
                times.append(max(resumesAt, since.advanced(byMilliseconds: settings.lingerMilliseconds)))
            }
            if queue.isWaiting { times.append(max(resumesAt, now.advanced(byMilliseconds: 100))) }
        }
        if let next = times.filter({ $0 > now }).min() { wake(at: next) }
    }

    private func wake(at instant: Instant) {
        if let wakeUp {
            guard instant < wakeUp.at else { return }
            wakeUp.task.cancel()
        }
        let delay = TimeAmount.nanoseconds(Int64(clamping: instant.nanoseconds(since: clock.now())))
        let task = cluster.loop.scheduleTask(in: delay) {
            self.wakeUp = nil
            self.pump()
        }
        wakeUp = (task, instant)
    }
}
