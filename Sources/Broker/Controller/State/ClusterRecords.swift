// SPDX-License-Identifier: Apache-2.0
//
// ClusterRecords.swift
// How the controller's applied state lies in the store: one record for the counters, one for each topic, broker and
// configured group.

package import LogStore
package import Model
package import Replication

/// Keys and values of the `controller` column family.
///
///     'b' broker i32          version u8, broker record
///     'c'                     version u8, cluster id text?, next group u64, next producer id i64, last operation u64,
///                             floors of the brokers' own groups: count u32, (group u64, term u64, index u64)…,
///                             retired directories: count u32, (broker i32, number u64)…, balance due u8
///     'g' name of a group     version u8, what is set on it: count u32, (name text, value text)…
///     't' topic id (16 B)     version u8, topic record
///
/// Records of version 1 have no last operation, and partitions without reassignments; those of version 2 no floors
/// and no retired directories.
package enum ClusterRecords {
    static let version: UInt8 = 3
    private static let countersKey: [UInt8] = [UInt8(ascii: "c")]

    /// What a change of the state has to store.
    package static func writes(after change: ClusterChange, state: ClusterState) -> [StateWrite] {
        var writes = [StateWrite(key: countersKey, value: counters(of: state))]
        switch change {
        case .topicCreated(let topic), .partitionsAdded(let topic, _), .configurationChanged(let topic):
            writes.append(StateWrite(key: key(of: topic.id), value: value(of: topic)))
        case .topicDeleted(let topic):
            writes.append(StateWrite(key: key(of: topic.id), value: nil))
        case .brokerChanged(let broker):
            writes.append(StateWrite(key: key(of: broker.id), value: value(of: broker)))
        case .brokerRemoved(let broker):
            writes.append(StateWrite(key: key(of: broker.id), value: nil))
        case .assignmentsChanged(_, let topics): writes += topics.compactMap { write(of: $0, state) }
        case .brokerReset(let broker, _, let topics):
            writes.append(StateWrite(key: key(of: broker.id), value: value(of: broker)))
            writes += topics.compactMap { write(of: $0, state) }
        case .groupConfigured(let group):
            writes.append(StateWrite(key: key(of: group), value: state.groupConfigurations[group].map(value(of:))))
        case .none, .producerIDsAllocated, .refused: break
        }
        return writes
    }

    /// Every record of a state, in no particular order.
    static func all(of state: ClusterState) -> [StateWrite] {
        let topics = state.topics.values.map { StateWrite(key: key(of: $0.id), value: value(of: $0)) }
        let brokers = state.brokers.values.map { StateWrite(key: key(of: $0.id), value: value(of: $0)) }
        let groups = state.groupConfigurations.map { StateWrite(key: key(of: $0.key), value: value(of: $0.value)) }
        return [StateWrite(key: countersKey, value: counters(of: state))] + topics + brokers + groups
    }

    /// The state that was stored, empty when there is none.
    package static func load(from index: IndexDatabase) throws(StoreError) -> (state: ClusterState, applied: LogIndex) {
        var state = ClusterState()
        do {
            let applied = try index.applied(in: .controller, of: .controller)?.index ?? .zero
            var damage: BinaryCodingError?
            try index.scan(in: .controller, of: .controller) { key, value in
                if isHistory(key) { return true }
                do throws(BinaryCodingError) {
                    try restore(key, value, into: &state)
                } catch { damage = error }
                return damage == nil
            }
            if let damage { throw StoreError.index("a record of the controller is damaged: \(damage)") }
            return (state, applied)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .index("\(error)")
        }
    }

    /// Puts one stored record back.
    static func restore(
        _ key: [UInt8], _ value: [UInt8], into state: inout ClusterState
    ) throws(BinaryCodingError) {
        var reader = BinaryReader(value)
        let found = try reader.readInteger(UInt8.self)
        guard (1...version).contains(found) else { throw .unknownVersion(found) }
        switch key.first {
        case UInt8(ascii: "c"):
            let clusterID = try reader.readOptionalText()
            let group = GroupID(rawValue: try reader.readInteger(UInt64.self))
            let producer = try reader.readInteger(Int64.self)
            let operation = found >= 2 ? try reader.readInteger(UInt64.self) : 0
            let floors = found >= 3 ? try [GroupID: JoinFloor](from: &reader) : [:]
            var retired: [NodeID: UInt64] = [:]
            for _ in 0..<(found >= 3 ? try reader.readCount() : 0) {
                retired[try reader.readNode()] = try reader.readInteger(UInt64.self)
            }
            state.restore(
                clusterID: clusterID, nextGroup: group, nextProducerID: producer, lastOperation: operation,
                ownFloors: floors, retired: retired, isBalanceDue: found >= 3 ? try reader.readFlag() : false)
        case UInt8(ascii: "b"): state.restore(try BrokerRecord(from: &reader, version: found))
        case UInt8(ascii: "g"):
            guard let group = String(validating: key.dropFirst(), as: UTF8.self) else { throw .malformed(at: 1) }
            state.restore(group: group, configuration: try [String: String](from: &reader))
        case UInt8(ascii: "t"): state.restore(try TopicRecord(from: &reader, version: found))
        default: throw .unknownKind(key.first ?? 0)
        }
        try reader.finish()
    }

    // MARK: Encoding

    private static func write(of topic: TopicID, _ state: ClusterState) -> StateWrite? {
        state.topics[topic].map { StateWrite(key: key(of: topic), value: value(of: $0)) }
    }

    private static func counters(of state: ClusterState) -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(version)
        writer.write(state.clusterID)
        writer.write(state.nextGroup.rawValue)
        writer.write(state.nextProducerID)
        writer.write(state.lastOperation)
        state.ownFloors.encode(to: &writer)
        writer.write(UInt32(state.retired.count))
        for (broker, storeID) in state.retired.sorted(by: { $0.key < $1.key }) {
            writer.write(broker.rawValue)
            writer.write(storeID)
        }
        writer.write(UInt8(state.isBalanceDue ? 1 : 0))
        return writer.bytes
    }

    private static func key(of id: TopicID) -> [UInt8] {
        var writer = BinaryWriter([UInt8(ascii: "t")])
        id.encode(to: &writer)
        return writer.bytes
    }

    private static func key(of broker: NodeID) -> [UInt8] {
        var writer = BinaryWriter([UInt8(ascii: "b")])
        writer.write(broker.rawValue)
        return writer.bytes
    }

    private static func key(of group: String) -> [UInt8] { [UInt8(ascii: "g")] + Array(group.utf8) }

    private static func value(of configuration: [String: String]) -> [UInt8] {
        var writer = BinaryWriter([version])
        configuration.encode(to: &writer)
        return writer.bytes
    }

    private static func value(of topic: TopicRecord) -> [UInt8] {
        var writer = BinaryWriter([version])
        topic.encode(to: &writer)
        return writer.bytes
    }

    private static func value(of broker: BrokerRecord) -> [UInt8] {
        var writer = BinaryWriter([version])
        broker.encode(to: &writer)
        return writer.bytes
    }
}
