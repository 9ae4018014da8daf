// SPDX-License-Identifier: Apache-2.0
//
// KeyOffsets.swift
// The newest offset of each key, in memory of a bounded size whatever the keys are. A value.

internal import Model
internal import Records

/// A map from the digests of keys to offsets.
///
/// Open addressing with linear probing, 24 bytes a slot, three quarters of the slots in use at most. It grows by doubling up to
/// its bound, then it is full: who fills it goes on with what it has and takes the rest in another pass.
struct KeyOffsets: Sendable {
    private struct Slot: Sendable, BitwiseCopyable {
        var high: UInt64 = 0
        var low: UInt64 = 0
        /// -1 in a free slot.
        var offset: Int64 = -1
    }

    private var slots: ContiguousArray<Slot>
    private let slotsMax: Int
    /// How many keys are in it.
    private(set) var count = 0

    /// The bytes of a slot.
    static let slotBytes = 24
    private static let slotsMin = 1024

    /// An empty map that takes about `byteCountMax` bytes at most.
    init(byteCountMax: Int) {
        var most = Self.slotsMin
        while most * 2 * Self.slotBytes <= byteCountMax { most *= 2 }
        slotsMax = most
        slots = ContiguousArray(repeating: Slot(), count: Self.slotsMin)
    }

    /// The most keys it holds.
    var countMax: Int { slotsMax / 4 * 3 }

    /// Notes that `key` stands at `offset`, behind all offsets noted before.
    ///
    /// Returns false when the key is new and there is no room for it; with `isForced` there always is.
    mutating func put(_ key: KeyDigest, _ offset: Offset, isForced: Bool = false) -> Bool {
        var place = find(key)
        if slots[place].offset < 0 {
            if count >= slots.count / 4 * 3 {
                guard slots.count < slotsMax || isForced else { return false }
                grow()
                place = find(key)
            }
            count += 1
            slots[place].high = key.high
            slots[place].low = key.low
        }
        slots[place].offset = max(slots[place].offset, offset.rawValue)
        return true
    }

    /// The newest offset of `key`; nil when it is not in the map.
    func newest(_ key: KeyDigest) -> Offset? {
        let offset = slots[find(key)].offset
        return offset < 0 ? nil : Offset(offset)
    }

    /// The slot of `key`, or the free one where it belongs.
    private func find(_ key: KeyDigest) -> Int {
        // A power of two: the mask is the remainder.
        let mask = slots.count - 1
        var place = Int(truncatingIfNeeded: key.low) & mask
        while slots[place].offset >= 0, slots[place].high != key.high || slots[place].low != key.low {
            place = (place + 1) & mask
        }
        return place
    }

    private mutating func grow() {
        let old = slots
        slots = ContiguousArray(repeating: Slot(), count: old.count * 2)
        for slot in old where slot.offset >= 0 {
            slots[find(KeyDigest(high: slot.high, low: slot.low))] = slot
        }
    }
}
