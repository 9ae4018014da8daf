// SPDX-License-Identifier: Apache-2.0
//
// ConsumeRun.swift
// The two ways of `goulette consume`: alone from chosen offsets, or as a member of a group.

import KafkaClient
import KafkaProtocol
import Model
import Terminal

/// One run of the command.
struct ConsumeRun {
    private static let takeTimeoutMilliseconds: Int64 = 200
    private static let commitIntervalMilliseconds: Int64 = 5_000

    let command: ConsumeCommand
    let spec: OffsetSpec
    let printer: RecordPrinter
    let interruption: Interruption

    // MARK: Alone

    /// Reads the chosen partitions from the chosen offsets.
    func alone(_ client: KafkaClient) async throws {
        let metadata = try await client.readyMetadata(topics: [command.topic])
        var partitions = (metadata.topics[command.topic]?.partitions ?? []).map {
            TopicPartition(topic: command.topic, partition: $0.index)
        }
        if let wanted = command.partitions.flatMap(ConsumeCommand.numbers) {
            let existing = partitions
            partitions = wanted.map { TopicPartition(topic: command.topic, partition: PartitionIndex(rawValue: $0)) }
            if let missing = partitions.first(where: { !existing.contains($0) }) {
                throw ClientError(refused: .unknownTopicOrPartition, attempted: "read", place: "\(missing)")
            }
        }
        let ranges = try await ranges(of: partitions, spec, client)
        let consumer = await Consumer(client, settings: settings())
        await consumer.assign(ranges)
        while !printer.isDone, !interruption.happened {
            let taken = await consumer.take(timeoutMilliseconds: Self.takeTimeoutMilliseconds)
            for chunk in taken.chunks where !printer.isDone { _ = try printer.print(chunk) }
            if let error = taken.errors.first { throw error }
            if taken.isFinished { return }
        }
    }

    private func settings() -> ConsumerSettings {
        var settings = ConsumerSettings()
        settings.readsCommittedOnly = command.readCommitted
        settings.waitMilliseconds = 250
        return settings
    }

    /// Turns what was written into offsets of each partition.
    private func ranges(
        of partitions: [TopicPartition], _ spec: OffsetSpec, _ client: KafkaClient
    ) async throws(ClientError) -> [TopicPartition: ReadRange] {
        let starts = try await client.offsets(.earliest, of: partitions)
        let ends = try await client.offsets(.latest, of: partitions, committedOnly: command.readCommitted)
        let from = try await resolve(spec.from, partitions, starts: starts, ends: ends, client)
        let upTo = try await spec.upTo.asyncMap { position throws(ClientError) in
            try await resolve(position, partitions, starts: starts, ends: ends, client)
        }
        var ranges: [TopicPartition: ReadRange] = [:]
        for partition in partitions {
            let end = (ends[partition] ?? nil) ?? .zero
            var last = upTo?[partition]
            if command.exitAtEnd { last = min(last ?? end, end) }
            ranges[partition] = ReadRange(from: from[partition] ?? end, upTo: last)
        }
        return ranges
    }

    private func resolve(
        _ position: OffsetSpec.Position, _ partitions: [TopicPartition], starts: [TopicPartition: Offset?],
        ends: [TopicPartition: Offset?], _ client: KafkaClient
    ) async throws(ClientError) -> [TopicPartition: Offset] {
        var times: [TopicPartition: Offset?] = [:]
        if case .time(let time) = position { times = try await client.offsets(.time(time), of: partitions) }
        var result: [TopicPartition: Offset] = [:]
        for partition in partitions {
            let start = (starts[partition] ?? nil) ?? .zero
            let end = (ends[partition] ?? nil) ?? .zero
            switch position {
            case .start: result[partition] = start
            case .end: result[partition] = end
            case .absolute(let offset): result[partition] = offset
            case .afterStart(let count): result[partition] = min(end, Offset(start.rawValue + count))
            case .beforeEnd(let count): result[partition] = max(start, Offset(end.rawValue - count))
            case .time: result[partition] = (times[partition] ?? nil) ?? end
            }
        }
        return result
    }

    // MARK: In a group

    /// Reads what the group assigns, commits what was printed, and leaves at the end.
    func asMember(of group: String, _ client: KafkaClient) async throws {
        let member = GroupMember(client, group: group, topics: [command.topic])
        let consumer = await Consumer(client, settings: settings())
        var generation = Generation(startedAt: Clock.system.now())
        do {
            while !printer.isDone, !interruption.happened, !generation.isFinished {
                if generation.mustJoin {
                    try await commit(&generation, member)
                    generation = try await join(member, group, client, consumer)
                }
                try await read(&generation, member, consumer)
            }
            try await commit(&generation, member)
        } catch {
            await member.leave()
            throw error
        }
        await member.leave()
    }

    /// What a member does between two rebalances.
    private struct Generation {
        var mustJoin = true
        var isFinished = false
        var printedUpTo: [TopicPartition: Offset] = [:]
        var heartbeatAt: Instant
        var commitAt: Instant

        init(startedAt now: Instant) {
            heartbeatAt = now.advanced(byMilliseconds: GroupMember.heartbeatIntervalMilliseconds)
            commitAt = now.advanced(byMilliseconds: ConsumeRun.commitIntervalMilliseconds)
        }
    }

    private func join(
        _ member: GroupMember, _ group: String, _ client: KafkaClient, _ consumer: Consumer
    ) async throws(ClientError) -> Generation {
        let partitions = try await member.join().partitions
        var ranges: [TopicPartition: ReadRange] = [:]
        if !partitions.isEmpty {
            ranges = try await self.ranges(of: partitions, spec, client)
            let committed = try await client.committedOffsets(group: group, partitions: partitions)
            for (partition, offset) in committed { ranges[partition]?.from = offset.offset }
        }
        await consumer.assign(ranges)
        var generation = Generation(startedAt: Clock.system.now())
        generation.mustJoin = false
        return generation
    }

    private func read(_ generation: inout Generation, _ member: GroupMember, _ consumer: Consumer) async throws {
        let taken = await consumer.take(timeoutMilliseconds: Self.takeTimeoutMilliseconds)
        for chunk in taken.chunks where !printer.isDone {
            generation.printedUpTo[chunk.partition] = try printer.print(chunk)
        }
        if let error = taken.errors.first { throw error }
        generation.isFinished = taken.isFinished && (command.exitAtEnd || spec.upTo != nil)
        if taken.isFinished, taken.chunks.isEmpty { await consumer.idle(milliseconds: Self.takeTimeoutMilliseconds) }
        let now = Clock.system.now()
        if now >= generation.heartbeatAt {
            generation.heartbeatAt = now.advanced(byMilliseconds: GroupMember.heartbeatIntervalMilliseconds)
            generation.mustJoin = try await !member.heartbeat()
        }
        if now >= generation.commitAt { try await commit(&generation, member) }
    }

    /// Commits what was printed.
    ///
    /// A commit that comes too late for its generation is dropped: others read those records again.
    private func commit(_ generation: inout Generation, _ member: GroupMember) async throws(ClientError) {
        let offsets = generation.printedUpTo
        generation.printedUpTo = [:]
        generation.commitAt = Clock.system.now().advanced(byMilliseconds: Self.commitIntervalMilliseconds)
        do {
            try await member.commit(offsets)
        } catch {
            switch error.kafka {
            case .rebalanceInProgress, .illegalGeneration, .unknownMemberID: generation.mustJoin = true
            default: throw error
            }
        }
    }
}

extension Optional {
    /// `map` for transformations that wait.
    fileprivate func asyncMap<Value, Failure: Error>(
        _ transform: (Wrapped) async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
