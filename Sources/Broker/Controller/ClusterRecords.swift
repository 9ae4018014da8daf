// SPDX-License-Identifier: Apache-2.0
//
// ClusterRecords.swift
// How the controller's applied state lies in the store: one record for the counters, one for each topic.

package import LogStore
package import Model
package import Replication

/// Keys and values of the `controller` column family.
///
///     'c'                     version u8, cluster id text?, next group u64, next producer id i64
///     't' topic id (16 B)     version u8, topic record
package enum ClusterRecords {
    private static let version: UInt8 = 1
    private static let countersKey: [UInt8] = [UInt8(ascii: "c")]

    /// What a change of the state has to store.
    package static func writes(after change: ClusterChange, state: ClusterState) -> [StateWrite] {
        var writes = [StateWrite(key: countersKey, value: counters(of: state))]
        switch change {
        case .topicCreated(let topic), .partitionsAdded(let topic, _), .configurationChanged(let topic):
            writes.append(StateWrite(key: key(of: topic.id), value: value(of: topic)))
        case .topicDeleted(let topic):
            writes.append(StateWrite(key: key(of: topic.id), value: nil))
        case .none, .producerIDsAllocated, .refused: break
        }
        return writes
    }

    /// The state that was stored, empty when there is none.
    package static func load(from index: IndexDatabase) throws(StoreError) -> (state: ClusterState, applied: LogIndex) {
        var state = ClusterState()
        do {
            let applied = try index.applied(in: .controller, of: .controller)?.index ?? .zero
            var damage: BinaryCodingError?
            try index.scan(in: .controller, of: .controller) { key, value in
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

    private static func restore(
        _ key: [UInt8], _ value: [UInt8], into state: inout ClusterState
    ) throws(BinaryCodingError) {
        var reader = BinaryReader(value)
        let found = try reader.readInteger(UInt8.self)
        guard found == version else { throw .unknownVersion(found) }
        if key == countersKey {
            let clusterID = try reader.readOptionalText()
            let group = GroupID(rawValue: try reader.readInteger(UInt64.self))
            state.restore(clusterID: clusterID, nextGroup: group, nextProducerID: try reader.readInteger(Int64.self))
        } else {
            state.restore(try TopicRecord(from: &reader))
        }
    }

    private static func counters(of state: ClusterState) -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(version)
        writer.write(state.clusterID)
        writer.write(state.nextGroup.rawValue)
        writer.write(state.nextProducerID)
        return writer.bytes
    }

    private static func key(of id: TopicID) -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(UInt8(ascii: "t"))
        id.encode(to: &writer)
        return writer.bytes
    }

    private static func value(of topic: TopicRecord) -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(version)
        topic.encode(to: &writer)
        return writer.bytes
    }
}
