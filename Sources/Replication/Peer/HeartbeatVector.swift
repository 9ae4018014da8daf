// SPDX-License-Identifier: Apache-2.0
//
// HeartbeatVector.swift
// The heartbeats of many groups, or their answers, as columns; or only what differs from the last such vector.

internal import Model
internal import NIOCore
internal import Raft

/// One group's place in a vector.
struct HeartbeatRow: Sendable, Hashable {
    var group: GroupID
    var term: Term
    /// The commit index of a heartbeat; 1 in an answer whose sender may count in quorums, otherwise 0.
    var value: UInt64
    var round: UInt64
    var session: UInt64
}

/// One vector as it travels.
struct HeartbeatVector: Sendable, Hashable {
    /// Raw values are on the wire.
    enum Kind: UInt8, Sendable, CaseIterable {
        case heartbeats = 0
        case answers = 1
    }

    /// What it holds.
    enum Content: Sendable, Hashable {
        /// Every group.
        case full([HeartbeatRow])
        /// As the vector before it in the same slot, every round higher by `roundsUp`, except for rows that are given.
        ///
        /// Without exceptions it says: nothing changed.
        case changes(roundsUp: UInt64, [Change])
    }

    /// A row that differs in more than its round, or by another number of rounds.
    struct Change: Sendable, Hashable {
        /// Its place in the vector.
        var place: Int
        var row: HeartbeatRow
    }

    /// Not remembered: for vectors too small to be worth it.
    static let noSlot: UInt8 = 255
    /// How many vectors a side remembers of the other: hosts of groups on a broker, twice for answers, and as many of
    /// those that do not rest.
    static let slotsMax = 128
    /// Rows of one vector; more are sent as several.
    static let rowsMax = 16_384
    /// Rows in all slots of a connection.
    static let rememberedRowsMax = 262_144

    var kind: Kind
    /// Where it is remembered.
    var slot: UInt8
    /// Counts the vectors of the slot.
    var number: UInt32
    var content: Content
}

extension HeartbeatRow {
    /// The row of a message that belongs into a vector.
    init?(_ message: PeerMessage) {
        switch message.body {
        case .heartbeat(let heartbeat):
            self.init(
                group: message.group, term: message.term, value: heartbeat.committed.rawValue, round: heartbeat.round,
                session: heartbeat.session)
        case .heartbeatResponse(let answer):
            self.init(
                group: message.group, term: message.term, value: answer.isTrusted ? 1 : 0, round: answer.round,
                session: answer.session)
        default: return nil
        }
    }

    /// The message of this row.
    func message(_ kind: HeartbeatVector.Kind) -> PeerMessage {
        switch kind {
        case .heartbeats:
            PeerMessage(
                group: group, term: term,
                body: .heartbeat(Raft.Heartbeat(committed: LogIndex(value), round: round, session: session)))
        case .answers:
            PeerMessage(
                group: group, term: term,
                body: .heartbeatResponse(
                    Raft.HeartbeatResponse(round: round, isTrusted: value == 1, session: session)))
        }
    }
}

// MARK: - Bytes

