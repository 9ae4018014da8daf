// SPDX-License-Identifier: Apache-2.0
//
// Configuration+Coding.swift
// The bytes of a configuration, as frames and peers carry it.

internal import Model

extension Raft.Configuration {
    /// The version written in the first byte.
    public static let encodingVersion: UInt8 = 1
    /// The most members of one list that decoding accepts, against absurd lengths.
    public static let membersMax = 1024

    /// The encoded form: version, then three lists, each a count (u16) and node ids (i32), all big-endian.
    public var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.encodingVersion]
        for list in [voters, outgoing, learners] {
            precondition(list.count <= Self.membersMax, "\(list.count) members")
            bytes.append(UInt8(truncatingIfNeeded: list.count >> 8))
            bytes.append(UInt8(truncatingIfNeeded: list.count))
            for node in list {
                let raw = UInt32(bitPattern: node.rawValue)
                for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: raw >> shift)) }
            }
        }
        return bytes
    }

    /// Reads the encoded form; nil when `bytes` is anything else, including forms that break an invariant.
    public init?(decoding bytes: some Collection<UInt8>) {
        var rest = bytes[...]
        guard rest.popFirst() == Self.encodingVersion else { return nil }
        var lists: [[NodeID]] = []
        for _ in 0..<3 {
            guard let high = rest.popFirst(), let low = rest.popFirst() else { return nil }
            let count = Int(high) << 8 | Int(low)
            guard count <= Self.membersMax else { return nil }
            var list: [NodeID] = []
            for _ in 0..<count {
                var raw: UInt32 = 0
                for _ in 0..<4 {
                    guard let byte = rest.popFirst() else { return nil }
                    raw = raw << 8 | UInt32(byte)
                }
                let node = NodeID(rawValue: Int32(bitPattern: raw))
                if let last = list.last, last >= node { return nil }
                list.append(node)
            }
            lists.append(list)
        }
        guard rest.isEmpty, !lists[2].contains(where: lists[0].contains) else { return nil }
        self.init(voters: lists[0], outgoing: lists[1], learners: lists[2])
    }
}
