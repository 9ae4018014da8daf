// SPDX-License-Identifier: Apache-2.0
//
// LeaderCoding.swift
// News of leaders as bytes: the body of a `leaders` frame between brokers, and of the answer with a whole table.
//
//     version u8 | count u32 | groups:
//         group u64 | term u64 | revision u32 | leader i32 (-1: none) | in-sync count u8 | nodes i32

import Model
package import NIOCore

extension LeaderTable {
    /// The version that is written, and the only one that is read.
    private static let version: UInt8 = 1
    /// Bytes of a group without replicas in sync.
    private static let entryBytesMin = 25
    /// Groups that one frame names at most; more go into more frames.
    package static let changesMax = 10_000

    /// `changes` as the bodies of as many frames as they need.
    package static func encode(_ changes: [LeaderChange]) -> [ByteBuffer] {
        stride(from: 0, to: changes.count, by: changesMax).map { start in
            encodeFrame(changes[start..<min(start + changesMax, changes.count)])
        }
    }

    private static func encodeFrame(_ changes: ArraySlice<LeaderChange>) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(5 + changes.count * (entryBytesMin + 12))
        buffer.writeInteger(version)
        buffer.writeInteger(UInt32(changes.count))
        for change in changes {
            let known = change.leadership
            buffer.writeInteger(change.group.rawValue)
            buffer.writeInteger(known.term.rawValue)
            buffer.writeInteger(known.revision)
            buffer.writeInteger(known.leader?.rawValue ?? -1)
            let inSync = known.inSync.prefix(Int(UInt8.max))
            buffer.writeInteger(UInt8(inSync.count))
            for node in inSync { buffer.writeInteger(node.rawValue) }
        }
        return buffer
    }

    /// Reads one frame's body; anything else than what ``encode(_:)`` wrote is refused.
    static func decode(_ body: ByteBuffer) throws(BinaryCodingError) -> [LeaderChange] {
        var reader = BinaryReader(Array(body.readableBytesView))
        let found = try reader.readInteger(UInt8.self)
        guard found == version else { throw .unknownVersion(found) }
        var changes: [LeaderChange] = []
        for _ in 0..<(try reader.readCount()) {
            let group = GroupID(rawValue: try reader.readInteger(UInt64.self))
            let term = Term(try reader.readInteger(UInt64.self))
            let revision = try reader.readInteger(UInt32.self)
            let leader = try reader.readInteger(Int32.self)
            var inSync: [NodeID] = []
            for _ in 0..<(try reader.readInteger(UInt8.self)) {
                inSync.append(NodeID(rawValue: try reader.readInteger(Int32.self)))
            }
            let known = Leadership(
                term: term, revision: revision, leader: leader < 0 ? nil : NodeID(rawValue: leader), inSync: inSync)
            changes.append(LeaderChange(group: group, leadership: known))
        }
        try reader.finish()
        return changes
    }
}