extension HeartbeatVector {
    private static let fullForm: UInt8 = 0
    private static let changesForm: UInt8 = 1
    /// The fewest bytes of a row, and of a change.
    private static let rowBytesMin = 5
    /// Groups of a vector need not ascend, so differences are signed.
    private static func zigzag(_ difference: Int64) -> UInt64 {
        UInt64(bitPattern: (difference << 1) ^ (difference >> 63))
    }
    private static func unzigzag(_ raw: UInt64) -> Int64 {
        Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// Writes the head of its frame.
    func write(to head: inout ByteBuffer) {
        head.write(kind.rawValue)
        head.write(slot)
        head.write(number)
        switch content {
        case .full(let rows):
            head.write(Self.fullForm)
            head.write(UInt32(rows.count))
            var last: UInt64 = 0
            for row in rows {
                head.writeVarint(Self.zigzag(Int64(bitPattern: row.group.rawValue &- last)))
                last = row.group.rawValue
            }
            for row in rows { head.writeVarint(row.term.rawValue) }
            for row in rows { head.writeVarint(row.value) }
            for row in rows { head.writeVarint(row.round) }
            for row in rows { head.writeVarint(row.session) }
        case .changes(let roundsUp, let changes):
            head.write(Self.changesForm)
            head.writeVarint(roundsUp)
            head.write(UInt32(changes.count))
            for change in changes {
                head.writeVarint(UInt64(change.place))
                head.writeVarint(change.row.term.rawValue)
                head.writeVarint(change.row.value)
                head.writeVarint(change.row.round)
                head.writeVarint(change.row.session)
            }
        }
    }

    /// Reads the head of its frame.
    init(_ head: RawSpan, _ position: inout Int) throws(PeerFrameError) {
        guard let kind = Kind(rawValue: try head.read(&position)) else { throw .malformed("kind of a vector") }
        self.kind = kind
        slot = try head.read(&position)
        number = try head.read(&position)
        guard slot < Self.slotsMax || slot == Self.noSlot else { throw .malformed("slot \(slot)") }
        switch try head.read(UInt8.self, &position) {
        case Self.fullForm: content = .full(try Self.rows(kind, head, &position))
        case Self.changesForm:
            guard slot != Self.noSlot else { throw .malformed("changes of a vector that is not remembered") }
            let roundsUp = try head.readVarint(&position)
            content = .changes(roundsUp: roundsUp, try Self.changes(kind, head, &position))
        case let form: throw .malformed("form \(form)")
        }
    }

    private static func rows(
        _ kind: Kind, _ head: RawSpan, _ position: inout Int
    ) throws(PeerFrameError) -> [HeartbeatRow] {
        let count = try head.readCount(bytesMin: rowBytesMin, &position)
        guard count <= rowsMax else { throw .malformed("\(count) rows") }
        var rows: [HeartbeatRow] = []
        rows.reserveCapacity(count)
        var last: UInt64 = 0
        for _ in 0..<count {
            last &+= UInt64(bitPattern: unzigzag(try head.readVarint(&position)))
            rows.append(
                HeartbeatRow(group: GroupID(rawValue: last), term: .zero, value: 0, round: 0, session: 0))
        }
        for place in 0..<count { rows[place].term = try PeerBytes.term(try head.readVarint(&position)) }
        for place in 0..<count { rows[place].value = try value(kind, head, &position) }
        for place in 0..<count { rows[place].round = try head.readVarint(&position) }
        for place in 0..<count { rows[place].session = try head.readVarint(&position) }
        return rows
    }

    private static func changes(
        _ kind: Kind, _ head: RawSpan, _ position: inout Int
    ) throws(PeerFrameError) -> [Change] {
        let count = try head.readCount(bytesMin: rowBytesMin, &position)
        var changes: [Change] = []
        changes.reserveCapacity(count)
        for _ in 0..<count {
            let place = try head.readVarint(&position)
            guard place < UInt64(rowsMax) else { throw .malformed("place \(place)") }
            let term = try PeerBytes.term(try head.readVarint(&position))
            let value = try value(kind, head, &position)
            let round = try head.readVarint(&position)
            let row = HeartbeatRow(
                group: GroupID(rawValue: 0), term: term, value: value, round: round,
                session: try head.readVarint(&position))
            changes.append(Change(place: Int(place), row: row))
        }
        return changes
    }

    private static func value(
        _ kind: Kind, _ head: RawSpan, _ position: inout Int
    ) throws(PeerFrameError) -> UInt64 {
        let raw = try head.readVarint(&position)
        switch kind {
        case .heartbeats: return try PeerBytes.index(raw).rawValue
        case .answers:
            guard raw <= 1 else { throw .malformed("trust \(raw)") }
            return raw
        }
    }
}
