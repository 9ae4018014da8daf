// SPDX-License-Identifier: Apache-2.0
//
// ClusterRecord+Coding.swift
// Topics, partitions and brokers as bytes, in log entries and in stored records alike.

import LogStore
import Model

extension TopicRecord {
    func encode(to writer: inout BinaryWriter) {
        writer.write(name)
        id.encode(to: &writer)
        partitions.encode(to: &writer)
        configuration.encode(to: &writer)
    }

    init(from reader: inout BinaryReader, version: UInt8) throws(BinaryCodingError) {
        name = try reader.readText()
        id = try TopicID(from: &reader)
        partitions = try [PartitionRecord](from: &reader, version: version)
        configuration = try [String: String](from: &reader)
    }
}

extension TopicID {
    func encode(to writer: inout BinaryWriter) {
        writer.write(high)
        writer.write(low)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self.init(high: try reader.readInteger(UInt64.self), low: try reader.readInteger(UInt64.self))
    }
}

extension [PartitionRecord] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for partition in self {
            writer.write(partition.group.rawValue)
            partition.replicas.encode(to: &writer)
            let hasFounders = partition.founders != partition.replicas
            var flags: UInt8 = partition.reassignment == nil ? 0 : 1
            if hasFounders { flags |= 2 }
            if !partition.rejoining.isEmpty { flags |= 4 }
            if partition.floor != nil { flags |= 8 }
            writer.write(flags)
            partition.reassignment?.encode(to: &writer)
            if hasFounders { partition.founders.encode(to: &writer) }
            if !partition.rejoining.isEmpty { partition.rejoining.encode(to: &writer) }
            partition.floor?.encode(to: &writer)
        }
    }

    /// Version 1 has nothing but groups and replicas, version 2 no floors.
    init(from reader: inout BinaryReader, version: UInt8) throws(BinaryCodingError) {
        self = []
        for _ in 0..<(try reader.readCount()) {
            let group = try reader.readGroup()
            let replicas = try [NodeID](from: &reader)
            let position = reader.position
            let flags = version >= 2 ? try reader.readInteger(UInt8.self) : 0
            guard flags & ~(version >= 3 ? 15 : 7) == 0 else { throw .malformed(at: position) }
            let reassignment = flags & 1 != 0 ? try Reassignment(from: &reader) : nil
            let founders = flags & 2 != 0 ? try [NodeID](from: &reader) : replicas
            var partition = PartitionRecord(
                group: group, replicas: replicas, founders: founders, reassignment: reassignment)
            if flags & 4 != 0 { partition.rejoining = try [NodeID](from: &reader) }
            if flags & 8 != 0 { partition.floor = try JoinFloor(from: &reader) }
            append(partition)
        }
    }
}

extension JoinFloor {
    func encode(to writer: inout BinaryWriter) {
        writer.write(term.rawValue)
        writer.write(index.rawValue)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self.init(
            term: Term(try reader.readInteger(UInt64.self)), index: LogIndex(try reader.readInteger(UInt64.self)))
    }
}

extension [GroupID: JoinFloor] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for (group, floor) in sorted(by: { $0.key < $1.key }) {
            writer.write(group.rawValue)
            floor.encode(to: &writer)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = [:]
        for _ in 0..<(try reader.readCount()) {
            let group = try reader.readGroup()
            self[group] = try JoinFloor(from: &reader)
        }
    }
}

extension Reassignment {
    func encode(to writer: inout BinaryWriter) {
        writer.write(phase.rawValue)
        writer.write(since.milliseconds)
        target.encode(to: &writer)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let phase = try reader.readCase(Phase.self)
        let since = WallTime(milliseconds: try reader.readInteger(Int64.self))
        self.init(target: try [NodeID](from: &reader), phase: phase, since: since)
    }
}

extension [ReassignmentTarget] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for target in self {
            writer.write(target.group.rawValue)
            target.replicas.encode(to: &writer)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = []
        for _ in 0..<(try reader.readCount()) {
            append(ReassignmentTarget(group: try reader.readGroup(), replicas: try [NodeID](from: &reader)))
        }
    }
}

