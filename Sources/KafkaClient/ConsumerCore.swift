// SPDX-License-Identifier: Apache-2.0
//
// ConsumerCore.swift
// The consumer on its event loop: one fetch at a time to each leader, the next one sent before the last is handed out.

import KafkaProtocol
import Model
import NIOCore
import Records

/// The part of a consumer that belongs to the client's event loop.
final class ConsumerCore {
    private struct PartitionState {
        let partition: TopicPartition
        var range: ReadRange
        var position: Offset
        var resumesAt: Instant?
        var isResetting = false
        var isStopped = false

        var isFinished: Bool { isStopped || range.upTo.map { position >= $0 } ?? false }
    }

    let settings: ConsumerSettings
    private let cluster: ClusterCore
    private let clock: Clock
    /// Takes the chunks of one answer together, and errors, on the loop.
    var onChunks: ([FetchedChunk]) -> Void = { _ in }
    var onError: (ClientError) -> Void = { _ in }
    var onFinished: () -> Void = {}
    private var partitions: [TopicPartition: PartitionState] = [:]
    private var order: [TopicPartition] = []
    private var fetching: Set<NodeID> = []
    private var heldBytes = 0
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()
    private var pumpIsScheduled = false
    private var refreshIsRunning = false
    /// Rises with each assignment, so that answers to fetches of an earlier one are dropped.
    private var assignment = 0

    init(cluster: ClusterCore, settings: ConsumerSettings, clock: Clock) {
        self.cluster = cluster
        self.settings = settings
        self.clock = clock
        self.backoff = Backoff(
            firstMilliseconds: cluster.settings.backoffMilliseconds,
            largestMilliseconds: cluster.settings.backoffMaxMilliseconds)
    }

    /// Reads these partitions from now on, and no others.
    func assign(_ ranges: [TopicPartition: ReadRange]) {
        assignment += 1
        fetching = []
        heldBytes = 0
        partitions = ranges.reduce(into: [:]) { states, entry in
            states[entry.key] = PartitionState(partition: entry.key, range: entry.value, position: entry.value.from)
        }
        order = ranges.keys.sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
        schedulePump()
    }

    /// Gives back the room of a chunk that was used up.
    func release(_ bytes: Int) {
        heldBytes = max(0, heldBytes - bytes)
        schedulePump()
    }

    /// Whether every partition was read up to the end of its range.
    var isFinished: Bool { partitions.values.allSatisfy(\.isFinished) }

    // MARK: Fetching

    private func schedulePump() {
        guard !pumpIsScheduled else { return }
        pumpIsScheduled = true
        cluster.loop.execute {
            self.pumpIsScheduled = false
            self.pump()
        }
    }

    private func pump(after delay: Int64) {
        cluster.loop.scheduleTask(in: .milliseconds(delay)) { self.pump() }
    }

    private func pump() {
        if isFinished { onFinished() } else { fetchWhatIsDue() }
    }

    private func fetchWhatIsDue() {
        guard heldBytes < settings.bufferBytesMax else { return }
        let now = clock.now()
        var wanted: [NodeID: [TopicPartition]] = [:]
        var leaderless: Set<String> = []
        for partition in order {
            guard let state = partitions[partition], !state.isFinished, !state.isResetting,
                state.resumesAt.map({ $0 <= now }) ?? true
            else { continue }
            if let leader = cluster.metadata[partition]?.leader {
                if !fetching.contains(leader) { wanted[leader, default: []].append(partition) }
            } else {
                leaderless.insert(partition.topic)
            }
        }
        // The broker serves partitions in the order of the request: each has its turn to be first.
        if order.count > 1 { order.append(order.removeFirst()) }
        for (leader, members) in wanted { fetch(members, from: leader) }
        if !leaderless.isEmpty { refresh(leaderless.sorted()) }
    }

    private func fetch(_ members: [TopicPartition], from leader: NodeID) {
        var topics: [FetchRequest.Topic] = []
        for member in members {
            guard let state = partitions[member] else { continue }
            if topics.last?.name != member.topic { topics.append(.init(name: member.topic)) }
            topics[topics.count - 1].partitions.append(
                .init(
                    index: member.partition.rawValue, fetchOffset: state.position.rawValue,
                    partitionMaxBytes: settings.partitionBytesMax))
        }
        let request = FetchRequest(
            maxWaitMilliseconds: settings.waitMilliseconds, minBytes: settings.bytesMin, maxBytes: settings.bytesMax,
            isolationLevel: settings.isolation.rawValue, topics: topics)
        fetching.insert(leader)
        let sentFor = assignment
        let timeout = cluster.settings.requestTimeoutMilliseconds + Int64(settings.waitMilliseconds)
        cluster.send(request, to: .node(leader), lane: .fetch, timeoutMilliseconds: timeout) { result in
            guard sentFor == self.assignment else { return }
            self.fetching.remove(leader)
            self.answered(members, result)
        }
    }

    // MARK: Answers

