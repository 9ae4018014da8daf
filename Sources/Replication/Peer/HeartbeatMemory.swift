// SPDX-License-Identifier: Apache-2.0
//
// HeartbeatMemory.swift
// What both sides of a connection remember of the vectors on it, so that an idle group costs no bytes.

internal import Model

/// The sending side: chooses the form of each vector.
///
/// Invariant: a slot holds what the receiver has in it, if the receiver got every vector of the slot. It asks for a full
/// one when it did not.
struct HeartbeatSender: Sendable {
    private struct Slot {
        var kind: HeartbeatVector.Kind
        var number: UInt32
        var rows: [HeartbeatRow]
        var lastUse: UInt64
        /// Whose vectors these are; nil when they are told by their first group.
        var name: UInt64?
        /// What was sent last.
        var roster: HeartbeatRoster?
        /// The receiver asked for a full vector.
        var isUnknown = false
    }

    /// Vectors of fewer rows are not remembered: single heartbeats would crowd out those of whole hosts.
    static let rememberedRowsMin = 4

    private var slots: [Slot] = []
    private var uses: UInt64 = 0

    init() {}

    /// The vectors that carry `rows`.
    mutating func vectors(_ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow]) -> [HeartbeatVector] {
        var vectors: [HeartbeatVector] = []
        var start = 0
        while start < rows.count {
            let end = min(start + HeartbeatVector.rowsMax, rows.count)
            vectors.append(vector(kind, start == 0 && end == rows.count ? rows : Array(rows[start..<end])))
            start = end
        }
        return vectors
    }

    /// The vector that carries `roster`; constant in cost when it is the one before.
    mutating func vector(_ roster: HeartbeatRoster) -> HeartbeatVector {
        guard let place = slots.firstIndex(where: { $0.roster === roster }), !slots[place].isUnknown else {
            return vector(roster.kind, roster.rows, of: roster)
        }
        uses += 1
        slots[place].number &+= 1
        slots[place].lastUse = uses
        return HeartbeatVector(
            kind: roster.kind, slot: UInt8(place), number: slots[place].number,
            content: .changes(roundsUp: 0, []))
    }

    /// The receiver does not have what changes would refer to.
    mutating func reset(slot: UInt8) {
        if slots.indices.contains(Int(slot)) { slots[Int(slot)].isUnknown = true }
    }

    private mutating func vector(
        _ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow], of roster: HeartbeatRoster? = nil
    ) -> HeartbeatVector {
        guard rows.count >= Self.rememberedRowsMin || roster != nil else {
            return HeartbeatVector(kind: kind, slot: HeartbeatVector.noSlot, number: 0, content: .full(rows))
        }
        uses += 1
        guard let place = place(kind, rows, roster?.name) else {
            return HeartbeatVector(kind: kind, slot: HeartbeatVector.noSlot, number: 0, content: .full(rows))
        }
        let content = slots[place].isUnknown ? nil : Self.changes(from: slots[place].rows, to: rows)
        slots[place].rows = rows
        slots[place].roster = roster
        slots[place].number &+= 1
        slots[place].lastUse = uses
        slots[place].isUnknown = false
        return HeartbeatVector(
            kind: kind, slot: UInt8(place), number: slots[place].number, content: content ?? .full(rows))
    }

    /// The slot of the roster's name, or of vectors that begin with the same group; else a new one, or the one that was
    /// not used for longest.
    private mutating func place(_ kind: HeartbeatVector.Kind, _ rows: [HeartbeatRow], _ name: UInt64?) -> Int? {
        let group = rows[0].group
        let remembered = slots.reduce(0) { $0 + $1.rows.count }
        let known = slots.firstIndex {
            $0.kind == kind && $0.name == name && (name != nil || $0.rows.first?.group == group)
        }
        if let known {
            let after = remembered - slots[known].rows.count + rows.count
            return after <= HeartbeatVector.rememberedRowsMax ? known : nil
        }
        let fresh = Slot(kind: kind, number: 0, rows: [], lastUse: uses, name: name, isUnknown: true)
        if slots.count < HeartbeatVector.slotsMax {
            guard remembered + rows.count <= HeartbeatVector.rememberedRowsMax else { return nil }
            slots.append(fresh)
            return slots.count - 1
        }
        guard let oldest = slots.indices.min(by: { slots[$0].lastUse < slots[$1].lastUse }),
            remembered - slots[oldest].rows.count + rows.count <= HeartbeatVector.rememberedRowsMax
        else { return nil }
        let number = slots[oldest].number
        slots[oldest] = fresh
        slots[oldest].number = number
        return oldest
    }

    /// What leads from one vector to another; nil when the full one is no longer.
    private static func changes(
        from old: [HeartbeatRow], to new: [HeartbeatRow]
    ) -> HeartbeatVector.Content? {
        guard old.count == new.count, let first = new.first, let firstOld = old.first,
            first.round >= firstOld.round
        else { return nil }
        let roundsUp = first.round - firstOld.round
        var changes: [HeartbeatVector.Change] = []
        for place in new.indices {
            let (before, now) = (old[place], new[place])
            guard before.group == now.group else { return nil }
            let isSame =
                before.term == now.term && before.value == now.value && before.session == now.session
                && before.round &+ roundsUp == now.round
            if isSame { continue }
            guard changes.count < new.count / 2 else { return nil }
            changes.append(HeartbeatVector.Change(place: place, row: now))
        }
        return .changes(roundsUp: roundsUp, changes)
    }
}

