// SPDX-License-Identifier: Apache-2.0
//
// ShareSessionTable.swift
// The share sessions of a broker (KIP-932): a member names its partitions once, then only what changes.

import KafkaProtocol
import Model

/// A partition as clients of share groups name it.
struct SharedPartition: Hashable, Sendable {
    var topicID: TopicID
    var index: Int32
}

/// Whose session it is.
struct ShareMember: Hashable, Sendable {
    var groupID: String
    var memberID: String
}

/// The share sessions of a broker.
///
/// A value. A session belongs to the connection that opened it: when that closes, the session is over, and what its
/// member has acquired is given back.
///
/// Invariants: `partitionCount` is the sum over all sessions; a connection is listed exactly while it has sessions.
struct ShareSessionTable: Sendable {
    /// The bounds of the table.
    struct Limits: Equatable, Sendable {
        /// Partitions of one session.
        static let partitionsPerSessionMax = 10_000
        /// Partitions of all sessions.
        static let partitionsMax = 200_000

        var sessionsMax: Int
        var partitionsPerSessionMax = Limits.partitionsPerSessionMax
        var partitionsMax = Limits.partitionsMax
    }

    private struct Session {
        let connection: ObjectIdentifier?
        /// What the client has to say next.
        var epoch: Int32
        /// In the order in which they came.
        var partitions: [SharedPartition]
    }

    /// What a request may do.
    struct Admission: Equatable, Sendable {
        /// The partitions of the session, the one first whose turn it is.
        var partitions: [SharedPartition]
        /// Whether the session is over.
        var isFinal = false
        /// Whether the connection has its first session, and somebody is to say when it closes.
        var isFirstOfConnection = false
    }

    var limits: Limits
    private(set) var partitionCount = 0
    private var sessions: [ShareMember: Session] = [:]
    private var connections: [ObjectIdentifier: Set<ShareMember>] = [:]

    init(limits: Limits) { self.limits = limits }

    var count: Int { sessions.count }

    /// Decides on a ShareFetch and takes over what it changes.
    ///
    /// Epoch 0 opens a session, in the place of one that is there; -1 ends it; others go on with it.
    ///
    /// Cost: one step for each partition of the session.
    mutating func fetch(
        _ member: ShareMember, epoch: Int32, adding: [SharedPartition], forgetting: [SharedPartition],
        connection: ObjectIdentifier?
    ) -> Result<Admission, KafkaErrorCode> {
        guard epoch != 0 else { return open(member, adding, connection) }
        guard epoch != -1 else { return close(member) }
        switch next(member, epoch) {
        case .failure(let code): return .failure(code)
        case .success(var session):
            let before = session.partitions.count
            let gone = Set(forgetting)
            if !gone.isEmpty { session.partitions.removeAll { gone.contains($0) } }
            if !adding.isEmpty {
                let known = Set(session.partitions)
                session.partitions += Self.distinct(adding).filter { !known.contains($0) }
            }
            let change = session.partitions.count - before
            guard session.partitions.count <= limits.partitionsPerSessionMax,
                change <= 0 || partitionCount + change <= limits.partitionsMax
            else {
                // It stays as it was, but its client has to begin anew.
                remove(member)
                return .failure(.shareSessionLimitReached)
            }
            partitionCount += change
            sessions[member] = session
            return .success(Admission(partitions: Self.turned(session)))
        }
    }

    /// Decides on a ShareAcknowledge; it never opens a session.
    mutating func acknowledge(_ member: ShareMember, epoch: Int32) -> Result<Admission, KafkaErrorCode> {
        guard epoch != 0 else { return .failure(.invalidShareSessionEpoch) }
        guard epoch != -1 else { return close(member) }
        return next(member, epoch).map { session in
            sessions[member] = session
            return Admission(partitions: session.partitions)
        }
    }

    /// Ends the sessions of a connection that is gone; returns them.
    mutating func disconnect(_ connection: ObjectIdentifier) -> [(member: ShareMember, partitions: [SharedPartition])] {
        let members = connections[connection] ?? []
        return members.map { ($0, remove($0)) }
    }

    private mutating func open(
        _ member: ShareMember, _ partitions: [SharedPartition], _ connection: ObjectIdentifier?
    ) -> Result<Admission, KafkaErrorCode> {
        remove(member)
        let partitions = Self.distinct(partitions)
        guard sessions.count < limits.sessionsMax, partitions.count <= limits.partitionsPerSessionMax,
            partitionCount + partitions.count <= limits.partitionsMax
        else { return .failure(.shareSessionLimitReached) }
        sessions[member] = Session(connection: connection, epoch: 1, partitions: partitions)
        partitionCount += partitions.count
        var isFirst = false
        if let connection {
            isFirst = connections[connection] == nil
            connections[connection, default: []].insert(member)
        }
        return .success(Admission(partitions: partitions, isFirstOfConnection: isFirst))
    }

    private mutating func close(_ member: ShareMember) -> Result<Admission, KafkaErrorCode> {
        guard sessions[member] != nil else { return .failure(.shareSessionNotFound) }
        return .success(Admission(partitions: remove(member), isFinal: true))
    }

    /// The session of a request with its next epoch; not stored yet.
    private func next(_ member: ShareMember, _ epoch: Int32) -> Result<Session, KafkaErrorCode> {
        guard var session = sessions[member] else { return .failure(.shareSessionNotFound) }
        guard session.epoch == epoch else { return .failure(.invalidShareSessionEpoch) }
        session.epoch = epoch == .max ? 1 : epoch + 1
        return .success(session)
    }

    @discardableResult
    private mutating func remove(_ member: ShareMember) -> [SharedPartition] {
        guard let session = sessions.removeValue(forKey: member) else { return [] }
        partitionCount -= session.partitions.count
        if let connection = session.connection {
            connections[connection]?.remove(member)
            if connections[connection]?.isEmpty == true { connections[connection] = nil }
        }
        return session.partitions
    }

    /// The partitions in the order of this epoch: each has its turn to be first.
    private static func turned(_ session: Session) -> [SharedPartition] {
        guard session.partitions.count > 1 else { return session.partitions }
        let first = Int(session.epoch) % session.partitions.count
        return Array(session.partitions[first...] + session.partitions[..<first])
    }

    private static func distinct(_ partitions: [SharedPartition]) -> [SharedPartition] {
        var seen: Set<SharedPartition> = []
        return partitions.filter { seen.insert($0).inserted }
    }
}