extension [NodeID] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for node in self { writer.write(node.rawValue) }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = []
        for _ in 0..<(try reader.readCount()) { append(try reader.readNode()) }
    }
}

extension [String: String] {
    func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(count))
        for (key, value) in sorted(by: { $0.key < $1.key }) {
            writer.write(key)
            writer.write(value)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self = [:]
        for _ in 0..<(try reader.readCount()) {
            let key = try reader.readText()
            self[key] = try reader.readText()
        }
    }
}

// MARK: - Brokers

extension BrokerEndpoint {
    func encode(to writer: inout BinaryWriter) {
        writer.write(host)
        writer.write(port)
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self.init(host: try reader.readText(), port: try reader.readInteger(Int32.self))
    }
}

extension BrokerRegistration {
    func encode(to writer: inout BinaryWriter) {
        writer.write(id.rawValue)
        writer.write(incarnation)
        writer.write(storeID)
        kafka.encode(to: &writer)
        peer.encode(to: &writer)
        writer.write(rack)
        writer.write(UInt8(isBlank ? 1 : 0))
    }

    /// Before version 3 nobody said that a directory was empty.
    init(from reader: inout BinaryReader, version: UInt8) throws(BinaryCodingError) {
        self.init(
            id: try reader.readNode(), incarnation: try reader.readInteger(UInt64.self),
            storeID: try reader.readInteger(UInt64.self), kafka: try BrokerEndpoint(from: &reader),
            peer: try BrokerEndpoint(from: &reader), rack: try reader.readOptionalText(),
            isBlank: version >= 3 ? try reader.readFlag() : false)
    }
}

extension BrokerRecord {
    func encode(to writer: inout BinaryWriter) {
        registration.encode(to: &writer)
        writer.write(health.rawValue)
        writer.write(drain?.rawValue ?? 0)
        writer.write(since.milliseconds)
        writer.write(storeBegan.rawValue)
        writer.write(UInt32(lostGroups.count))
        for group in lostGroups { writer.write(group.rawValue) }
    }

    init(from reader: inout BinaryReader, version: UInt8) throws(BinaryCodingError) {
        let registration = try BrokerRegistration(from: &reader, version: version)
        let health = try reader.readCase(BrokerHealth.self)
        let position = reader.position
        let code = try reader.readInteger(UInt8.self)
        let drain = DrainMode(rawValue: code)
        guard code == 0 || drain != nil else { throw .malformed(at: position) }
        self.init(
            registration: registration, health: health, drain: drain,
            since: WallTime(milliseconds: try reader.readInteger(Int64.self)), storeBegan: try reader.readGroup())
        for _ in 0..<(try reader.readCount()) { lostGroups.append(try reader.readGroup()) }
    }
}

// MARK: - Pieces

extension BinaryReader {
    mutating func readNode() throws(BinaryCodingError) -> NodeID {
        NodeID(rawValue: try readInteger(Int32.self))
    }

    mutating func readGroup() throws(BinaryCodingError) -> GroupID {
        GroupID(rawValue: try readInteger(UInt64.self))
    }

    /// Takes a floor that may be absent; before version 3 it always is.
    mutating func readFloor(version: UInt8) throws(BinaryCodingError) -> JoinFloor? {
        guard version >= 3, try readFlag() else { return nil }
        return try JoinFloor(from: &self)
    }

    /// Takes a byte that is the raw value of a case.
    mutating func readCase<Case: RawRepresentable<UInt8>>(_ type: Case.Type) throws(BinaryCodingError) -> Case {
        let start = position
        guard let value = Case(rawValue: try readInteger(UInt8.self)) else { throw .malformed(at: start) }
        return value
    }
}

extension BinaryWriter {
    /// Appends a floor that may be absent.
    mutating func write(_ floor: JoinFloor?) {
        write(UInt8(floor == nil ? 0 : 1))
        floor?.encode(to: &self)
    }
}