/// The receiving side: completes vectors from what it remembers.
struct HeartbeatReceiver: Sendable {
    private struct Slot {
        var number: UInt32
        /// Named by the slot.
        var roster: HeartbeatRoster
    }

    /// What a vector came to.
    enum Outcome: Sendable {
        /// It is not remembered.
        case rows([HeartbeatRow])
        /// The same object as before when nothing changed.
        case roster(HeartbeatRoster)
        /// It refers to one that is not here: the sender must send it in full.
        case unknown(slot: UInt8)

        /// Nil when it refers to one that is not here.
        var rows: [HeartbeatRow]? {
            switch self {
            case .rows(let rows): rows
            case .roster(let roster): roster.rows
            case .unknown: nil
            }
        }
    }

    private var slots = [Slot?](repeating: nil, count: HeartbeatVector.slotsMax)
    private var remembered = 0

    init() {}

    /// All rows of `vector`.
    mutating func complete(_ vector: HeartbeatVector) throws(PeerFrameError) -> Outcome {
        switch vector.content {
        case .full(let rows):
            guard vector.slot != HeartbeatVector.noSlot, !rows.isEmpty else { return .rows(rows) }
            return .roster(try remember(vector, rows))
        case .changes(let roundsUp, let changes):
            let place = Int(vector.slot)
            guard let slot = slots[place].take() else { return .unknown(slot: vector.slot) }
            guard slot.roster.kind == vector.kind, slot.number &+ 1 == vector.number else {
                remembered -= slot.roster.rows.count
                return .unknown(slot: vector.slot)
            }
            let roster = try Self.changed(slot.roster, roundsUp, changes)
            slots[place] = Slot(number: vector.number, roster: roster)
            return .roster(roster)
        }
    }

    private static func changed(
        _ roster: HeartbeatRoster, _ roundsUp: UInt64, _ changes: [HeartbeatVector.Change]
    ) throws(PeerFrameError) -> HeartbeatRoster {
        guard roundsUp > 0 || !changes.isEmpty else { return roster }
        var rows = roster.rows
        if roundsUp > 0 { for place in rows.indices { rows[place].round &+= roundsUp } }
        for change in changes {
            guard change.place < rows.count else { throw .malformed("place \(change.place)") }
            let group = rows[change.place].group
            rows[change.place] = change.row
            rows[change.place].group = group
        }
        return HeartbeatRoster(roster.kind, name: roster.name, rows: rows)
    }

    private mutating func remember(
        _ vector: HeartbeatVector, _ rows: [HeartbeatRow]
    ) throws(PeerFrameError) -> HeartbeatRoster {
        let place = Int(vector.slot)
        remembered += rows.count - (slots[place]?.roster.rows.count ?? 0)
        guard remembered <= HeartbeatVector.rememberedRowsMax else { throw .malformed("\(remembered) rows in vectors") }
        let roster = HeartbeatRoster(vector.kind, name: UInt64(vector.slot), rows: rows)
        slots[place] = Slot(number: vector.number, roster: roster)
        return roster
    }
}