    private func answered(_ members: [TopicPartition], _ result: Result<FetchResponse, ClientError>) {
        let response: FetchResponse
        switch result {
        case .failure(let error): return failed(members, error)
        case .success(let answer): response = answer
        }
        guard response.errorCode == .none else {
            return failed(members, ClientError(refused: response.errorCode, attempted: "Fetch", place: "the leader"))
        }
        var chunks: [FetchedChunk] = []
        for topic in response.topics {
            for answer in topic.partitions {
                let partition = TopicPartition(topic: topic.name, partition: PartitionIndex(rawValue: answer.index))
                if let chunk = take(answer, of: partition) { chunks.append(chunk) }
            }
        }
        heldBytes += chunks.reduce(0) { $0 + $1.byteCount }
        // The next fetch travels while these chunks are used.
        fetchWhatIsDue()
        if !chunks.isEmpty { onChunks(chunks) }
        if isFinished { onFinished() }
    }

    private func take(_ answer: FetchResponse.Partition, of partition: TopicPartition) -> FetchedChunk? {
        guard var state = partitions[partition], !state.isFinished else { return nil }
        guard answer.errorCode == .none else {
            refused(answer.errorCode, partition)
            return nil
        }
        guard !answer.records.isEmpty else { return nil }
        let batches: [RecordBatch]
        do {
            batches = try self.batches(in: answer.records.contiguous(), from: state.position)
        } catch {
            stop(
                partition,
                ClientError(
                    .corruptData, attempted: "Fetch", place: "\(partition) at \(state.position)", detail: "\(error)"))
            return nil
        }
        guard let last = batches.last else {
            // Not one whole batch: the broker does not keep the rule that the first is always sent.
            stop(
                partition,
                ClientError(.malformedResponse, attempted: "Fetch", place: "\(partition) at \(state.position)"))
            return nil
        }
        var filter = AbortedFilter(answer.abortedTransactions ?? [])
        let visible = settings.readsCommittedOnly ? batches.filter { filter.keeps($0) } : batches
        let chunk = FetchedChunk(
            partition: partition, batches: visible, range: ReadRange(from: state.position, upTo: state.range.upTo),
            nextOffset: last.nextOffset, highWatermark: Offset(answer.highWatermark),
            byteCount: visible.reduce(0) { $0 + $1.totalBytes })
        backoff.reset()
        state.position = last.nextOffset
        state.resumesAt = nil
        partitions[partition] = state
        return chunk
    }

    /// The whole batches of an answer, checked; those that end before `position` are left out.
    private func batches(in records: ByteBuffer, from position: Offset) throws(RecordError) -> [RecordBatch] {
        var cursor = RecordBatchCursor(records)
        var batches: [RecordBatch] = []
        while let batch = try cursor.nextWhole() {
            if settings.verifiesChecksums { try batch.verifyChecksum() }
            if batch.nextOffset > position { batches.append(batch) }
        }
        return batches
    }

    // MARK: Failures

    private func failed(_ members: [TopicPartition], _ error: ClientError) {
        guard error.isRetriable else {
            for member in members { stop(member, error) }
            return
        }
        for member in members { postpone(member) }
        refresh(Set(members.map(\.topic)).sorted())
    }

    private func refused(_ code: KafkaErrorCode, _ partition: TopicPartition) {
        let error = ClientError(refused: code, attempted: "Fetch", place: "\(partition)")
        if code == .offsetOutOfRange, settings.outOfRange != .fail { return reset(partition) }
        guard error.isRetriable else { return stop(partition, error) }
        postpone(partition)
        if code.refreshesMetadata { refresh([partition.topic]) }
    }

    private func postpone(_ partition: TopicPartition) {
        let wait = backoff.next(using: &random)
        partitions[partition]?.resumesAt = clock.now().advanced(byMilliseconds: wait)
        pump(after: wait + 1)
    }

    private func stop(_ partition: TopicPartition, _ error: ClientError) {
        partitions[partition]?.isStopped = true
        onError(error)
        schedulePump()
    }

    /// Moves a position that is not in the log to where the settings say.
    private func reset(_ partition: TopicPartition) {
        guard let leader = cluster.metadata[partition]?.leader else { return postpone(partition) }
        partitions[partition]?.isResetting = true
        let timestamp = settings.outOfRange == .start ? ListOffsetsTimestamp.earliest : ListOffsetsTimestamp.latest
        let request = ListOffsetsRequest(
            replicaID: -1, isolationLevel: settings.isolation.rawValue,
            topics: [
                .init(
                    name: partition.topic,
                    partitions: [.init(index: partition.partition.rawValue, timestamp: timestamp)])
            ])
        let sentFor = assignment
        cluster.send(request, to: .node(leader)) { result in
            guard sentFor == self.assignment else { return }
            self.partitions[partition]?.isResetting = false
            guard case .success(let response) = result, let answer = response.topics.first?.partitions.first,
                answer.errorCode == .none, answer.offset >= 0
            else { return self.postpone(partition) }
            self.partitions[partition]?.position = Offset(answer.offset)
            self.schedulePump()
        }
    }

    private func refresh(_ topics: [String]) {
        guard !refreshIsRunning else { return }
        refreshIsRunning = true
        cluster.refresh(topics: topics) { _ in
            self.refreshIsRunning = false
            self.pump(after: self.backoff.next(using: &self.random))
        }
    }
}
