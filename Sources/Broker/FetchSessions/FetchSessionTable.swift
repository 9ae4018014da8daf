// SPDX-License-Identifier: Apache-2.0
//
// FetchSessionTable.swift
// The fetch sessions of one event loop (KIP-227): the client names its partitions once, then only what changes.

package import KafkaProtocol
package import Model

/// A session: the partitions that a client reads again and again.
private struct FetchSession: Sendable {
    let usesTopicIDs: Bool
    let createdAt: Instant
    var usedAt: Instant
    /// What the client has to say next.
    var epoch: Int32
    var partitions: FetchSessionPartitions
}

/// The fetch sessions of one event loop.
///
/// A value: time and what was read come from outside.
///
/// A session belongs to the loop it was made on, because the client that has it stays on its connection: who connects anew
/// asks for a new one. The ids of different loops differ, so that a session which is asked for on another loop is not
/// found, and its client asks for everything once more.
///
/// Invariant: a session has at least one partition; `partitionCount` is their sum.
package struct FetchSessionTable: Sendable {
    /// The bounds of one table.
    package struct Limits: Sendable {
        /// Partitions of one session: one that would have more is not kept.
        package static let partitionsPerSessionMax = 10_000
        /// Partitions of all sessions of a broker.
        package static let partitionsMax = 200_000
        /// A session that was not used for as long makes room for any other; one that exists for as long makes room for
        /// one with more partitions.
        package static let evictionMilliseconds: Int64 = 120_000

        package var sessionsMax: Int
        package var partitionsPerSessionMax: Int
        package var partitionsMax: Int

        package init(
            sessionsMax: Int, partitionsPerSessionMax: Int = Limits.partitionsPerSessionMax,
            partitionsMax: Int = Limits.partitionsMax
        ) {
            self.sessionsMax = sessionsMax
            self.partitionsPerSessionMax = partitionsPerSessionMax
            self.partitionsMax = partitionsMax
        }

        /// The part of a broker's bounds that one of `count` tables has.
        package func share(of count: Int) -> Limits {
            Limits(
                sessionsMax: (sessionsMax + count - 1) / count, partitionsPerSessionMax: partitionsPerSessionMax,
                partitionsMax: (partitionsMax + count - 1) / count)
        }
    }

    /// A partition of a session that is to be read, and its place there.
    package struct Entry: Sendable {
        package let place: Int
        package let name: String
        package let topicID: TopicID
        package let request: FetchRequest.Partition
    }

    /// What a request asks for.
    package enum Admission: Sendable {
        /// The partitions of the request, without a session.
        case sessionless
        /// The partitions of the request, and a session for them: ``create(for:usesTopicIDs:_:now:)``.
        case full
        /// The partitions of the session, of which those with news are answered: ``conclude(_:epoch:_:)``.
        case incremental([Entry])
        /// Nothing: the client has to begin anew.
        case refused(KafkaErrorCode)
    }

    package var limits: Limits
    /// Sessions that made room for others, since the start.
    package private(set) var evictions = 0
    package private(set) var partitionCount = 0
    private var sessions: [Int32: FetchSession] = [:]
    private var random: SeededRandom
    /// This table's number among the tables of the broker, and how many those are.
    private let number: Int32
    private let tableCount: Int32

    package init(limits: Limits, number: Int = 0, of tableCount: Int = 1, seed: UInt64) {
        precondition(number >= 0 && number < tableCount, "table \(number) of \(tableCount)")
        self.limits = limits
        self.random = SeededRandom(seed: seed)
        self.number = Int32(number)
        self.tableCount = Int32(tableCount)
    }

    package var count: Int { sessions.count }

    // MARK: Requests

    /// Decides on a request and takes over what it changes in its session.
    ///
    /// Cost: one step for each partition of the session.
    package mutating func admit(_ request: FetchRequest, usesTopicIDs: Bool, now: Instant) -> Admission {
        let id = request.sessionID
        guard request.sessionEpoch > 0 else {
            // A full fetch ends the session that it names.
            if id != 0 { remove(id) }
            return request.sessionEpoch == 0 ? .full : .sessionless
        }
        guard let session = sessions[id] else { return .refused(.fetchSessionIDNotFound) }
        guard session.epoch == request.sessionEpoch else { return .refused(.invalidFetchSessionEpoch) }
        guard session.usesTopicIDs == usesTopicIDs else { return .refused(.fetchSessionTopicIDError) }
        guard let partitions = update(id, request, now: now) else {
            remove(id)
            return .refused(.fetchSessionIDNotFound)
        }
        guard !partitions.isEmpty else {
            remove(id)
            return .sessionless
        }
        return .incremental(partitions)
    }

    /// Takes over the partitions of a request; nil when there are too many now.
    private mutating func update(_ id: Int32, _ request: FetchRequest, now: Instant) -> [Entry]? {
        guard var session = sessions.removeValue(forKey: id) else { return nil }
        let before = session.partitions.count
        for topic in request.topics {
            for partition in topic.partitions {
                let key = FetchSessionKey(name: topic.name, topicID: topic.topicID, index: partition.index)
                session.partitions.update(key, partition)
            }
        }
        for topic in request.forgottenTopics {
            for index in topic.partitionIndexes {
                session.partitions.remove(FetchSessionKey(name: topic.name, topicID: topic.topicID, index: index))
            }
        }
        session.epoch = Self.next(session.epoch)
        session.usedAt = now
        partitionCount += session.partitions.count - before
        let isTooLarge =
            session.partitions.count > limits.partitionsPerSessionMax || partitionCount > limits.partitionsMax
        let entries = isTooLarge ? nil : Self.entries(session.partitions)
        sessions[id] = session
        return entries
    }

    private static func entries(_ partitions: FetchSessionPartitions) -> [Entry] {
        partitions.order.map { place in
            let partition = partitions[place]
            return Entry(
                place: place, name: partition.key.name, topicID: partition.key.topicID, request: partition.request)
        }
    }

    // MARK: Answers

    /// Makes a session for a full fetch that was answered with `results`, which are in the order of its partitions.
    ///
    /// Returns its id, or 0 when there is no room: then the client goes on without.
    package mutating func create(
        for topics: [FetchRequest.Topic], usesTopicIDs: Bool, _ results: [FetchResult], now: Instant
    ) -> Int32 {
        var partitions = FetchSessionPartitions()
        var slot = 0
        for topic in topics {
            for partition in topic.partitions {
                let key = FetchSessionKey(name: topic.name, topicID: topic.topicID, index: partition.index)
                partitions.update(key, partition)
                if let place = partitions.place(of: key) { _ = partitions[place].take(results[slot]) }
                slot += 1
            }
        }
        guard partitions.count > 0, partitions.count <= limits.partitionsPerSessionMax,
            makeRoom(for: partitions.count, now: now)
        else { return 0 }
        let id = makeID()
        sessions[id] = FetchSession(
            usesTopicIDs: usesTopicIDs, createdAt: now, usedAt: now, epoch: 1, partitions: partitions)
        partitionCount += partitions.count
        return id
    }

    /// Takes what was read for an incremental fetch; returns the positions in `entries` of what the client has to be told.
    ///
    /// Partitions with records go to the end of the session's order, so that each has its turn to be first. The session may
    /// have changed since it was admitted: then the client is told to begin anew.
    package mutating func conclude(
        _ id: Int32, epoch: Int32, _ entries: [Entry], _ results: [FetchResult]
    ) -> Result<[Int], FetchSessionRefusal> {
        guard var session = sessions.removeValue(forKey: id) else { return .failure(.init(.fetchSessionIDNotFound)) }
        defer { sessions[id] = session }
        guard session.epoch == Self.next(epoch) else { return .failure(.init(.invalidFetchSessionEpoch)) }
        var told: [Int] = []
        for (position, entry) in entries.enumerated() {
            guard session.partitions[entry.place].take(results[position]) else { continue }
            told.append(position)
            if results[position].byteCount > 0 { session.partitions.moveToEnd(entry.place) }
        }
        return .success(told)
    }

    // MARK: Life

    private mutating func remove(_ id: Int32) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        partitionCount -= session.partitions.count
    }

    /// Makes room for a session with `count` partitions, as Kafka does; false when nobody has to go.
    private mutating func makeRoom(for count: Int, now: Instant) -> Bool {
        guard limits.sessionsMax > 0, count <= limits.partitionsMax else { return false }
        while sessions.count >= limits.sessionsMax || partitionCount + count > limits.partitionsMax {
            guard let victim = victim(for: count, now: now) else { return false }
            remove(victim)
            evictions += 1
        }
        return true
    }

    /// The session that has to go for one with `count` partitions.
    private func victim(for count: Int, now: Instant) -> Int32? {
        func isPast(_ instant: Instant) -> Bool {
            now.milliseconds(since: instant) > Limits.evictionMilliseconds
        }
        let idle = sessions.min { $0.value.usedAt < $1.value.usedAt }
        if let idle, isPast(idle.value.usedAt) { return idle.key }
        let smallest = sessions.filter { isPast($0.value.createdAt) }.min {
            ($0.value.partitions.count, $0.value.createdAt) < ($1.value.partitions.count, $1.value.createdAt)
        }
        guard let smallest, smallest.value.partitions.count < count else { return nil }
        return smallest.key
    }

    /// A positive number that only this table gives out.
    private mutating func makeID() -> Int32 {
        while true {
            let id = Int32.random(in: 1...(Int32.max / tableCount - 1), using: &random) * tableCount + number
            if sessions[id] == nil { return id }
        }
    }

    /// The epoch behind another; it never becomes 0, which asks for a new session.
    static func next(_ epoch: Int32) -> Int32 { epoch == .max ? 1 : epoch + 1 }
}

/// Why an incremental fetch is not answered.
package struct FetchSessionRefusal: Error, Equatable, Sendable {
    package let code: KafkaErrorCode

    init(_ code: KafkaErrorCode) { self.code = code }
}
